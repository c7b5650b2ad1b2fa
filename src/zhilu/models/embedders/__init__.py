"""Text to vectors: ``load_embedder(name, context)``. Implementations register under the entry points ``zhilu.embedders``.

File map: ``base`` the interface · ``static`` zhilu-embed · ``bert`` a BERT encoder as an OpenVINO graph · ``minilm`` ·
``bilingual`` the default, both · ``testing`` a fake and the conformance suite every implementation passes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from zhilu.errors import MissingComponentError
from zhilu.messages import T
from zhilu.models.embedders.base import Embedder, Kind
from zhilu.registry import Registry

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["DEFAULT", "Embedder", "Kind", "check_setting", "embedder_names", "load_embedder"]

DEFAULT = "bilingual"
_ALONE = "zhilu-embed"  # where MiniLM, which the default takes for English, is not installed

_loaded: dict[tuple[str, int], Embedder] = {}
_lock = threading.RLock()  # one embedder may be made of others


def embedder_names() -> list[str]:
    """The names there are, for choices in the command line and the workbench."""
    return _registry().names()


def load_embedder(name: str, context: Context) -> Embedder:
    """The embedder called ``name``; ``"auto"`` is the setting's, or else the default. Loaded once per process.

    Raises:
        NotFoundError: no such embedder.
        MissingComponentError: its files are not installed; ``fix`` installs them.
    """
    if name == "auto":
        name = context.settings.embedder
        if name == "auto":
            try:
                return load_embedder(DEFAULT, context)
            except MissingComponentError:
                name = _ALONE
    with _lock:
        key = (name, context.settings.threads)
        if key not in _loaded:
            _loaded[key] = _registry().get(name)(context)
        return _loaded[key]


def check_setting(context: Context, name: str) -> None:
    """What the setting ``embedder`` may name; ``module:ATTRIBUTE`` is one's own.

    Raises:
        NotFoundError: no such embedder; names the nearest.
    """
    if name not in ("auto", "none") and ":" not in name:
        _registry().get(name)


def _registry() -> Registry[Callable[[Context], Embedder]]:
    return Registry.from_entry_points("zhilu.embedders", T("embedder", "向量模型"))
