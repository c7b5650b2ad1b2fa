"""1.6, the first half: a chat as the one long text that the model reads, and what is lost without the template."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from zhilu.engine.choose.sampler import log_softmax
from zhilu.engine.text.tokenizer import Tokenizer
from zhilu.lens.subject import Subject, token_text
from zhilu.lens.views.logits import final_logits

__all__ = ["ChatIn", "ChatOut", "Turn", "render", "turns_of"]

_LIKELIEST = 5


class Turn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    role: str = Field(max_length=20)
    content: str = Field(max_length=8_000)


class ChatIn(BaseModel):
    """``other``: a model whose template is put in the place of the own one, as happens when a server is set up wrongly."""

    model_config = ConfigDict(extra="forbid")
    messages: list[Turn] = Field(min_length=1, max_length=20)
    model: str | None = None
    other: str | None = None


class Piece(BaseModel):
    text: str
    special: bool


class Likely(BaseModel):
    text: str
    probability: float


class Rendered(BaseModel):
    """A prompt, token by token, and what the model would say first."""

    text: str
    pieces: list[Piece]
    next: list[Likely]


class ChatOut(BaseModel):
    """``bare``: the turns one below the other, as who knows no template would send them. ``other``: in another model's template."""

    model: str
    template: str
    rendered: Rendered
    bare: Rendered
    other: Rendered | None = None


def render(subject: Subject, asked: ChatIn, other: Subject | None = None) -> ChatOut:
    """
    Raises:
        InputError: the model has no template, or it refuses these messages; too long a chat.
    """
    tokenizer = subject.tokenizer
    turns = [turn.model_dump() for turn in asked.messages]
    text = tokenizer.render_chat(turns)
    bare = "\n".join(turn.content for turn in asked.messages) + "\n"
    template = tokenizer.chat_template
    return ChatOut(
        model=subject.name,
        template=template.source if template else "",
        rendered=_read(subject, tokenizer, text),
        bare=_read(subject, tokenizer, bare),
        other=_read(subject, tokenizer, other.tokenizer.render_chat(turns)) if other else None,
    )


def turns_of(rendered: Rendered) -> list[str]:
    """The words between the marks: what a template must hand on whole."""
    stretches, now = [], ""
    for piece in rendered.pieces:
        if piece.special:
            stretches.append(now)
            now = ""
        else:
            now += piece.text
    return [stretch for stretch in [*stretches, now] if stretch.strip()]


def _read(subject: Subject, tokenizer: Tokenizer, text: str) -> Rendered:
    ids = subject.encode(text)
    row = final_logits(subject.observer, ids)
    chances = np.exp(log_softmax(row))
    best = np.argsort(-row, kind="stable")[:_LIKELIEST]
    return Rendered(
        text=text,
        pieces=_pieces(tokenizer, ids),
        next=[Likely(text=token_text(tokenizer.token_bytes(int(id))), probability=float(chances[id])) for id in best],
    )


def _pieces(tokenizer: Tokenizer, ids: list[int]) -> list[Piece]:
    """Marks one by one; what stands between them in one piece, since half a character cannot be shown."""
    pieces: list[Piece] = []
    raw = b""
    for id in ids:
        if id in tokenizer.special_ids:
            pieces += [Piece(text=raw.decode(errors="replace"), special=False)] if raw else []
            raw = b""
            pieces.append(Piece(text=token_text(tokenizer.token_bytes(id)), special=True))
        else:
            raw += tokenizer.token_bytes(id)
    return [*pieces, Piece(text=raw.decode(errors="replace"), special=False)] if raw else pieces
