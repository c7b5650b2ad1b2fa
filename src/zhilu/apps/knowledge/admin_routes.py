"""``/zhilu/v1/knowledge/admin``: accounts, groups, leave, the audit log."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from zhilu.apps.knowledge.accounts.people import KnowledgeGroup, KnowledgePerson, People, Role
from zhilu.apps.knowledge.accounts.session import Admin, Ledgered
from zhilu.apps.knowledge.audit import AuditEntry, entries, export, first_broken, record
from zhilu.errors import NotFoundError
from zhilu.messages import T
from zhilu.rag.answer import knowledge_bases

__all__ = ["router"]

router = APIRouter(prefix="/admin")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewPerson(_Body):
    name: str = Field(min_length=1, max_length=64)
    password: str = Field(min_length=1, max_length=1024)
    shown: str = Field("", max_length=100)
    role: Role = "reader"
    groups: list[str] = Field(default_factory=list, max_length=200)


class PersonChanges(_Body):
    role: Role | None = None
    disabled: bool | None = None
    password: str | None = Field(None, max_length=1024)
    groups: list[str] | None = Field(None, max_length=200)


class NewGroup(_Body):
    name: str = Field(min_length=1, max_length=60)


class LeaveIn(_Body):
    """``folder`` empty: all of the knowledge base."""

    kb_id: str = Field(max_length=100)
    folder: str = Field("", max_length=1000)


class AuditPage(BaseModel):
    """``broken``: the id of the first row that is not what was written; None if all are whole."""

    entries: list[AuditEntry]
    broken: int | None


class KnowledgeBaseName(BaseModel):
    id: str
    name: str
    num_documents: int


@router.get("/people")
def list_people(ledger: Ledgered, admin: Admin) -> list[KnowledgePerson]:
    return People(ledger).every()


@router.post("/people", status_code=201)
def add_person(body: NewPerson, ledger: Ledgered, admin: Admin) -> KnowledgePerson:
    people = People(ledger)
    for group in body.groups:
        people.group(group)  # a name that is none is said before anything is made
    person = people.add(body.name, body.password, body.role, shown=body.shown, who=admin.name)
    return people.change(person.id, groups=body.groups, who=admin.name) if body.groups else person


@router.patch("/people/{person_id}")
def change_person(person_id: str, body: PersonChanges, ledger: Ledgered, admin: Admin) -> KnowledgePerson:
    return People(ledger).change(person_id, who=admin.name, **body.model_dump())


@router.delete("/people/{person_id}", status_code=204)
def remove_person(person_id: str, ledger: Ledgered, admin: Admin) -> None:
    People(ledger).remove(person_id, who=admin.name)


@router.get("/groups")
def list_groups(ledger: Ledgered, admin: Admin) -> list[KnowledgeGroup]:
    return People(ledger).groups()


@router.post("/groups", status_code=201)
def add_group(body: NewGroup, ledger: Ledgered, admin: Admin) -> KnowledgeGroup:
    return People(ledger).add_group(body.name, who=admin.name)


@router.delete("/groups/{group_id}", status_code=204)
def remove_group(group_id: str, ledger: Ledgered, admin: Admin) -> None:
    People(ledger).remove_group(group_id, who=admin.name)


@router.post("/groups/{group_id}/leaves", status_code=201)
def grant_leave(group_id: str, body: LeaveIn, ledger: Ledgered, admin: Admin) -> KnowledgeGroup:
    if body.kb_id not in {kb["id"] for kb in knowledge_bases(ledger.context)}:
        raise NotFoundError(
            T(f"There is no knowledge base {body.kb_id!r}.", f"没有知识库 {body.kb_id!r}。"), fix="zhilu kb list"
        )
    People(ledger).grant(group_id, body.kb_id, body.folder, who=admin.name)
    return People(ledger).group(group_id)


@router.delete("/groups/{group_id}/leaves/{kb_id}")
def revoke_leave(
    group_id: str, kb_id: str, ledger: Ledgered, admin: Admin, folder: Annotated[str | None, Query()] = None
) -> KnowledgeGroup:
    """Without ``folder`` every leave for this knowledge base."""
    People(ledger).revoke(group_id, kb_id, folder, who=admin.name)
    return People(ledger).group(group_id)


@router.get("/kbs")
def list_all_kbs(ledger: Ledgered, admin: Admin) -> list[KnowledgeBaseName]:
    """Names alone: giving leave needs them, and reads nothing."""
    found: list[dict[str, Any]] = knowledge_bases(ledger.context)
    return [KnowledgeBaseName(id=kb["id"], name=kb["name"], num_documents=kb["num_documents"]) for kb in found]


@router.get("/audit")
def read_audit(
    ledger: Ledgered, admin: Admin, limit: Annotated[int, Query(ge=1, le=1000)] = 100, before: int | None = None,
    did: Annotated[str | None, Query(max_length=60)] = None,
) -> AuditPage:  # fmt: skip
    return AuditPage(entries=entries(ledger, limit=limit, before=before, did=did), broken=first_broken(ledger))


@router.get("/audit/export", response_class=StreamingResponse)
def export_audit(ledger: Ledgered, admin: Admin) -> StreamingResponse:
    """JSON lines, the oldest first."""
    record(ledger, admin.name, "audit.export")
    return StreamingResponse(
        export(ledger), media_type="application/x-ndjson",
        headers={"Content-Disposition": "attachment; filename=audit.jsonl"},
    )  # fmt: skip
