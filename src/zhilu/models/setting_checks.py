"""What the settings ``model`` and ``embedder`` may name."""

from __future__ import annotations

from zhilu.context import Context
from zhilu.models.chosen import AUTO
from zhilu.models.store import ModelStore

__all__ = ["check_embedder", "check_model"]


def check_model(context: Context, name: str) -> None:
    """
    Raises:
        NotFoundError: neither a model of this machine nor an adapter; another server's models are not ours to know.
    """
    if name == AUTO or context.settings.base_url is not None or (context.home.adapters / name).is_dir():
        return
    ModelStore(context).path_of(name)


def check_embedder(context: Context, name: str) -> None:
    """
    Raises:
        NotFoundError: no embedder is registered by that name, and it is not written as one's own, ``module:ATTRIBUTE``.
    """
    from zhilu.models.embedders import find_embedder

    if name not in ("auto", "none") and ":" not in name:
        find_embedder(name)
