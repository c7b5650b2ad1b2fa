"""Which model is looked at, and its tokenizer and weights, opened once and kept while they are used."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from zhilu.engine.model.config import read_config, tensor_shapes
from zhilu.engine.observe import Observer
from zhilu.engine.text.tokenizer import Tokenizer
from zhilu.errors import InputError, ZhiluError
from zhilu.messages import T
from zhilu.models.chosen import default_model
from zhilu.models.store import EMBEDDED, ModelStore

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["MOST_PARAMETERS", "MOST_TOKENS", "Subject", "find_subject", "readable", "small_enough", "token_text"]

MOST_PARAMETERS = 40_000_000  # of a model that is copied, trained or run many times over
MOST_TOKENS = 1024  # of a text whose attention is looked at
_MOST_CHARACTERS = 20_000


class Subject(NamedTuple):
    name: str
    folder: Path

    @property
    def tokenizer(self) -> Tokenizer:
        return _tokenizer(self.folder, _stamp(self.folder))

    @property
    def observer(self) -> Observer:
        return _observer(self.folder, _stamp(self.folder))

    def encode(self, text: str, *, most: int = MOST_TOKENS) -> list[int]:
        """The tokens of a text, without any that the tokenizer would add.

        Raises:
            InputError: none, or more than ``most``.
        """
        ids = [] if len(text) > _MOST_CHARACTERS else self.tokenizer.encode(text, add_special_tokens=False)
        if not ids or len(ids) > most:
            given = len(ids) or len(text)
            raise InputError(
                T(
                    f"{given} {'tokens' if ids else 'characters'} cannot be looked at; 1 to {most} tokens can",
                    f"无法查看 {given} 个{'token' if ids else '字符'}；可以查看 1 到 {most} 个 token",
                ),
                param="text",
            )
        return ids


def find_subject(context: Context, name: str | None = None) -> Subject:
    """The model of that name; none: the one that runs, or zhilu-nano where that one's files are not here to be opened.

    Raises:
        NotFoundError: no such model.
        UnsupportedError: a model whose arithmetic is not ours.
    """
    store = ModelStore(context)
    if name:
        return Subject(name, store.path_of(name))
    chosen = default_model(context).name
    try:
        folder = store.path_of(chosen)
        read_config(folder)
    except ZhiluError:  # an API's model, an adapter, an architecture that only another engine runs
        return Subject(EMBEDDED, store.path_of(EMBEDDED))
    return Subject(chosen, folder)


def small_enough(subject: Subject) -> int:
    """How many parameters the model has. For what needs the whole model many times over in full precision.

    Raises:
        InputError: it has more than ``MOST_PARAMETERS``.
    """
    parameters = sum(math.prod(shape) for _, shape in tensor_shapes(read_config(subject.folder)))
    if parameters > MOST_PARAMETERS:
        raise InputError(
            T(
                f"this runs the whole model many times in full precision, with at most {MOST_PARAMETERS / 1e6:.0f} million "
                f"parameters; {subject.name} has {parameters / 1e6:.0f} million. Choose zhilu-nano above.",
                f"这一项要用全精度把整个模型运行很多遍，最多 {MOST_PARAMETERS / 1e6:.0f} 百万参数；"
                f"{subject.name} 有 {parameters / 1e6:.0f} 百万。请在上方选择 zhilu-nano。",
            ),
            param="model",
            code="model_too_large",
            fix="zhilu lens step --model zhilu-nano TEXT",
        )
    return parameters


def readable(tokenizer: Tokenizer, ids: list[int]) -> list[str]:
    """Every token as text to show; bytes that are no text by themselves as ``⟨e4⟩``."""
    return [token_text(tokenizer.token_bytes(id)) for id in ids]


def token_text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "".join(f"⟨{byte:02x}⟩" for byte in raw)


def _stamp(folder: Path) -> int:
    """Changes when another model comes under the same name."""
    return max((path.stat().st_mtime_ns for path in folder.iterdir()), default=0)


@lru_cache(maxsize=3)
def _tokenizer(folder: Path, stamp: int) -> Tokenizer:
    return Tokenizer(folder)


@lru_cache(maxsize=1)
def _observer(folder: Path, stamp: int) -> Observer:
    return Observer(folder)
