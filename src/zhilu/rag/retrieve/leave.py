"""What one may read of a knowledge base."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Leave"]


@dataclass(frozen=True)
class Leave:
    """Leave to read a knowledge base; ``folders``: of it only the documents below these (``"hr"`` stands for ``hr/…``), or of
    exactly this name; None: all."""

    kb_id: str
    folders: tuple[str, ...] | None = None
