"""The weights that ship inside the package: zhilu-nano (a chat model) and zhilu-embed (an embedder), each with its card.

The recipes that made them are ``zhilu.training.nano`` and ``zhilu.training.embed``. Importing this package imports no torch.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["EMBED", "NANO", "card"]

NANO: Path = Path(__file__).parent / "nano"
EMBED: Path = Path(__file__).parent / "embed"


def card(folder: Path, lang: str = "en") -> str:
    """The model card of ``NANO`` or ``EMBED`` in Markdown; Chinese for ``"zh"`` (any ``zh-*``), English otherwise."""
    name = "MODEL_CARD.zh-CN.md" if lang.lower().startswith("zh") else "MODEL_CARD.md"
    return (folder / name).read_text(encoding="utf-8")
