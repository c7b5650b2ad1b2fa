"""Files that are attached to a question: read once, in a limited process, and shown to the model as text.

A file that is longer than what a small model reads well is shown in parts: those that the question is about, by BM25, in their
own order; the message keeps how much of it was shown.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from sqlalchemy import delete, select

from zhilu.apps.chat.tables import AttachmentRow
from zhilu.context import Context
from zhilu.errors import InputError, NotFoundError, TooLargeError, ZhiluError
from zhilu.messages import T
from zhilu.prompts import attached_message
from zhilu.tables import now
from zhilu.text.bm25 import ranked

__all__ = ["LONGEST", "MOST", "Attachment", "Attachments", "with_files"]

MOST = 8  # files of one question
LONGEST = 400_000  # characters of one file, as of a message: all of it is looked through at every turn
_PIECE = 600  # characters
_SEEN = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
}  # as models take; WebP beside them: sounds and films begin with RIFF as well
_KEPT = timedelta(days=1)  # a file that was attached and never sent


class Attachment(BaseModel):
    """A file as it was read. ``kind``: its media type; ``num_chars`` of its text; ``notes``: what could not be read of it."""

    id: str
    name: str
    kind: str
    num_chars: int
    notes: list[dict[str, str]] = []
    picture: bool = False  # kept as it is, for a model that sees


@dataclass(frozen=True)
class _File:
    name: str
    text: str


class Attachments:
    """The attachments of all conversations. Each belongs to none until its question is sent."""

    def __init__(self, context: Context) -> None:
        self._context, self._database = context, context.database

    def add(self, name: str, content: bytes) -> Attachment:
        """Read a file and keep its text, not the file; of a picture both.

        Raises:
            InputError: it cannot be read; one message says why. ``TooLargeError`` where size is the reason.
        """
        from zhilu.rag.load import ScanReader, check_size, load_limited, safe_name

        own = safe_name(name)
        check_size(len(content), self._context.settings.max_upload_mb)
        kind = next((kind for sign, kind in _SEEN.items() if content.startswith(sign)), None)
        if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            kind = "image/webp"
        with tempfile.TemporaryDirectory(prefix="attached-", dir=self._context.home.cache) as folder:
            path = Path(folder) / "file"
            path.write_bytes(content)
            loaded = load_limited(path, own)
            missing: ZhiluError | None = None
            try:
                with ScanReader() as scans:
                    loaded, missing = scans.complete(loaded, path)
            except ZhiluError as error:
                if kind is None:
                    raise
                missing = error  # a model that sees needs no text
        if not loaded.text.strip() and kind is None:
            raise InputError(T(f"There is no text in {own}.", f"{own} 中没有文字。"), code="no_text")
        if len(loaded.text) > LONGEST:
            raise TooLargeError(
                T(
                    f"{own} has {len(loaded.text)} characters; a chat takes files of {LONGEST}. Put it into a knowledge base.",
                    f"{own} 有 {len(loaded.text)} 个字符，对话中的附件最多 {LONGEST} 个。请把它放入知识库。",
                ),
                fix="zhilu kb add NAME FILE",
            )
        notes = [] if missing is None else [{"en": missing.message.en, "zh": missing.message.zh}]
        row = AttachmentRow(
            name=own, kind=kind or loaded.mime, text=loaded.text.replace("\x00", ""), notes=notes, content=content if kind else None
        )  # fmt: skip
        with self._database.session() as session:
            session.add(row)
            session.flush()
            return _told(row)

    def bind(self, conversation_id: str, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Give files to a conversation, for good; returns what its message keeps of them.

        Raises:
            NotFoundError: there is no such file, or it is another conversation's.
            InputError: too many.
        """
        if len(ids) > MOST:
            raise InputError(
                T(
                    f"{len(ids)} files with one question; at most {MOST}.",
                    f"一个问题附了 {len(ids)} 个文件，最多 {MOST} 个。",
                ),
                param="attachments",
            )
        with self._database.session() as session:
            kept = []
            for one in dict.fromkeys(ids):
                row = session.get(AttachmentRow, one)
                if row is None or row.conversation_id not in (None, conversation_id):
                    raise NotFoundError(
                        T(f"There is no attached file {one!r}.", f"没有附件 {one!r}。"), param="attachments"
                    )
                row.conversation_id = conversation_id
                one_kept = {"id": row.id, "name": row.name, "kind": row.kind, "num_chars": len(row.text)}
                kept.append({**one_kept, "picture": True} if row.content is not None else one_kept)
            return kept

    def pictures(self, ids: Sequence[str]) -> dict[str, tuple[str, bytes]]:
        """The media type and the bytes of those that are pictures."""
        with self._database.reading() as session:
            wanted = AttachmentRow.id.in_(list(ids)) & AttachmentRow.content.is_not(None)
            return {
                row.id: (row.kind, row.content or b"") for row in session.scalars(select(AttachmentRow).where(wanted))
            }

    def texts(self, ids: Sequence[str]) -> dict[str, _File]:
        with self._database.reading() as session:
            rows = session.scalars(select(AttachmentRow).where(AttachmentRow.id.in_(list(ids))))
            return {row.id: _File(row.name, row.text) for row in rows}

    def forget_unsent(self) -> None:
        with self._database.session() as session:
            old = AttachmentRow.conversation_id.is_(None) & (AttachmentRow.created_at < now() - _KEPT)
            session.execute(delete(AttachmentRow).where(old))


def with_files(
    questions: Sequence[tuple[str, Sequence[dict[str, Any]]]], files: dict[str, _File], budget: int
) -> tuple[list[str], dict[str, int]]:
    """The questions of a branch with their files before them, chosen for the last question: each ``(content, attachments)``.
    ``budget``: characters of all files together.

    Returns the texts, and for each file how many characters of it are shown."""
    wanted = questions[-1][0] if questions else ""
    ids = list(dict.fromkeys(one["id"] for _, attached in questions for one in attached if one["id"] in files))
    shown = _shares(wanted, [files[one].text for one in ids], budget)
    pieces = dict(zip(ids, shown, strict=True))
    texts, told = [], set()
    for content, attached in questions:
        here = [one["id"] for one in attached if one["id"] in pieces and one["id"] not in told]
        told.update(here)
        parts = [(files[one].name, pieces[one][0], pieces[one][1]) for one in here]
        texts.append(attached_message(content, parts) if parts else content)
    return texts, {one: sum(map(len, chosen)) for one, (chosen, _) in pieces.items()}


def _shares(question: str, texts: Sequence[str], budget: int) -> list[tuple[list[str], bool]]:
    """What is shown of each text, and whether that is all: short ones whole, the rest by what the question is about."""
    left, open_ = budget, len(texts)
    found: dict[int, tuple[list[str], bool]] = {}
    for place in sorted(range(len(texts)), key=lambda i: len(texts[i])):
        share = left // open_
        text = texts[place].strip()
        found[place] = ([text], True) if len(text) <= share else (_best(question, text, share), False)
        left -= sum(map(len, found[place][0]))
        open_ -= 1
    return [found[place] for place in range(len(texts))]


def _best(question: str, text: str, room: int) -> list[str]:
    """The pieces of ``text`` that ``question`` is about, its beginning first where room is left, in their order."""
    pieces = _cut(text)
    order = [place for place, _ in ranked(question, pieces)]
    chosen: set[int] = set()
    for place in dict.fromkeys([*order[:1], 0, *order[1:], *range(len(pieces))]):
        if len(pieces[place]) <= room:
            chosen.add(place)
            room -= len(pieces[place])
        if room < _PIECE // 4:
            break
    merged: list[str] = []
    before = None
    for place in sorted(chosen):
        if before == place - 1 and merged:
            merged[-1] += f"\n{pieces[place]}"
        else:
            merged.append(pieces[place])
        before = place
    return merged


def _cut(text: str) -> list[str]:
    """Lines together up to a piece's length; a longer line by itself, cut."""
    pieces: list[str] = []
    current = ""
    for line in text.splitlines():
        for start in range(0, max(len(line), 1), _PIECE):
            part = line[start : start + _PIECE]
            if current and len(current) + len(part) > _PIECE:
                pieces.append(current)
                current = part
            else:
                current = f"{current}\n{part}" if current else part
    return [*pieces, current] if current else pieces


def _told(row: AttachmentRow) -> Attachment:
    return Attachment(
        id=row.id, name=row.name, kind=row.kind, num_chars=len(row.text), notes=row.notes, picture=row.content is not None
    )  # fmt: skip
