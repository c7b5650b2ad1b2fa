"""Desks of a shop: what one answers with, who may show it, and its canned answers."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from zhilu.apps.support.tables import DeskRow, FaqRow
from zhilu.context import Context
from zhilu.errors import ConflictError, InputError, NotFoundError, nearest
from zhilu.messages import T

__all__ = ["MAX_FAQS", "Desk", "DeskSettings", "Desks", "FaqEntry", "FaqWish", "origin_of"]

MAX_FAQS = 500


def origin_of(text: str) -> str | None:
    """The origin (RFC 6454) that a person typed, as a browser sends it; None where it is none."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        return None
    host = (parts.hostname or "").lower()
    is_plain = not (parts.username or parts.password or parts.query or parts.fragment or parts.path.strip("/"))
    if parts.scheme not in ("http", "https") or not host or not host.isascii() or "*" in host or not is_plain:
        return None
    host = f"[{host}]" if ":" in host else host
    is_usual = port is None or port == {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + ("" if is_usual else f":{port}")


class DeskSettings(BaseModel):
    """``origins``: the sites whose pages may show the widget. ``verify_phone``: an order is told only with the last four digits
    of its phone number. ``patience``: so many answers in a row that were none, then a person is asked. ``model``: None, the one that runs."""

    model_config = ConfigDict(extra="forbid")
    greeting: str = Field("", max_length=500)
    origins: list[str] = Field(default_factory=list, max_length=50)
    verify_phone: bool = True
    patience: int = Field(2, ge=1, le=10)
    model: str | None = Field(None, max_length=200)

    @field_validator("origins")
    @classmethod
    def _as_browsers_send_them(cls, given: list[str]) -> list[str]:
        origins = [(text, origin_of(text)) for text in given if text.strip()]
        wrong = [text for text, origin in origins if origin is None]
        if wrong:
            raise ValueError(f"not an origin such as https://shop.example: {wrong[0][:100]!r}")
        return list(dict.fromkeys(origin for _, origin in origins if origin is not None))


class Desk(BaseModel):
    id: str
    name: str
    kb_id: str | None
    settings: DeskSettings
    created_at: datetime


class FaqWish(BaseModel):
    """A canned answer: the questions it answers, in any language, and the words by language."""

    model_config = ConfigDict(extra="forbid")
    questions: list[str] = Field(min_length=1, max_length=30)
    answers: dict[str, str]

    @field_validator("questions")
    @classmethod
    def _some_question(cls, given: list[str]) -> list[str]:
        kept = list(dict.fromkeys(q for text in given if (q := " ".join(text.split()))))
        if not kept or any(len(q) > 300 for q in kept):
            raise ValueError("one to 30 questions of at most 300 characters")
        return kept

    @field_validator("answers")
    @classmethod
    def _some_answer(cls, given: dict[str, str]) -> dict[str, str]:
        kept = {lang: text.strip() for lang, text in given.items() if text.strip()}
        if not kept or not kept.keys() <= {"en", "zh"} or any(len(text) > 4000 for text in kept.values()):
            raise ValueError("an answer in en, zh or both, of at most 4000 characters")
        return kept


class FaqEntry(BaseModel):
    id: str
    questions: list[str]
    answers: dict[str, str]
    num_used: int = 0

    def answer_in(self, lang: str) -> str:
        """In the customer's language where it was written in it, else in the one there is."""
        return self.answers.get(lang) or next(iter(self.answers.values()))


class Desks:
    """The desks of one data home. Every method is one transaction.

    Raises (every method that takes a desk): NotFoundError, with the nearest name.
    """

    def __init__(self, context: Context) -> None:
        self._database = context.database
        self.folder = context.home.path / "apps" / "support"

    def every(self) -> list[Desk]:
        with self._database.reading() as session:
            return [_desk(row) for row in session.scalars(select(DeskRow).order_by(DeskRow.created_at))]

    def get(self, name: str) -> Desk:
        """By id or name."""
        with self._database.reading() as session:
            return _desk(_find(session, name))

    def create(self, name: str, settings: DeskSettings | None = None, kb_id: str | None = None) -> Desk:
        """Raises: ConflictError: the name is taken."""
        name = _name(name)
        row = DeskRow(
            id=uuid.uuid4().hex[:12], name=name, kb_id=kb_id, settings=(settings or DeskSettings()).model_dump()
        )
        with self._database.session() as session:
            _refuse_taken(session, name)
            session.add(row)
            session.flush()
            return _desk(row)

    def change(self, desk: str, changes: dict[str, Any]) -> Desk:
        """Set any of ``name``, ``kb_id``, ``settings`` (whole)."""
        with self._database.session() as session:
            row = _find(session, desk)
            if "name" in changes and (name := _name(changes["name"])) != row.name:
                _refuse_taken(session, name)
                row.name = name
            if "kb_id" in changes:
                row.kb_id = changes["kb_id"]
            if "settings" in changes:
                row.settings = DeskSettings.model_validate(changes["settings"]).model_dump()
            return _desk(row)

    def remove(self, desk: str) -> str:
        """Forget it with all that was said at it; returns its id."""
        with self._database.session() as session:
            row = _find(session, desk)
            session.delete(row)
            return row.id

    def faqs(self, desk_id: str) -> list[FaqEntry]:
        with self._database.reading() as session:
            rows = session.scalars(select(FaqRow).where(FaqRow.desk_id == desk_id).order_by(FaqRow.seq))
            return [FaqEntry.model_validate(row, from_attributes=True) for row in rows]

    def add_faqs(self, desk_id: str, wishes: Sequence[FaqWish]) -> list[FaqEntry]:
        """Raises: InputError: it has as many as it may have."""
        with self._database.session() as session:
            _find(session, desk_id)
            there = session.scalar(select(func.count()).where(FaqRow.desk_id == desk_id)) or 0
            if there + len(wishes) > MAX_FAQS:
                raise InputError(
                    T(f"A desk has at most {MAX_FAQS} canned answers.", f"一个服务台最多 {MAX_FAQS} 条常见问题。"),
                    param="questions",
                )
            last = session.scalar(select(func.max(FaqRow.seq)).where(FaqRow.desk_id == desk_id)) or 0
            rows = [
                FaqRow(id=uuid.uuid4().hex[:12], desk_id=desk_id, seq=last + n, num_used=0, **wish.model_dump())
                for n, wish in enumerate(wishes, start=1)
            ]
            session.add_all(rows)
            session.flush()
            return [FaqEntry.model_validate(row, from_attributes=True) for row in rows]

    def change_faq(self, desk_id: str, faq_id: str, wish: FaqWish) -> FaqEntry:
        with self._database.session() as session:
            row = _find_faq(session, desk_id, faq_id)
            row.questions, row.answers = wish.questions, wish.answers
            return FaqEntry.model_validate(row, from_attributes=True)

    def remove_faq(self, desk_id: str, faq_id: str) -> None:
        with self._database.session() as session:
            session.delete(_find_faq(session, desk_id, faq_id))

    def count_faq(self, desk_id: str, faq_id: str) -> None:
        """One more use; nothing where it is gone meanwhile."""
        with self._database.session() as session:
            row = session.get(FaqRow, faq_id)
            if row is not None and row.desk_id == desk_id:
                row.num_used += 1


def _desk(row: DeskRow) -> Desk:
    return Desk.model_validate(row, from_attributes=True)


def _name(given: str) -> str:
    name = " ".join(given.split())
    if not name or len(name) > 100:
        raise InputError(
            T(
                f"A desk has a name of 1 to 100 characters, not {given[:20]!r}.",
                f"服务台名称为 1 到 100 个字，不能是 {given[:20]!r}。",
            ),
            param="name",
        )
    return name


def _refuse_taken(session: Session, name: str) -> None:
    if session.scalar(select(DeskRow).where(DeskRow.name == name)) is not None:
        raise ConflictError(
            T(f"A desk {name!r} is there already.", f"服务台 {name!r} 已经存在。"),
            param="name",
            fix="zhilu support desks",
        )


def _find(session: Session, name: str) -> DeskRow:
    row = session.get(DeskRow, name) or session.scalar(select(DeskRow).where(DeskRow.name == name))
    if row is None:
        near = nearest(name, list(session.scalars(select(DeskRow.name))))
        raise NotFoundError(
            T(
                f"There is no desk {name!r}." + (f" Did you mean {near!r}?" if near else ""),
                f"没有名为 {name!r} 的服务台。" + (f"是不是 {near!r}？" if near else ""),
            ),
            param="desk",
            fix="zhilu support desks",
        )
    return row


def _find_faq(session: Session, desk_id: str, faq_id: str) -> FaqRow:
    row = session.get(FaqRow, faq_id)
    if row is None or row.desk_id != desk_id:
        raise NotFoundError(T(f"There is no canned answer {faq_id!r} here.", f"这里没有常见问题 {faq_id!r}。"))
    return row
