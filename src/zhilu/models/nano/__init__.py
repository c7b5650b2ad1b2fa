"""zhilu-nano, the model that ships inside the package: weights, and the recipe that made them.

``tokenizer`` text to ids · ``data`` reading, cleaning, splitting · ``tasks`` supervised rows in the product's own prompt formats ·
``model`` the network · ``train`` the loop · ``export`` the Hugging Face folder · ``evaluate`` the scores. LOG.md says what was tried.

    python -m zhilu.models.nano.train --preset cpu --data DIR --out DIR

Importing this package imports no torch.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["WEIGHTS", "card"]

WEIGHTS: Path = Path(__file__).parent / "weights"


def card(lang: str = "en") -> str:
    """The model card in Markdown; Chinese for ``"zh"`` (any ``zh-*``), English otherwise."""
    name = "MODEL_CARD.zh-CN.md" if lang.lower().startswith("zh") else "MODEL_CARD.md"
    return (WEIGHTS / name).read_text(encoding="utf-8")
