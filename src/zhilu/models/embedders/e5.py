"""multilingual-e5-small (MIT; Wang et al. 2024, arXiv:2402.05672): meaning across words and across languages.

It finds 电钻 in a passage about 装修施工, and an English passage for a Chinese question. Its files come from the store: the
whole model from a hub, or the 4-bit file that a package index carries.

Its vectors of one language have so much in common that all cosines lie between 0.7 and 0.95, and that in a mixed knowledge
base a question finds the passages of its own language: of 72 paragraphs of XQuAD, half of them in either language, a question
in the other one had its own among the first five for 57 % (English) and 6 % (Chinese). So each language's mean is taken off
(``e5_means.npy``, made by ``benchmarks/e5_means.py``), after which it is 100 % for both, and a cosine means the same in both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from zhilu.errors import MissingComponentError
from zhilu.messages import T
from zhilu.models.embedders.base import Kind
from zhilu.models.embedders.encoder import Encoder
from zhilu.prompts import language_of

if TYPE_CHECKING:
    import numpy as np

    from zhilu.context import Context
    from zhilu.models.embedders.bert import Arithmetic

__all__ = ["E5", "MODELS", "PACKED", "load", "model_folder"]

MODELS = ("multilingual-e5-small", "multilingual-e5-small-4bit")  # names in the store, in order of preference
PACKED = "e5-small-q4.bin"
_MEANS = Path(__file__).with_name("e5_means.npy")
_ROW = {("en", "passage"): 0, ("en", "query"): 1, ("zh", "passage"): 2, ("zh", "query"): 3}


def model_folder(context: Context) -> Path:
    """Where its files are.

    Raises:
        MissingComponentError: it is not in the store.
    """
    for name in MODELS:
        folder = context.home.models / name
        if (folder / PACKED).is_file() or (folder / "model.safetensors").is_file():
            return folder
    raise MissingComponentError(
        T("The embedder multilingual-e5-small is not here.", "本机没有向量模型 multilingual-e5-small。"),
        fix="zhilu setup embedder",
    )


def load(context: Context) -> E5:
    """
    Raises:
        MissingComponentError: it is not in the store. DamagedError: its file is damaged.
    """
    return E5(model_folder(context), threads=context.settings.threads)


class E5(Encoder):
    """See ``Embedder``. Trained to see ``query:`` and ``passage:`` before its texts."""

    name = "e5-small"
    languages = ("en", "zh")
    max_tokens = 512
    prefixes: ClassVar[Mapping[Kind, str]] = {"passage": "passage: ", "query": "query: "}

    def __init__(
        self, folder: Path, *, threads: int = 0, arithmetic: Arithmetic | None = None, means: np.ndarray | None = None
    ) -> None:
        import numpy as np
        from tokenizers import Tokenizer

        from zhilu.models.embedders.bert import BertShape
        from zhilu.models.embedders.packed import read_packed
        from zhilu.models.tensors import map_tensors

        self._means = np.load(_MEANS).astype(np.float32) if means is None else means
        if (folder / PACKED).is_file():
            packed = read_packed(folder / PACKED)
            super().__init__(
                packed.weights, packed.shape, packed.tokenizer,
                vectors_of=packed.vectors_of, clean=packed.clean, threads=threads, arithmetic=arithmetic,
            )  # fmt: skip
            return
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        weights = map_tensors(folder / "model.safetensors")
        super().__init__(weights, BertShape.of(config), tokenizer, threads=threads, arithmetic=arithmetic)

    def embed(self, texts: Sequence[str], kind: Kind = "passage") -> np.ndarray:
        import numpy as np

        vectors = super().embed(texts, kind)
        vectors -= self._means[[_ROW[language_of(text), kind] for text in texts]] if texts else 0.0
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
