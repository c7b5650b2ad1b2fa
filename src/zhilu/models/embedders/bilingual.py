"""The default where MiniLM is installed: English texts by MiniLM, Chinese ones by zhilu-embed, in one space.

MiniLM finds more in English than zhilu-embed does, but knows no Chinese (figures: ``benchmarks/retrieval.py``). A vector is the
two side by side. The other language's half is zero, so texts of different languages have nothing in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zhilu.messages import T
from zhilu.models.embedders.base import Embedder, Kind
from zhilu.prompts import language_of

if TYPE_CHECKING:
    import numpy as np

    from zhilu.context import Context

__all__ = ["BilingualEmbedder", "load"]


def load(context: Context) -> BilingualEmbedder:
    """
    Raises:
        MissingComponentError: MiniLM is not installed.
    """
    from zhilu.models.embedders import load_embedder

    return BilingualEmbedder(load_embedder("minilm", context), load_embedder("zhilu-embed", context))


class BilingualEmbedder:
    """See ``Embedder``. ``part`` gives the embedder of a language, whose similarities mean what its own do."""

    name: str = "bilingual"
    languages: tuple[str, ...] = ("en", "zh")

    def __init__(self, english: Any, chinese: Any) -> None:
        self._parts: dict[str, Any] = {"en": english, "zh": chinese}
        self.dim = english.dim + chinese.dim
        self.max_tokens = min(english.max_tokens, chinese.max_tokens)
        self.why = T(
            f"English by {english.name} ({english.why}), Chinese by {chinese.name} ({chinese.why})",
            f"英文用 {english.name}（{english.why}），中文用 {chinese.name}（{chinese.why}）",
        ).say()

    def part(self, lang: str) -> Embedder:
        """The embedder of texts in ``lang``."""
        found: Embedder = self._parts["zh" if lang == "zh" else "en"]
        return found

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, by its language's embedder."""
        return [self._parts[language_of(text)].count_tokens([text])[0] for text in texts]

    def truncate(self, texts: Sequence[str], num_tokens: int) -> list[str]:
        """The beginning of each text, as its language's embedder counts."""
        return [self._parts[language_of(text)].truncate([text], num_tokens)[0] for text in texts]

    def embed(self, texts: Sequence[str], kind: Kind = "passage") -> np.ndarray:
        import numpy as np

        langs = [language_of(text) for text in texts]
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for lang, half in (("en", slice(self._parts["en"].dim)), ("zh", slice(self._parts["en"].dim, None))):
            mine = [place for place, own in enumerate(langs) if own == lang]
            if mine:
                vectors[mine, half] = self._parts[lang].embed([texts[place] for place in mine], kind)
        return vectors
