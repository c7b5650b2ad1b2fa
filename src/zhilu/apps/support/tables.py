"""The tables of desks and their conversations. They belong to this application and go when it is removed (``zhilu.tables``)."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from zhilu.migrations import Tables
from zhilu.tables import Utc, now

__all__ = ["TABLES", "ContactRow", "DeskRow", "FaqRow", "LineRow", "SupportBase"]


class SupportBase(DeclarativeBase):
    """Base of the tables below."""


class DeskRow(SupportBase):
    __tablename__ = "support_desks"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    kb_id: Mapped[str | None] = mapped_column(String(64), nullable=True)
    settings: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    created_at: Mapped[datetime] = mapped_column(Utc, default=now)


class FaqRow(SupportBase):
    """A canned answer: ``questions`` it answers, in any language; ``answers`` by language."""

    __tablename__ = "support_faqs"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    desk_id: Mapped[str] = mapped_column(ForeignKey("support_desks.id", ondelete="CASCADE"), index=True)
    questions: Mapped[list[str]] = mapped_column(JSON)
    answers: Mapped[dict[str, str]] = mapped_column(JSON)
    num_used: Mapped[int] = mapped_column(Integer, default=0)
    seq: Mapped[int] = mapped_column(Integer, default=0)


class ContactRow(SupportBase):
    """One customer's conversation. ``secret``: SHA-256 of what the customer's page shows to go on with it; ``memory``: what the
    bot keeps between turns; ``ticket``: the number it has from when a person was asked for."""

    __tablename__ = "support_contacts"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    desk_id: Mapped[str] = mapped_column(ForeignKey("support_desks.id", ondelete="CASCADE"), index=True)
    secret: Mapped[str] = mapped_column(String(64))
    origin: Mapped[str] = mapped_column(String(300), default="")
    status: Mapped[str] = mapped_column(String(16), default="bot", index=True)
    memory: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    ticket: Mapped[int | None] = mapped_column(Integer, nullable=True, unique=True)
    reason: Mapped[str | None] = mapped_column(String(32), nullable=True)
    agent: Mapped[str | None] = mapped_column(String(100), nullable=True)
    rating: Mapped[int | None] = mapped_column(Integer, nullable=True)
    remark: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(Utc, default=now)
    updated_at: Mapped[datetime] = mapped_column(Utc, default=now, index=True)
    waiting_at: Mapped[datetime | None] = mapped_column(Utc, nullable=True)
    closed_at: Mapped[datetime | None] = mapped_column(Utc, nullable=True)


class LineRow(SupportBase):
    """What was said or done, in order; ``id`` is the cursor of an event stream."""

    __tablename__ = "support_lines"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    contact_id: Mapped[str] = mapped_column(ForeignKey("support_contacts.id", ondelete="CASCADE"))
    role: Mapped[str] = mapped_column(String(16))
    content: Mapped[str] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    created_at: Mapped[datetime] = mapped_column(Utc, default=now)
    __table_args__ = (Index("ix_support_lines_contact", "contact_id", "id"), {"sqlite_autoincrement": True})


TABLES = Tables("support", SupportBase.metadata, Path(__file__).with_name("migrations"))
