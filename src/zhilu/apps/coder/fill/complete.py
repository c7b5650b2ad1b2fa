"""Completing at a cursor: a prompt with the model's own marks, the repository's definitions before it, and an end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from pydantic import BaseModel

from zhilu.apps.coder.fill.boundary import cut
from zhilu.apps.coder.fill.near import near
from zhilu.apps.coder.index.store import IndexStore
from zhilu.client import ModelClient
from zhilu.errors import UnsupportedError, ZhiluError
from zhilu.messages import T
from zhilu.prompts.fill import FILL_MARKS, FillMarks

__all__ = ["CodeCompletion", "complete", "marks_of"]

_PREFIX, _SUFFIX = 4_000, 1_500  # characters around the cursor
_known: dict[tuple[str, str], FillMarks] = {}  # server and model, of those that have been asked


class CodeCompletion(BaseModel):
    """``used``: files whose definitions the model was shown. ``is_cut``: it ended at a boundary of the code."""

    text: str
    used: list[str] = []
    is_cut: bool = False
    model: str = ""


async def marks_of(client: ModelClient, model: str) -> FillMarks | None:
    """The marks that are single tokens of the model; None where it has none, or its server does not count tokens."""
    key = (client.base_url, model)
    if key in _known:
        return _known[key]
    for marks in FILL_MARKS:
        try:
            counted = await client.tokenize(model=model, prompt=marks.prefix + marks.middle, add_special_tokens=False)
        except ZhiluError:
            counted = None
        if counted is not None and counted.get("count") == 2:
            _known[key] = marks
            return marks
    return None


async def complete(
    client: ModelClient,
    model: str,
    prefix: str,
    suffix: str,
    *,
    store: IndexStore | None = None,
    path: str = "",
    repo: str = "",
    extra: Sequence[tuple[str, str]] = (),
    max_tokens: int = 128,
    **sampling: Any,
) -> CodeCompletion:
    """
    Args:
        store, path: the repository's index, and the file that the cursor is in.
        extra: path and text of further files that an editor sends along.

    Raises:
        UnsupportedError: the model cannot fill in the middle.
    """
    prefix, suffix = prefix[-_PREFIX:], suffix[:_SUFFIX]
    files = [*((p, text[:2_000]) for p, text in extra[:8]), *(near(store, path, prefix, suffix) if store else ())]
    marks = await marks_of(client, model)
    sent: dict[str, Any] = {"max_tokens": max_tokens, "temperature": 0, **sampling}
    if marks is None:
        made = await _whole(client, model, prefix, suffix, sent)
        return CodeCompletion(text=made[0], is_cut=made[1], model=model)
    bare = prefix.rstrip(" \t")
    indent = prefix[len(bare) :] if bare.endswith("\n") else ""
    # A token of code holds the blanks before a word: a prompt that ends in an indentation is none that the model has seen.
    prompt = marks.prompt(bare if indent else prefix, suffix, files, repo=repo, path=path)
    stops = sent.pop("stop", None)
    given = [stops] if isinstance(stops, str) else list(stops or ())
    sent |= {"skip_special_tokens": False, "stop": [*given, *marks.ends][:16]}
    text = ""
    async with aclosing(_pieces(client, prompt, model, sent)) as pieces:
        async for piece in pieces:
            text += piece
            if indent:
                if not text.strip():
                    continue
                if text.split(" ")[0] in ("def", "class") or text.startswith("@"):
                    break  # the block of the cursor is over at once
                text, indent = _without_indent(text, indent), ""
            kept, is_over = cut(text, prefix, suffix)
            if is_over:
                return CodeCompletion(text=kept, used=[p for p, _ in files], is_cut=True, model=model)
    return CodeCompletion(text="" if indent else text, is_cut=bool(indent), used=[p for p, _ in files], model=model)


def _without_indent(text: str, indent: str) -> str:
    """What follows the blanks that stand before the cursor already; further lines keep theirs."""
    return text[len(indent) :] if text.startswith(indent) else text.lstrip(" \t")


async def _pieces(client: ModelClient, prompt: str, model: str, sent: dict[str, Any]) -> AsyncGenerator[str, None]:
    async for chunk in client.completions_stream(prompt, model=model, **sent):
        for choice in chunk.get("choices") or ():
            yield str(choice.get("text") or "")


async def _whole(client: ModelClient, model: str, prefix: str, suffix: str, sent: dict[str, Any]) -> tuple[str, bool]:
    """For a server that fills in by itself (``suffix``), and says where it does not."""
    try:
        reply = await client.completions(prefix or "\n", model=model, suffix=suffix or "\n", **sent)
    except UnsupportedError as error:
        raise UnsupportedError(
            T(
                f"{model!r} cannot fill in the middle: take a model for code, such as Qwen2.5-Coder.",
                f"{model!r} 不支持中间填充：请使用代码模型，例如 Qwen2.5-Coder。",
            ),
            param="model",
            fix="zhilu model pull qwen2.5-coder-1.5b",
        ) from error
    return cut(str(reply["choices"][0].get("text") or ""), prefix, suffix)
