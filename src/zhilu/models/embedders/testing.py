"""For tests of code that uses an embedder: a fake that says it is one, and the conformance suite."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from zhilu.models.embedders.base import Embedder, Kind

if TYPE_CHECKING:
    import numpy as np

__all__ = ["EmbedderConformance", "WordEmbedder"]


class WordEmbedder:
    """Counts of hashed words and Chinese characters: texts that share words are near. Instant, deterministic."""

    name = "words"
    languages: tuple[str, ...] = ("en", "zh")
    max_tokens = 100_000
    why = "hashed words"

    def __init__(self, dim: int = 64) -> None:
        self.dim = dim

    def embed(self, texts: Sequence[str], kind: Kind = "passage") -> np.ndarray:
        import numpy as np

        vectors = np.zeros((len(texts), self.dim), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in re.findall(r"[\u3400-\u9fff]|\w+", text.lower()) or [""]:
                row[int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest(), "big") % self.dim] += 1.0
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class EmbedderConformance:
    """Subclass, give it a fixture ``embedder``, and pytest runs what the interface promises."""

    def test_shape_dtype_and_length(self, embedder: Embedder) -> None:
        import numpy as np

        vectors = embedder.embed(["one", "two words", "", "三个字"])
        assert vectors.shape == (4, embedder.dim)
        assert vectors.dtype == np.float32
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)

    def test_nothing_gives_nothing(self, embedder: Embedder) -> None:
        assert embedder.embed([]).shape == (0, embedder.dim)

    def test_order_and_company_do_not_matter(self, embedder: Embedder) -> None:
        texts = ["a short one", "a much longer text about rivers and lakes " * 5, "the moon", "x"] * 7
        together = embedder.embed(texts)
        for index, text in enumerate(texts[:4]):
            alone = embedder.embed([text])[0]
            for other in range(index, len(texts), 4):
                assert float(alone @ together[other]) > 0.999

    def test_what_shares_meaning_is_nearer(self, embedder: Embedder) -> None:
        question, near, far = embedder.embed(
            ["where does the river flow", "the river flows to the sea", "bread is baked in an oven"]
        )
        assert float(question @ near) > float(question @ far)

    def test_several_threads_at_once(self, embedder: Embedder) -> None:
        texts = [f"sentence number {number}" for number in range(6)]
        expected = embedder.embed(texts)
        results: list[np.ndarray] = []
        threads = [threading.Thread(target=lambda: results.append(embedder.embed(texts))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(results) == 3
        assert all(float((result * expected).sum(axis=1).min()) > 0.999 for result in results)
