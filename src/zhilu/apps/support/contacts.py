"""Conversations of customers: what was said, who has them, the ticket, the rating."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from zhilu.apps.support.tables import ContactRow, LineRow
from zhilu.context import Context
from zhilu.errors import ConflictError, ForbiddenError, InputError, NotFoundError
from zhilu.messages import T
from zhilu.tables import now

__all__ = ["Contacts", "Reason", "Role", "Status", "SupportContact", "SupportLine"]

Status = Literal["bot", "waiting", "taken", "closed"]
Role = Literal["customer", "bot", "agent", "event"]
Reason = Literal["asked", "complaint", "unanswered", "phone"]
_MAX_LINES = 2_000


class SupportLine(BaseModel):
    """``details`` of a bot's line: ``intent``, ``by`` and what it rests on; of an ``event``: ``what`` (``waiting``, ``taken``,
    ``closed``, ``rated``)."""

    id: int
    role: Role
    content: str
    details: dict[str, Any]
    created_at: datetime


class SupportContact(BaseModel):
    """One conversation. ``ticket``: its number from when a person was asked for."""

    id: str
    desk_id: str
    status: Status
    ticket: int | None
    reason: Reason | None
    agent: str | None
    rating: int | None
    remark: str
    origin: str
    last: str = ""
    created_at: datetime
    updated_at: datetime
    waiting_at: datetime | None
    closed_at: datetime | None


class Contacts:
    """Every method is one transaction.

    Raises (every method that takes an id): NotFoundError: there is no such conversation.
    """

    def __init__(self, context: Context) -> None:
        self._database = context.database

    def open(self, desk_id: str, origin: str = "") -> tuple[SupportContact, str]:
        """A new conversation, and the secret with which its customer goes on with it; only its hash is kept."""
        secret = secrets.token_urlsafe(32)
        row = ContactRow(
            id=uuid.uuid4().hex, desk_id=desk_id, secret=_hash(secret), origin=origin[:300], memory={}, remark=""
        )
        with self._database.session() as session:
            session.add(row)
            session.flush()
            return _contact(row), secret

    def get(self, contact_id: str) -> SupportContact:
        with self._database.reading() as session:
            return _contact(_find(session, contact_id), _last(session, contact_id))

    def of_customer(self, desk_id: str, contact_id: str, secret: str) -> SupportContact:
        """Raises: ForbiddenError: the secret is not this conversation's, or there is none of this desk; which of both is not told."""
        with self._database.reading() as session:
            row = session.get(ContactRow, contact_id)
            known = row.secret if row is not None and row.desk_id == desk_id else _hash("")
            if not hmac.compare_digest(known, _hash(secret)) or row is None or not secret:
                raise ForbiddenError(T("This conversation is not yours.", "这不是您的对话。"), code="wrong_secret")
            return _contact(row)

    def memory(self, contact_id: str) -> dict[str, Any]:
        with self._database.reading() as session:
            return dict(_find(session, contact_id).memory)

    def lines(self, contact_id: str, after: int = 0) -> list[SupportLine]:
        with self._database.reading() as session:
            rows = session.scalars(
                select(LineRow)
                .where(LineRow.contact_id == contact_id, LineRow.id > after)
                .order_by(LineRow.id)
                .limit(_MAX_LINES)
            )
            return [SupportLine.model_validate(row, from_attributes=True) for row in rows]

    def say(
        self,
        contact_id: str,
        role: Role,
        content: str,
        details: dict[str, Any] | None = None,
        memory: dict[str, Any] | None = None,
    ) -> SupportLine:
        """Add a line.

        Raises:
            ConflictError: the conversation is closed, or an agent speaks who has not taken it.
        """
        with self._database.session() as session:
            row = _find(session, contact_id)
            if row.status == "closed":
                raise ConflictError(T("This conversation is closed.", "这个对话已经结束。"), code="closed")
            if role == "agent" and row.status != "taken":
                raise ConflictError(
                    T("Take the conversation before you answer.", "请先接入对话再回复。"),
                    code="not_taken",
                    fix=f"zhilu support queue --take {row.ticket or contact_id}",
                )
            if memory is not None:
                row.memory = memory
            return _add(session, row, role, content, details or {})

    def hand_over(self, contact_id: str, reason: Reason) -> SupportContact:
        """Put it into the queue, with a ticket; one that is there already stays as it is."""
        with self._database.session() as session:
            row = _find(session, contact_id)
            if row.status == "bot":
                row.status, row.reason, row.waiting_at = "waiting", reason, now()
                row.ticket = (session.scalar(select(func.max(ContactRow.ticket))) or 1000) + 1
                _add(session, row, "event", "", {"what": "waiting", "reason": reason, "ticket": row.ticket})
            return _contact(row)

    def take(self, contact_id: str, agent: str) -> SupportContact:
        """Raises: ConflictError: somebody else has it, or it is over."""
        agent = " ".join(agent.split())[:100] or "agent"
        with self._database.session() as session:
            row = _find(session, contact_id)
            if row.status == "closed" or (row.status == "taken" and row.agent != agent):
                raise ConflictError(
                    T(
                        f"It is {'closed' if row.status == 'closed' else f'with {row.agent}'} already.",
                        "对话已结束。" if row.status == "closed" else f"{row.agent} 已经接入。",
                    ),
                    code="taken",
                )
            if row.status != "taken":
                row.status, row.agent = "taken", agent
                if row.ticket is None:  # an agent may step in before anybody asked
                    row.ticket = (session.scalar(select(func.max(ContactRow.ticket))) or 1000) + 1
                _add(session, row, "event", "", {"what": "taken", "agent": agent, "ticket": row.ticket})
            return _contact(row)

    def close(self, contact_id: str, by: Literal["customer", "agent"]) -> SupportContact:
        with self._database.session() as session:
            row = _find(session, contact_id)
            if row.status != "closed":
                row.status, row.closed_at = "closed", now()
                _add(session, row, "event", "", {"what": "closed", "by": by})
            return _contact(row)

    def rate(self, contact_id: str, rating: int, remark: str = "") -> SupportContact:
        """Once, after the end.

        Raises:
            ConflictError: it goes on, or has been rated.
        """
        if not 1 <= rating <= 5:
            raise InputError(T("A rating is 1 to 5.", "评分为 1 到 5。"), param="rating")
        with self._database.session() as session:
            row = _find(session, contact_id)
            if row.status != "closed" or row.rating is not None:
                raise ConflictError(
                    T("A conversation is rated once, after its end.", "对话结束后可以评分一次。"), code="not_now"
                )
            row.rating, row.remark = rating, remark.strip()[:1000]
            _add(session, row, "event", "", {"what": "rated", "rating": rating})
            return _contact(row)

    def every(self, desk_id: str | None = None, status: Status | None = None, limit: int = 200) -> list[SupportContact]:
        """The longest waiting first where they wait, else the newest first."""
        with self._database.reading() as session:
            wanted = select(ContactRow)
            if desk_id is not None:
                wanted = wanted.where(ContactRow.desk_id == desk_id)
            if status is not None:
                wanted = wanted.where(ContactRow.status == status)
            order = ContactRow.waiting_at if status == "waiting" else ContactRow.updated_at.desc()
            rows = list(session.scalars(wanted.order_by(order).limit(limit)))
            return [_contact(row, _last(session, row.id)) for row in rows]

    def by_ticket(self, ticket: int) -> SupportContact:
        with self._database.reading() as session:
            row = session.scalar(select(ContactRow).where(ContactRow.ticket == ticket))
            if row is None:
                raise NotFoundError(
                    T(f"There is no ticket {ticket}.", f"没有工单 {ticket}。"), fix="zhilu support queue"
                )
            return _contact(row, _last(session, row.id))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _contact(row: ContactRow, last: str = "") -> SupportContact:
    return SupportContact.model_validate({**{c.key: getattr(row, c.key) for c in row.__table__.columns}, "last": last})


def _find(session: Session, contact_id: str) -> ContactRow:
    row = session.get(ContactRow, contact_id)
    if row is None:
        raise NotFoundError(T(f"There is no conversation {contact_id!r}.", f"没有对话 {contact_id!r}。"))
    return row


def _last(session: Session, contact_id: str) -> str:
    said = session.scalar(
        select(LineRow.content)
        .where(LineRow.contact_id == contact_id, LineRow.role == "customer")
        .order_by(LineRow.id.desc())
        .limit(1)
    )
    return (said or "")[:200]


def _add(session: Session, row: ContactRow, role: Role, content: str, details: dict[str, Any]) -> SupportLine:
    line = LineRow(contact_id=row.id, role=role, content=content, details=details)
    row.updated_at = now()
    session.add(line)
    session.flush()
    return SupportLine.model_validate(line, from_attributes=True)
