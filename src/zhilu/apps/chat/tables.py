"""The tables of conversations. They belong to this application and go when it is removed (``zhilu.tables``)."""

from __future__ import annotations

import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Boolean, Float, ForeignKey, Integer, LargeBinary, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from zhilu.migrations import Tables
from zhilu.tables import Utc, now

__all__ = [
    "TABLES", "AttachmentRow", "ChatBase", "ConversationRow", "FolderRow", "MessageRow", "SavedPromptRow",
]  # fmt: skip


class ChatBase(DeclarativeBase):
    """Base of the tables below."""


class ConversationRow(ChatBase):
    """A chat. Its messages form a tree (edits and regenerations are branches); ``head_id`` is the leaf shown."""

    __tablename__ = "conversations"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    title: Mapped[str] = mapped_column(Text, default="")
    model: Mapped[str | None] = mapped_column(String(200), nullable=True)
    kb_id: Mapped[str | None] = mapped_column(String(64), nullable=True)
    system_prompt: Mapped[str] = mapped_column(Text, default="", server_default="")
    tools: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")
    params: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict, server_default="{}")
    web: Mapped[bool] = mapped_column(Boolean, default=False, server_default="0")
    folder_id: Mapped[str | None] = mapped_column(String(32), nullable=True)
    head_id: Mapped[str | None] = mapped_column(String(32), nullable=True)
    created_at: Mapped[datetime] = mapped_column(Utc, default=now)
    updated_at: Mapped[datetime] = mapped_column(Utc, default=now, index=True)


class MessageRow(ChatBase):
    __tablename__ = "messages"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"), index=True)
    parent_id: Mapped[str | None] = mapped_column(String(32), nullable=True)
    role: Mapped[str] = mapped_column(String(16))
    content: Mapped[str] = mapped_column(Text, default="")
    thought: Mapped[str] = mapped_column(Text, default="", server_default="")
    thought_seconds: Mapped[float | None] = mapped_column(Float, nullable=True)
    status: Mapped[str] = mapped_column(String(16), default="complete")
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON, nullable=True)
    citations: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    usage: Mapped[dict[str, Any] | None] = mapped_column(JSON, nullable=True)
    finish_reason: Mapped[str | None] = mapped_column(String(32), nullable=True)
    model: Mapped[str | None] = mapped_column(String(200), nullable=True)
    trace_id: Mapped[str | None] = mapped_column(String(64), nullable=True)
    attachments: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list, server_default="[]")
    steps: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list, server_default="[]")
    notes: Mapped[list[dict[str, str]]] = mapped_column(JSON, default=list, server_default="[]")
    run_id: Mapped[str | None] = mapped_column(String(32), nullable=True)
    # Order of birth: two messages of one turn can fall into the same microsecond.
    seq: Mapped[int] = mapped_column(Integer, default=0)
    created_at: Mapped[datetime] = mapped_column(Utc, default=now)


class AttachmentRow(ChatBase):
    """A file that was attached to a question, as text. It has no conversation until the question is sent."""

    __tablename__ = "attachments"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=lambda: uuid.uuid4().hex)
    conversation_id: Mapped[str | None] = mapped_column(
        ForeignKey("conversations.id", ondelete="CASCADE"), nullable=True, index=True
    )
    name: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(200))
    text: Mapped[str] = mapped_column(Text)
    notes: Mapped[list[dict[str, str]]] = mapped_column(JSON, default=list, server_default="[]")
    content: Mapped[bytes | None] = mapped_column(LargeBinary, nullable=True)  # of a picture: a model may see it
    created_at: Mapped[datetime] = mapped_column(Utc, default=now)


class FolderRow(ChatBase):
    """A folder of conversations; they outlive it."""

    __tablename__ = "chat_folders"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=lambda: uuid.uuid4().hex)
    name: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Utc, default=now)


class SavedPromptRow(ChatBase):
    """A text that one writes often, found by its name."""

    __tablename__ = "chat_prompts"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=lambda: uuid.uuid4().hex)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Utc, default=now)


TABLES = Tables("chat", ChatBase.metadata, Path(__file__).with_name("migrations"))
