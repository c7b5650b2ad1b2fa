"""``/zhilu/v1/datasets``: a person's training data, and what is wrong with it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Form, Request, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from zhilu.context import context_of
from zhilu.tuning.data.check import DataReport
from zhilu.tuning.data.checking import check_dataset
from zhilu.tuning.data.library import DatasetInfo, DatasetLibrary

__all__ = ["router"]

router = APIRouter(prefix="/zhilu/v1/datasets", tags=["tuning"])


class CheckIn(BaseModel):
    """``model`` None: the one that runs; ``"none"``: no tokens are counted. ``mapping``: our key by the file's column."""

    model_config = ConfigDict(extra="forbid")
    model: str | None = None
    held_out: str | None = None
    mapping: dict[str, str] = {}
    max_len: int | None = Field(None, ge=8)


@router.get("")
def list_datasets(request: Request) -> list[DatasetInfo]:
    return DatasetLibrary(context_of(request)).list()


@router.post("", status_code=201)
def add_dataset(
    file: Annotated[UploadFile, File()], request: Request, name: Annotated[str | None, Form()] = None
) -> DatasetInfo:
    context = context_of(request)
    library = DatasetLibrary(context)
    return library.add(file.file, file.filename or "", name, max_mb=context.settings.max_upload_mb)


@router.post("/example", status_code=201)
def add_example(request: Request) -> list[DatasetInfo]:
    """The training set to begin with, and its held-out rows."""
    return DatasetLibrary(context_of(request)).keep_example()


@router.get("/{name}")
def show_dataset(name: str, request: Request) -> DatasetInfo:
    return DatasetLibrary(context_of(request)).get(name)


@router.post("/{name}/check")
def check(name: str, body: CheckIn, request: Request) -> DataReport:
    return check_dataset(
        context_of(request), name, model=body.model, held_out=body.held_out, mapping=body.mapping, max_len=body.max_len
    )


@router.delete("/{name}", status_code=204)
def remove_dataset(name: str, request: Request) -> None:
    DatasetLibrary(context_of(request)).remove(name)
