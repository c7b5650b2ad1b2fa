"""zhilu-embed, the embedder that ships inside the package: weights, and the recipe that made them.

``data`` reading, splitting, cutting into units · ``batches`` pairs of a question and its passage · ``train`` the model and
the loop · ``export`` int8 weights · ``evaluate`` the scores beside BM25. LOG.md says what was tried. The embedder that runs
on these weights is ``zhilu.models.embedders.static``; it needs no torch.

    python -m zhilu.models.embed.train --data DIR --out DIR
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["WEIGHTS", "card"]

WEIGHTS: Path = Path(__file__).parent / "weights"


def card(lang: str = "en") -> str:
    """The model card in Markdown; Chinese for ``"zh"`` (any ``zh-*``), English otherwise."""
    name = "MODEL_CARD.zh-CN.md" if lang.lower().startswith("zh") else "MODEL_CARD.md"
    return (WEIGHTS / name).read_text(encoding="utf-8")
