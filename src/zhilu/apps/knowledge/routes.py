"""``/zhilu/v1/knowledge``: signing in, asking, searching, reading, reports. What only admins do is in ``admin_routes``.

Every route but the three that sign in asks for a session, and looks at leave anew: what was taken back a moment ago is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, File, Query, Request, Response, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from zhilu.apps.knowledge import admin_routes
from zhilu.apps.knowledge.accounts import oidc
from zhilu.apps.knowledge.accounts.people import KnowledgePerson, People
from zhilu.apps.knowledge.accounts.session import COOKIE, Editor, Ledgered, SignedIn, address_of, set_cookie
from zhilu.apps.knowledge.accounts.sign_in import begin_session, end_session, person_of, sign_in
from zhilu.apps.knowledge.asking import AskedQuestion, ask, forget_gone, history, suggestions, vote
from zhilu.apps.knowledge.audit import record
from zhilu.apps.knowledge.insight import Gap, KnowledgeFigures, StaleDocument, figures, freshness, gaps
from zhilu.apps.knowledge.store import Ledger
from zhilu.client import connect
from zhilu.errors import AuthError, ForbiddenError, ZhiluError, error_body
from zhilu.events import HEADERS, MEDIA_TYPE, Event
from zhilu.host.security import is_loopback
from zhilu.logs import as_error
from zhilu.messages import T
from zhilu.rag.answer import (
    add_within,
    documents_within,
    knowledge_bases,
    read_within,
    remove_within,
    search_within,
    sync_within,
)

__all__ = ["lifespan", "router"]

router = APIRouter(prefix="/zhilu/v1/knowledge", tags=["knowledge-app"])


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Answers that rest on documents which were deleted go, beside the start."""
    task = None
    if not app.state.ephemeral:
        task = asyncio.create_task(asyncio.to_thread(_forget, Ledger(app.state.context)))
    yield
    if task is not None:
        await task


def _forget(ledger: Ledger) -> None:
    if ledger.path.is_file():
        with suppress(ZhiluError):
            forget_gone(ledger)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class KnowledgeSignIn(_Body):
    name: str = Field(min_length=1, max_length=64)
    password: str = Field(min_length=1, max_length=1024)


class KnowledgeMe(BaseModel):
    """``person`` is None for who is not signed in. ``empty``: there are no accounts yet, and the first may be made.
    ``oidc``: the provider that people may sign in with."""

    person: KnowledgePerson | None
    empty: bool
    oidc: str | None
    kbs: list[dict[str, Any]]


class KnowledgeTurn(_Body):
    role: Literal["user", "assistant"]
    content: str = Field(max_length=100_000)


class KnowledgeAsk(_Body):
    question: str = Field(min_length=1, max_length=4000)
    history: list[KnowledgeTurn] = Field(default_factory=list, max_length=50)
    model: str | None = Field(None, max_length=200)


class KnowledgeSearch(_Body):
    query: str = Field(min_length=1, max_length=4000)
    k: int = Field(10, ge=1, le=50)


class KnowledgeVote(_Body):
    rating: Literal[-1, 0, 1]
    note: str = Field("", max_length=2000)


class KnowledgeHit(BaseModel):
    kb_id: str
    doc_id: str
    doc_name: str
    chunk_id: int
    start: int
    end: int
    page: int | None
    heading: str
    text: str
    lang: str
    score: float


class KnowledgeDocument(BaseModel):
    """``source``: where it is kept in step with; None for one that was uploaded."""

    kb_id: str
    kb_name: str
    doc_id: str
    name: str
    size_bytes: int
    version: int
    added_at: str
    source: str | None


class KnowledgeText(BaseModel):
    doc_id: str
    name: str
    text: str


class KnowledgeUploaded(BaseModel):
    """``rejected``: name and the inside of ``errors.error_body``."""

    added: list[str]
    rejected: list[dict[str, Any]]
    job: str | None


# Signing in ------------------------------------------------------------------------------------------------------------


@router.get("/me")
def who_am_i(request: Request, ledger: Ledgered) -> KnowledgeMe:
    people = People(ledger)
    provider = oidc.provider_of(ledger)
    try:
        person = person_of(ledger, request.cookies.get(COOKIE))
    except AuthError:
        return KnowledgeMe(person=None, empty=not people.num_people(), oidc=provider and provider.title, kbs=[])
    allowed = {leave.kb_id: leave.folders is None for leave in people.leaves(person.id)}
    kbs = [
        {"id": kb["id"], "name": kb["name"], "whole": allowed[kb["id"]]}
        for kb in knowledge_bases(ledger.context)
        if kb["id"] in allowed
    ]
    return KnowledgeMe(person=person, empty=False, oidc=provider and provider.title, kbs=kbs)


@router.post("/sign-in")
def sign_in_here(body: KnowledgeSignIn, request: Request, response: Response, ledger: Ledgered) -> KnowledgePerson:
    person = sign_in(ledger, body.name, body.password, address_of(request))
    set_cookie(response, request, begin_session(ledger, person))
    return person


@router.post("/sign-out", status_code=204)
def sign_out_here(request: Request, response: Response, ledger: Ledgered) -> None:
    end_session(ledger, request.cookies.get(COOKIE))
    response.delete_cookie(COOKIE, path=router.prefix)


@router.post("/set-up", status_code=201)
def set_up(body: KnowledgeSignIn, request: Request, response: Response, ledger: Ledgered) -> KnowledgePerson:
    """The first account, an admin's: only from this machine, and only while there is none."""
    if request.client is None or not is_loopback(request.client.host):
        raise ForbiddenError(
            T("The first account is made at the machine itself.", "第一个账号只能在本机创建。"),
            fix="zhilu knowledge user add NAME --role admin",
        )
    person = People(ledger).add(body.name, body.password, "admin", who="", only_first=True)
    set_cookie(response, request, begin_session(ledger, person))
    return person


# Asking ----------------------------------------------------------------------------------------------------------------


@router.post("/ask", response_class=StreamingResponse)
async def ask_knowledge(body: KnowledgeAsk, ledger: Ledgered, person: SignedIn) -> StreamingResponse:
    """Server-sent events ``retrieved | delta | done | error``, over all that the person may read."""
    turns = [turn.model_dump() for turn in body.history]

    async def events() -> AsyncIterator[bytes]:
        try:
            async with connect(ledger.context) as client:
                source = ask(ledger, client, person, body.question, history=turns, model=body.model)
                async with aclosing(source):
                    async for event in source:
                        yield event.frame()
        except ZhiluError as error:
            yield Event("error", error_body(error)).frame()
        except Exception as error:  # a stream that has begun ends with an event
            yield Event("error", error_body(as_error(error))).frame()

    return StreamingResponse(events(), media_type=MEDIA_TYPE, headers=HEADERS)


@router.post("/search")
def search_knowledge(body: KnowledgeSearch, ledger: Ledgered, person: SignedIn) -> list[KnowledgeHit]:
    record(ledger, person.name, "search", "", query=body.query)
    leaves = People(ledger).leaves(person.id)
    return [KnowledgeHit(**h) for h in search_within(ledger.context, leaves, body.query, k=body.k)]


@router.get("/suggestions")
def suggest_knowledge(
    ledger: Ledgered, person: SignedIn, text: Annotated[str, Query(max_length=200)] = ""
) -> list[str]:
    return suggestions(ledger, person, text)


@router.get("/questions")
def my_questions(
    ledger: Ledgered, person: SignedIn, limit: Annotated[int, Query(ge=1, le=1000)] = 50
) -> list[AskedQuestion]:
    return history(ledger, person, limit)


@router.post("/questions/{question_id}/feedback", status_code=204)
def give_feedback(question_id: str, body: KnowledgeVote, ledger: Ledgered, person: SignedIn) -> None:
    vote(ledger, person, question_id, body.rating, body.note)


# Documents -------------------------------------------------------------------------------------------------------------


@router.get("/documents")
def list_readable(ledger: Ledgered, person: SignedIn) -> list[KnowledgeDocument]:
    found = documents_within(ledger.context, People(ledger).leaves(person.id))
    return [KnowledgeDocument(**{k: d[k] for k in KnowledgeDocument.model_fields}) for d in found]


@router.get("/kbs/{kb_id}/documents/{doc_id}")
def read_document(kb_id: str, doc_id: str, ledger: Ledgered, person: SignedIn) -> KnowledgeText:
    """404 also for what is there and may not be read."""
    found = read_within(ledger.context, People(ledger).leaves(person.id), kb_id, doc_id)
    record(ledger, person.name, "read", doc_id, kb=kb_id)
    return KnowledgeText(doc_id=doc_id, name=found["name"], text=found["text"])


@router.post("/kbs/{kb_id}/documents")
def add_to_knowledge(
    kb_id: str, files: Annotated[list[UploadFile], File()], ledger: Ledgered, person: Editor
) -> KnowledgeUploaded:
    """For editors, into a knowledge base of which they may read all."""
    leaves = People(ledger).leaves(person.id)
    done = add_within(ledger.context, leaves, kb_id, [(f.filename or "", f.file) for f in files])
    record(ledger, person.name, "document.add", kb_id, names=done["added"])
    return KnowledgeUploaded(**done)


@router.delete("/kbs/{kb_id}/documents/{doc_id}", status_code=204)
def remove_from_knowledge(kb_id: str, doc_id: str, ledger: Ledgered, person: Editor) -> None:
    name = remove_within(ledger.context, People(ledger).leaves(person.id), kb_id, doc_id)
    record(ledger, person.name, "document.remove", kb_id, name=name)
    forget_gone(ledger)


@router.post("/kbs/{kb_id}/sync", status_code=202)
def sync_knowledge(kb_id: str, ledger: Ledgered, person: Editor) -> list[str]:
    """Read the sources again; the ids of the jobs."""
    jobs = sync_within(ledger.context, People(ledger).leaves(person.id), kb_id)
    record(ledger, person.name, "sync", kb_id)
    return jobs


# Reports ---------------------------------------------------------------------------------------------------------------


@router.get("/reports/freshness")
def report_freshness(
    ledger: Ledgered, person: Editor, days: Annotated[int, Query(ge=1, le=3650)] = 180
) -> list[StaleDocument]:
    return freshness(ledger, person, days=days)


@router.get("/reports/gaps")
def report_gaps(ledger: Ledgered, person: Editor, days: Annotated[int, Query(ge=1, le=3650)] = 90) -> list[Gap]:
    return gaps(ledger, person, days=days)


@router.get("/reports/figures")
def report_figures(
    ledger: Ledgered, person: Editor, days: Annotated[int, Query(ge=1, le=366)] = 30
) -> KnowledgeFigures:
    return figures(ledger, person, days=days)


router.include_router(oidc.router)
router.include_router(admin_routes.router)
