"""What a route is given: the ledger, and who is signed in with which role; and the cookie."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Response

from zhilu.apps.knowledge.accounts.people import KnowledgePerson
from zhilu.apps.knowledge.accounts.sign_in import HOURS, person_of
from zhilu.apps.knowledge.store import Ledger
from zhilu.context import context_of
from zhilu.errors import ForbiddenError
from zhilu.host.security import is_loopback
from zhilu.messages import T

__all__ = ["COOKIE", "Admin", "Editor", "Ledgered", "SignedIn", "address_of", "set_cookie"]

COOKIE = "zhilu_knowledge"
_PATH = "/zhilu/v1/knowledge"


def _ledger(request: Request) -> Ledger:
    return Ledger(context_of(request))


def _signed_in(request: Request) -> KnowledgePerson:
    return person_of(Ledger(context_of(request)), request.cookies.get(COOKIE))


def _editor(person: Annotated[KnowledgePerson, Depends(_signed_in)]) -> KnowledgePerson:
    return _of_role(person, "editor", "admin")


def _admin(person: Annotated[KnowledgePerson, Depends(_signed_in)]) -> KnowledgePerson:
    return _of_role(person, "admin")


def _of_role(person: KnowledgePerson, *roles: str) -> KnowledgePerson:
    if person.role not in roles:
        raise ForbiddenError(
            T(f"This is for {' and '.join(roles)}s.", f"此操作仅限 {'、'.join(roles)} 角色。"), code="role_not_allowed"
        )
    return person


Ledgered = Annotated[Ledger, Depends(_ledger)]
SignedIn = Annotated[KnowledgePerson, Depends(_signed_in)]
Editor = Annotated[KnowledgePerson, Depends(_editor)]
Admin = Annotated[KnowledgePerson, Depends(_admin)]


def set_cookie(response: Response, request: Request, token: str) -> None:
    """No script can read it, no other site's page sends it, and over https it is never sent without."""
    response.set_cookie(
        COOKIE, token, max_age=HOURS * 3600, path=_PATH, httponly=True, samesite="strict",
        secure=request.url.scheme == "https",
    )  # fmt: skip


def address_of(request: Request) -> str:
    """Where the person is. A program before this one says so, and is believed if it is on this machine or has the key: anybody
    else could give himself a new address for each try."""
    near = request.client.host if request.client is not None else ""
    said = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    if said and (is_loopback(near) or context_of(request).settings.api_key):
        return said[:64]
    return near
