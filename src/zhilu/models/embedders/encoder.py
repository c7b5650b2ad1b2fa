"""A BERT encoder as an embedder: texts cut to tokens, batched by length, run as an OpenVINO graph on the CPU."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from zhilu.models.embedders.base import Kind

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Encoding, Tokenizer

    from zhilu.models.embedders.bert import Arithmetic, BertShape

__all__ = ["Encoder"]

_BATCH = 16  # texts of similar length at once: more gains nothing on a CPU and costs memory


class Encoder:
    """See ``Embedder``. A subclass names itself; ``prefixes`` stand before a text of each kind."""

    name: str
    languages: tuple[str, ...]
    max_tokens: int
    prefixes: ClassVar[Mapping[Kind, str]] = {"passage": "", "query": ""}

    def __init__(
        self,
        weights: Mapping[str, np.ndarray],
        shape: BertShape,
        tokenizer: Tokenizer,
        *,
        vectors_of: Callable[[np.ndarray], np.ndarray] | None = None,
        clean: Callable[[str], str] = str,
        threads: int = 0,
        arithmetic: Arithmetic | None = None,
    ) -> None:
        """``vectors_of``: token ids (B, T) to word vectors, where ``weights`` has none; ``clean``: text to what is cut up."""
        import openvino

        from zhilu.models.embedders import bert

        core = openvino.Core()
        chosen, why = bert.choose_arithmetic(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
        self.arithmetic: Arithmetic = arithmetic or chosen
        self.why = why.say() if arithmetic is None else arithmetic
        self.dim = shape.hidden_size
        graph = bert.build_graph(weights, shape, self.arithmetic)
        options = {"PERFORMANCE_HINT": "LATENCY", **bert.PLUGIN[self.arithmetic]}
        if threads:
            options["INFERENCE_NUM_THREADS"] = str(threads)
        self._request = core.compile_model(graph, "CPU", options).create_infer_request()
        self._vectors_of = vectors_of
        self._clean = clean
        self._tokenizer = tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()  # its own file may say less than the model reads
        self._lock = threading.Lock()

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text as if nothing were cut, the two special ones included: for usage and for refusing."""
        return [len(encoding.ids) for encoding in self._encode_fast(texts, "passage")]

    def truncate(self, texts: Sequence[str], num_tokens: int) -> list[str]:
        """Each text up to its ``num_tokens``-th token, the two special ones counted."""
        found = []
        for text, encoding in zip(texts, self._tokenizer.encode_batch(list(texts)), strict=True):
            ends = [
                end
                for (_, end), special in zip(encoding.offsets, encoding.special_tokens_mask, strict=True)
                if not special
            ]
            room = max(0, num_tokens - (len(encoding.ids) - len(ends)))
            # WordPiece takes the longest piece first, so that a word cut between two pieces is cut up alike.
            found.append(text if len(ends) <= room else text[: ends[room - 1] if room else 0])
        return found

    def embed(self, texts: Sequence[str], kind: Kind = "passage") -> np.ndarray:
        import numpy as np

        if not texts:
            return np.empty((0, self.dim), np.float32)
        rows = [self._cut(encoding.ids) for encoding in self._encode_fast(texts, kind)]
        vectors = np.empty((len(rows), self.dim), np.float32)
        by_length = sorted(range(len(rows)), key=lambda index: len(rows[index]))  # so that little is padding
        for start in range(0, len(by_length), _BATCH):
            chosen = by_length[start : start + _BATCH]
            vectors[chosen] = self._infer([rows[index] for index in chosen])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)  # here, not in the graph: in full precision

    def _encode_fast(self, texts: Sequence[str], kind: Kind) -> list[Encoding]:
        found: list[Encoding] = self._tokenizer.encode_batch_fast([self.prefixes[kind] + self._clean(t) for t in texts])
        return found

    def _cut(self, ids: list[int]) -> list[int]:
        """The first ``max_tokens``, the two special ones counted."""
        return ids if len(ids) <= self.max_tokens else [*ids[: self.max_tokens - 1], ids[-1]]

    def _infer(self, rows: list[list[int]]) -> np.ndarray:
        import numpy as np

        width = max(len(row) for row in rows)
        ids = np.zeros((len(rows), width), np.int32)
        mask = np.zeros((len(rows), width), np.float32)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = 1.0
        with self._lock:  # a request holds one inference at a time, and two would only fight for the same cores
            self._request.infer([ids if self._vectors_of is None else self._vectors_of(ids), mask])
            return self._request.get_output_tensor(0).data.copy()
