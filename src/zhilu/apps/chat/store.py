"""Conversations in the state database.

The messages of a conversation form a tree: an edit or a regeneration starts a new branch, so nothing is lost.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from zhilu.apps.chat.steps import ChatStep
from zhilu.apps.chat.tables import ConversationRow, MessageRow
from zhilu.context import Context
from zhilu.errors import InputError, NotFoundError
from zhilu.messages import T
from zhilu.tables import now

__all__ = ["Conversation", "ConversationStore", "Found", "Message", "Summary"]

MessageStatus = Literal["complete", "streaming", "stopped", "error"]
TITLE_CHARACTERS = 40
_PLACE = 40  # characters shown before and after what was found
_ESCAPE = "\\"


class Message(BaseModel):
    """One message. ``status`` is ``streaming`` only while a turn is in progress in this process; ``finish_reason`` is the
    model's, or ``interrupted`` where the server ended in the middle of the answer."""

    id: str
    parent_id: str | None
    role: Literal["user", "assistant"]
    content: str
    thought: str = ""  # of a thinking model, before its answer
    thought_seconds: float | None = None
    status: MessageStatus
    error: dict[str, Any] | None = None
    citations: list[dict[str, Any]] = []
    attachments: list[dict[str, Any]] = []  # id, name, kind, num_chars; in what was sent also ``shown``, its characters
    usage: dict[str, Any] | None = None
    finish_reason: str | None = None
    model: str | None = None
    trace_id: str | None = None
    steps: list[ChatStep] = []  # of an answer with tools
    notes: list[dict[str, str]] = []  # what a person must know of how it came about, en and zh
    run_id: str | None = None  # the agent's run that made it
    created_at: datetime


class Summary(BaseModel):
    id: str
    title: str
    model: str | None
    kb_id: str | None
    folder_id: str | None = None
    created_at: datetime
    updated_at: datetime


class Found(Summary):
    """``place``: the words around what was looked for, where a message holds it."""

    place: str = ""


class Conversation(Summary):
    """A conversation with all its branches; ``head_id`` is the leaf that was shown last."""

    head_id: str | None
    system_prompt: str = ""
    tools: list[str] = []  # kinds of tools, as ``kind:argument``
    params: dict[str, Any] = {}  # of sampling
    web: bool = False  # answers come from the web
    messages: list[Message]


class ConversationStore:
    """Reads and writes conversations. Every method is one transaction.

    Raises (every method that takes an id):
        NotFoundError: no such conversation or message.
    """

    def __init__(self, context: Context) -> None:
        self._database = context.database

    def create(self, *, title: str = "", system_prompt: str = "", **more: Any) -> Conversation:
        """``more``: model, kb_id, tools, params, web, folder_id."""
        row = ConversationRow(id=_new_id(), title=title.strip(), system_prompt=system_prompt.strip(), **more)
        with self._database.session() as session:
            session.add(row)
            session.flush()
            return _conversation(row, [])

    def list(self) -> list[Summary]:
        """Newest first."""
        with self._database.reading() as session:
            rows = session.scalars(select(ConversationRow).order_by(ConversationRow.updated_at.desc()))
            return [Summary.model_validate(row, from_attributes=True) for row in rows]

    def get(self, conversation_id: str) -> Conversation:
        with self._database.reading() as session:
            row = _find(session, conversation_id)
            messages = session.scalars(
                select(MessageRow).where(MessageRow.conversation_id == row.id).order_by(MessageRow.seq)
            )
            return _conversation(row, list(messages))

    def change(self, conversation_id: str, changes: dict[str, Any]) -> Conversation:
        """Set any of title, model, kb_id, system_prompt, tools, params, web, folder_id, head_id."""
        with self._database.session() as session:
            row = _find(session, conversation_id)
            head = changes.get("head_id")
            if head is not None:
                _find_message(session, row.id, head)
            for name, value in changes.items():
                setattr(row, name, value.strip() if name == "title" and value else value)
        return self.get(conversation_id)

    def delete(self, conversation_id: str) -> None:
        with self._database.session() as session:
            session.delete(_find(session, conversation_id))
        self._database.scrub()

    def search(self, words: str) -> Sequence[Found]:
        """The conversations whose title or messages hold ``words`` (case does not matter), newest first, with the place."""
        wanted = words.strip().casefold()
        if not wanted:
            return [Found(**one.model_dump()) for one in self.list()]
        pattern = f"%{_escaped(words.strip())}%"
        with self._database.reading() as session:
            said = select(MessageRow.conversation_id, MessageRow.content).where(
                MessageRow.content.ilike(pattern, escape=_ESCAPE)
            )
            places: dict[str, str] = {}
            for conversation_id, content in session.execute(said.order_by(MessageRow.seq)):
                places.setdefault(conversation_id, _around(content, wanted))
        return [
            Found(**one.model_dump(), place=places.get(one.id, ""))
            for one in self.list()
            if one.id in places or wanted in one.title.casefold()
        ]

    def take_in(self, shared: dict[str, Any]) -> Summary:
        """A conversation of an export, with ids of its own."""
        ids = {message["id"]: _new_id() for message in shared["messages"]}
        with self._database.session() as session:
            row = ConversationRow(
                id=_new_id(), title=shared["title"].strip(), model=shared["model"], system_prompt=shared["system_prompt"],
                head_id=ids.get(shared["head_id"] or ""), params=shared["params"],
            )  # fmt: skip
            session.add(row)
            for seq, message in enumerate(shared["messages"], 1):
                own = {
                    key: message[key]
                    for key in ("role", "content", "thought", "model", "citations", "usage", "steps", "notes")
                }
                parent = ids.get(message["parent_id"] or "")
                session.add(MessageRow(id=ids[message["id"]], conversation_id=row.id, parent_id=parent, seq=seq, **own))
            session.flush()
            return Summary.model_validate(row, from_attributes=True)

    def begin_turn(
        self,
        conversation_id: str,
        parent_id: str | None,
        content: str | None,
        model: str,
        attachments: Sequence[dict[str, Any]] = (),
    ) -> tuple[Message | None, Message]:
        """Add the user's message under ``parent_id`` (or answer the user message ``parent_id`` again when ``content`` is
        None) and an empty answer below it, which becomes the head.

        Raises:
            InputError: nothing to answer: empty content, or a regeneration of something that is no user message.
        """
        with self._database.session() as session:
            row = _find(session, conversation_id)
            seq = session.scalar(select(func.max(MessageRow.seq)).where(MessageRow.conversation_id == row.id)) or 0
            parent = _find_message(session, row.id, parent_id) if parent_id else None
            user = None
            if content is not None:
                if not content.strip():
                    raise InputError(T("The message is empty.", "消息是空的。"), param="content")
                if parent is not None and parent.role != "assistant":
                    raise InputError(
                        T(
                            "A message follows an answer, not another message.",
                            "消息应当接在回答之后，而不是另一条消息之后。",
                        ),
                        param="parent_id",
                    )
                user = MessageRow(
                    id=_new_id(),
                    conversation_id=row.id,
                    parent_id=parent_id,
                    role="user",
                    content=content,
                    attachments=list(attachments),
                    seq=seq + 1,
                )
                session.add(user)
                if not row.title:
                    row.title = _title_of(content)
            elif parent is None or parent.role != "user":
                raise InputError(
                    T("Only a user's message can be answered again.", "只有用户的消息可以重新回答。"), param="parent_id"
                )
            answer = MessageRow(
                id=_new_id(),
                conversation_id=row.id,
                parent_id=user.id if user else parent_id,
                role="assistant",
                status="streaming",
                model=model,
                seq=seq + 2,
            )
            session.add(answer)
            row.head_id = answer.id
            row.updated_at = now()
            session.flush()
            return (_message(user) if user else None), _message(answer)

    def save_answer(self, message_id: str, **values: Any) -> Message:
        """Store what is known of an answer so far (content, status, citations, usage, …)."""
        with self._database.session() as session:
            row = session.get(MessageRow, message_id)
            if row is None:
                raise _no_message(message_id)
            for name, value in values.items():
                setattr(row, name, value)
            conversation = session.get(ConversationRow, row.conversation_id)
            if conversation is not None:
                conversation.updated_at = now()
            session.flush()
            return _message(row)

    def unfinished(self) -> Sequence[tuple[str, str, str]]:
        """Answers with tools that a process left unfinished, as (conversation, message, run): the run goes on, or can."""
        with self._database.reading() as session:
            rows = session.execute(
                select(MessageRow.conversation_id, MessageRow.id, MessageRow.run_id).where(
                    MessageRow.status == "streaming", MessageRow.run_id.is_not(None)
                )
            )
            return [(conversation, message, str(run)) for conversation, message, run in rows]

    def close_interrupted(self) -> int:
        """Mark answers that a killed process left unfinished as stopped, by an interruption; returns how many there were.
        Those with tools are not among them: see ``unfinished``."""
        with self._database.session() as session:
            left = select(MessageRow.id).where(MessageRow.status == "streaming", MessageRow.run_id.is_(None))
            ids = list(session.scalars(left))
            if ids:
                session.execute(
                    update(MessageRow)
                    .where(MessageRow.id.in_(ids))
                    .values(status="stopped", finish_reason="interrupted")
                )
            return len(ids)


def branch(messages: Sequence[Message], leaf_id: str | None) -> list[Message]:
    """The messages from the root down to ``leaf_id``, oldest first."""
    by_id = {message.id: message for message in messages}
    path: list[Message] = []
    current = by_id.get(leaf_id or "")
    while current is not None:
        path.append(current)
        current = by_id.get(current.parent_id or "")
    return path[::-1]


def _new_id() -> str:
    return uuid.uuid4().hex


def _title_of(content: str) -> str:
    line = " ".join(content.split())
    return line if len(line) <= TITLE_CHARACTERS else line[: TITLE_CHARACTERS - 1].rstrip() + "…"


def _escaped(words: str) -> str:
    return words.replace(_ESCAPE, _ESCAPE * 2).replace("%", f"{_ESCAPE}%").replace("_", f"{_ESCAPE}_")


def _around(content: str, wanted: str) -> str:
    at = max(content.casefold().find(wanted), 0)
    start, end = max(at - _PLACE, 0), at + len(wanted) + _PLACE
    told = " ".join(content[start:end].split())
    return f"{'…' if start else ''}{told}{'…' if end < len(content) else ''}"


def _find(session: Session, conversation_id: str) -> ConversationRow:
    row = session.get(ConversationRow, conversation_id)
    if row is None:
        raise NotFoundError(T(f"There is no conversation {conversation_id!r}.", f"没有对话 {conversation_id!r}。"))
    return row


def _find_message(session: Session, conversation_id: str, message_id: str) -> MessageRow:
    row = session.get(MessageRow, message_id)
    if row is None or row.conversation_id != conversation_id:
        raise _no_message(message_id)
    return row


def _no_message(message_id: str) -> NotFoundError:
    return NotFoundError(T(f"There is no message {message_id!r} here.", f"这里没有消息 {message_id!r}。"))


def _message(row: MessageRow) -> Message:
    return Message.model_validate(row, from_attributes=True)


def _conversation(row: ConversationRow, messages: list[MessageRow]) -> Conversation:
    names = Conversation.model_fields.keys() - {"messages"}
    own = {name: getattr(row, name) for name in names}
    return Conversation(**own, messages=[_message(m) for m in messages])
