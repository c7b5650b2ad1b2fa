"""The embedder of a knowledge base, loaded once per process; ``none`` if there is none to load."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from zhilu.errors import MissingComponentError
from zhilu.messages import T
from zhilu.registry import Registry

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["NONE", "TextEmbedder", "choose_embedder", "embedder_of", "refuse_unregistered"]

NONE = "none"


class TextEmbedder(Protocol):
    """What knowledge bases ask of an embedder: text to L2-normalised vectors, float32 (n, dim).

    ``languages`` are those it was measured to rank well in.
    """

    name: str
    dim: int
    languages: tuple[str, ...]

    def embed(self, texts: Sequence[str], kind: Literal["passage", "query"] = "passage") -> NDArray[np.float32]: ...


_loaded: dict[tuple[str, int], TextEmbedder] = {}
_lock = threading.Lock()


def embedder_of(context: Context, name: str) -> TextEmbedder | None:
    """The embedder called ``name``, or None for ``none``; ``"module:ATTRIBUTE"`` names one's own.

    Raises:
        MissingComponentError: it is not installed here.
    """
    if name == NONE:
        return None
    key = (name, context.settings.threads)
    with _lock:
        if key not in _loaded:
            _loaded[key] = _load(name, context)
        return _loaded[key]


def _load(name: str, context: Context) -> TextEmbedder:
    if ":" in name:
        own: Registry[TextEmbedder] = Registry(T("embedder", "向量模型"))
        own.add(name, name)
        return own.get(name)
    from zhilu.models.embedders import load_embedder

    return load_embedder(name, context)


def choose_embedder(context: Context, wanted: str | None = None) -> tuple[str, int]:
    """``(name, dim)`` for a new knowledge base: the one asked for, else the setting's, else ``none`` if that is missing.

    Raises:
        MissingComponentError: an embedder was named and is not installed here.
    """
    name = wanted or context.settings.embedder
    try:
        embedder = embedder_of(context, name)
    except MissingComponentError:
        if name != "auto":
            raise
        return NONE, 0
    return (embedder.name, embedder.dim) if embedder is not None else (NONE, 0)


def refuse_unregistered(name: str) -> None:
    """Refuse what is no name of an installed embedder: ``"module:ATTRIBUTE"`` runs code, which only the command line may ask.

    Raises:
        NotFoundError: names what there is, and the nearest.
    """
    from zhilu.models.embedders import embedder_names

    known: Registry[str] = Registry(T("embedder", "向量模型"))
    for each in (NONE, "auto", *embedder_names()):
        known.add(each, each)
    if name not in known:
        known.get(name)  # raises
