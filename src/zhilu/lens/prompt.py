"""The text that a view looks at: as it was written, or as a question inside the model's chat template."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from zhilu.lens.subject import MOST_TOKENS, Subject, readable

__all__ = ["Prompt", "PromptIn", "read_prompt"]


class PromptIn(BaseModel):
    """``model`` None: the one that runs. ``chat``: render the text as a person's turn, with the template's marks."""

    model_config = ConfigDict(extra="forbid")
    text: str = Field(max_length=20_000)
    model: str | None = None
    chat: bool = False


class Prompt(NamedTuple):
    ids: list[int]
    words: list[str]  # the tokens as text to show


def read_prompt(subject: Subject, asked: PromptIn, *, most: int = MOST_TOKENS) -> Prompt:
    """
    Raises:
        InputError: no token, too many, or the model has no chat template.
    """
    text = asked.text
    if asked.chat:
        text = subject.tokenizer.render_chat([{"role": "user", "content": text}])
    ids = subject.encode(text, most=most)
    return Prompt(ids, readable(subject.tokenizer, ids))
