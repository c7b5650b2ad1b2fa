"""``/zhilu/v1/coder/repos/{repo}/edits``: changes proposed, tried, approved, undone. Only who sits at this machine writes to it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from zhilu.apps.coder.edits.kept import CodeEdit, Edits
from zhilu.apps.coder.edits.propose import propose
from zhilu.apps.coder.edits.testing import Trial, run_tests
from zhilu.apps.coder.repos import Repos
from zhilu.apps.coder.routes import refuse_from_elsewhere
from zhilu.client import connect
from zhilu.context import context_of
from zhilu.models.chosen import named_model

__all__ = ["router"]

router = APIRouter(prefix="/zhilu/v1/coder/repos/{repo}/edits", tags=["coder"])


class CodeEditIn(BaseModel):
    """``symbol``: the function that is meant; else it is found by the words. ``test``: try it, and let the model mend it once where
    the repository's tests fail; only from this machine."""

    model_config = ConfigDict(extra="forbid")
    instruction: str = Field(min_length=1, max_length=4000)
    symbol: str | None = Field(None, max_length=300)
    path: str | None = Field(None, max_length=1000)
    test: bool = False
    model: str | None = None


def _edits(request: Request, repo: str) -> Edits:
    context = context_of(request)
    return Edits(context, Repos(context).get(repo))


@router.get("")
def list_code_edits(repo: str, request: Request) -> list[CodeEdit]:
    return _edits(request, repo).every()


@router.post("", status_code=201)
async def propose_code_edit(repo: str, body: CodeEditIn, request: Request) -> CodeEdit:
    """A diff, or why there is none. Nothing is written to the repository."""
    context = context_of(request)
    if body.test:
        refuse_from_elsewhere(request)
    edits = await asyncio.to_thread(_edits, request, repo)
    edit = edits.new(body.instruction, named_model(context, body.model))
    store = Repos(context).index(edits.repo)
    async with connect(context) as client:
        edit = await propose(
            client,
            edit.model,
            store,
            edits.root,
            edit,
            path=body.path or None,
            symbol=body.symbol or None,
            tried=Trial(context, edits.root) if body.test else None,
        )
    edits.save(edit)
    return edit


@router.get("/{edit}")
def get_code_edit(repo: str, edit: str, request: Request) -> CodeEdit:
    return _edits(request, repo).get(edit)


@router.post("/{edit}/apply")
def apply_code_edit(repo: str, edit: str, request: Request) -> CodeEdit:
    """Approve it: written as a whole, and only if the file is as it was."""
    refuse_from_elsewhere(request)
    return _edits(request, repo).apply(edit)


@router.post("/{edit}/undo")
def undo_code_edit(repo: str, edit: str, request: Request) -> CodeEdit:
    refuse_from_elsewhere(request)
    return _edits(request, repo).undo(edit)


@router.post("/{edit}/tests")
async def test_code_edit(repo: str, edit: str, request: Request) -> CodeEdit:
    """Run the repository's tests in the sandbox, on a copy with the change in it."""
    refuse_from_elsewhere(request)
    edits = await asyncio.to_thread(_edits, request, repo)
    found = edits.get(edit)
    found.tests = await run_tests(
        context_of(request), Path(edits.repo.root), found if found.status != "applied" else None
    )
    edits.save(found)
    return found


@router.delete("/{edit}", status_code=204)
def remove_code_edit(repo: str, edit: str, request: Request) -> None:
    """Forget it; what it wrote stays."""
    _edits(request, repo).remove(edit)
