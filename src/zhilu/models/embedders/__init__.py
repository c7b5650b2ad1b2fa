"""Text to vectors: ``load_embedder(name, context)``. Implementations register under the entry points ``zhilu.embedders``.

File map: ``base`` the interface · ``static`` zhilu-embed · ``bert`` a BERT encoder as an OpenVINO graph, ``encoder`` what runs
one · ``e5`` the default where it was fetched (``packed``: its 4-bit file) · ``minilm`` · ``bilingual`` the default before that,
MiniLM and zhilu-embed · ``testing`` a fake and the conformance suite every implementation passes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from zhilu.errors import MissingComponentError
from zhilu.messages import T
from zhilu.models.embedders.base import Embedder, Kind
from zhilu.registry import Registry

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["DEFAULT", "PREFERRED", "Embedder", "Kind", "check_setting", "embedder_names", "load_embedder"]

DEFAULT = "bilingual"  # what the gateway means by no name: it does not change when another embedder arrives
# For knowledge bases, which remember theirs, the first that is here: the one that understands, MiniLM with zhilu-embed, and that alone.
PREFERRED = ("e5-small", "bilingual", "zhilu-embed")

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
            for preferred in PREFERRED[:-1]:
                with suppress(MissingComponentError):
                    return load_embedder(preferred, context)
            name = PREFERRED[-1]
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
