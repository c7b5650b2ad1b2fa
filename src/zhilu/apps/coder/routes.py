"""``/zhilu/v1/coder``: repositories, their symbols and text, questions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from zhilu.apps.coder.index.find import CodeCaller, CodeHit, callers, find_symbols, search
from zhilu.apps.coder.index.store import CodeFile, CodeSymbol, IndexStore
from zhilu.apps.coder.job import start_index
from zhilu.apps.coder.questions.ask import CodeAnswer, ask
from zhilu.apps.coder.repos import CodeRepo, Repos
from zhilu.client import connect
from zhilu.context import context_of
from zhilu.errors import ForbiddenError, NotFoundError, ZhiluError, error_body
from zhilu.events import HEADERS, MEDIA_TYPE, Event
from zhilu.host.security import is_loopback
from zhilu.jobs import Job
from zhilu.logs import as_error
from zhilu.messages import T
from zhilu.models.chosen import named_model

__all__ = ["refuse_from_elsewhere", "router"]

router = APIRouter(prefix="/zhilu/v1/coder", tags=["coder"])


class CodeRepoIn(BaseModel):
    """``root``: a folder of this machine."""

    model_config = ConfigDict(extra="forbid")
    root: str = Field(min_length=1, max_length=4096)
    name: str | None = Field(None, max_length=60)


class CodeRepoJob(BaseModel):
    repo: CodeRepo
    job: Job


class CodeQuestionIn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    question: str = Field(min_length=1, max_length=2000)
    model: str | None = None


class CodeText(BaseModel):
    """A file as it was read, and what it defines."""

    file: CodeFile
    text: str
    symbols: list[CodeSymbol]


def refuse_from_elsewhere(request: Request) -> None:
    """A key opens the API to another machine; it is no leave to name folders of this one, nor to write to them.

    Raises:
        ForbiddenError
    """
    if request.client is None or not is_loopback(request.client.host):
        raise ForbiddenError(
            T(
                "Only who sits at this machine may name its folders, and change what is in them.",
                "只有坐在这台机器前的人才能指定其中的文件夹并修改内容。",
            ),
            fix="zhilu code index FOLDER",
        )


@router.get("/repos")
def list_code_repos(request: Request) -> list[CodeRepo]:
    return Repos(context_of(request)).every()


@router.post("/repos", status_code=201)
def add_code_repo(body: CodeRepoIn, request: Request) -> CodeRepoJob:
    """Read a folder of this machine; only from this machine."""
    refuse_from_elsewhere(request)
    return _started(request, Repos(context_of(request)).add(Path(body.root), body.name))


@router.post("/sample", status_code=201)
def add_sample_repo(request: Request) -> CodeRepoJob:
    return _started(request, Repos(context_of(request)).add_sample())


def _started(request: Request, repo: CodeRepo) -> CodeRepoJob:
    context = context_of(request)
    job = start_index(context, repo)
    return CodeRepoJob(repo=Repos(context).get(repo.id), job=job)


@router.get("/repos/{repo}")
def get_code_repo(repo: str, request: Request) -> CodeRepo:
    return Repos(context_of(request)).get(repo)


@router.post("/repos/{repo}/index", status_code=202)
def index_code_repo(repo: str, request: Request) -> Job:
    """Read it again: only what has changed."""
    context = context_of(request)
    return start_index(context, Repos(context).get(repo))


@router.delete("/repos/{repo}", status_code=204)
def remove_code_repo(repo: str, request: Request) -> None:
    """Forget it; the folder is not touched."""
    Repos(context_of(request)).remove(repo)


def _index(request: Request, repo: str) -> IndexStore:
    repos = Repos(context_of(request))
    return repos.index(repos.get(repo))


@router.get("/repos/{repo}/files")
def list_code_files(repo: str, request: Request) -> list[CodeFile]:
    return _index(request, repo).files()


@router.get("/repos/{repo}/file")
def get_code_file(repo: str, path: str, request: Request) -> CodeText:
    """A file as it was when it was read. Out of the index: no path of the machine is opened."""
    store = _index(request, repo)
    found = next((f for f in store.files() if f.path == path), None)
    text = store.text(path)
    if found is None or text is None:
        raise NotFoundError(
            T(f"There is no file {path!r} in this index.", f"索引中没有文件 {path!r}。"),
            param="path",
            fix=f"zhilu code index {repo}",
        )
    return CodeText(file=found, text=text, symbols=store.symbols_of(path))


@router.get("/repos/{repo}/symbols")
def find_code_symbols(repo: str, name: str, request: Request) -> list[CodeSymbol]:
    return find_symbols(_index(request, repo), name[:200])


@router.get("/repos/{repo}/search")
def search_code(repo: str, q: str, request: Request) -> list[CodeHit]:
    return search(_index(request, repo), q[:2000])


@router.get("/repos/{repo}/callers")
def find_code_callers(repo: str, name: str, request: Request) -> list[CodeCaller]:
    return callers(_index(request, repo), name[:200])


@router.post("/repos/{repo}/answer")
async def answer_code(repo: str, body: CodeQuestionIn, request: Request) -> CodeAnswer:
    """The same as ``ask`` without a stream."""
    context = context_of(request)
    store = await asyncio.to_thread(_index, request, repo)
    answer = CodeAnswer(question=body.question, status="nothing")
    async with connect(context) as client:
        async for event in ask(client, named_model(context, body.model), store, body.question):
            if event.name == "done":
                answer = CodeAnswer.model_validate(event.data)
    return answer


@router.post("/repos/{repo}/ask", response_class=StreamingResponse)
async def ask_code(repo: str, body: CodeQuestionIn, request: Request) -> StreamingResponse:
    """Server-sent events ``passages | text | done | error``; disconnecting stops the model."""
    context = context_of(request)
    store = await asyncio.to_thread(_index, request, repo)  # a 404 must come before the stream begins
    model = named_model(context, body.model)

    async def lines() -> AsyncIterator[bytes]:
        try:
            async with connect(context) as client:
                async for event in ask(client, model, store, body.question):
                    yield event.frame()
        except ZhiluError as error:
            yield Event("error", error_body(error)).frame()
        except Exception as error:  # a stream that has begun ends with an event
            yield Event("error", error_body(as_error(error, repo=repo))).frame()

    return StreamingResponse(lines(), media_type=MEDIA_TYPE, headers=HEADERS)
