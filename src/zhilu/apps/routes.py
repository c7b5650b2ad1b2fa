"""``/zhilu/v1/apps``: the products, and their acceptance runs."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel

from zhilu.apps.checking import Acceptance, last_acceptance
from zhilu.apps.checking_job import start_check
from zhilu.apps.product import products
from zhilu.context import context_of
from zhilu.jobs import Job
from zhilu.jobs.base import Text

__all__ = ["router"]

router = APIRouter(prefix="/zhilu/v1/apps", tags=["apps"])


class ProductOut(BaseModel):
    """``last``: its last acceptance run; None if it was never run here."""

    name: str
    title: Text
    says: Text
    page: str
    floor: float
    last: Acceptance | None


@router.get("")
def list_products(request: Request) -> list[ProductOut]:
    context = context_of(request)
    return [
        ProductOut(
            name=product.name, title=product.title, says=product.says, page=product.page, floor=product.floor,
            last=last_acceptance(context, product.name),
        )
        for _, product in products().items()
    ]  # fmt: skip


@router.post("/{name}/check", status_code=202)
def check_product(name: str, request: Request, model: str | None = None) -> Job:
    """Ask every case of its acceptance run, in a job."""
    return start_check(context_of(request), [name], model)
