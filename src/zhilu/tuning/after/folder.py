"""A tuned model as a folder that every reader understands: safetensors, and both spellings of what changed its name.

transformers 5 writes ``rope_parameters`` and ``chat_template.jinja``; older readers (Ollama's importer among them) know
``rope_theta`` and the template in ``tokenizer_config.json`` only, and answer nonsense in silence where they miss them.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from zhilu.engine.model.config import read_json
from zhilu.engine.model.gguf import find_gguf, read_gguf
from zhilu.engine.model.spellings import both_spellings, tokenizer_spellings
from zhilu.engine.text.gguf_tokenizer import gguf_tokenizer
from zhilu.engine.text.tokenizer import Tokenizer

__all__ = ["save_model"]

_TEXTS = ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "special_tokens_map.json")


def save_model(model: Any, base: Path, folder: Path) -> None:
    """Write ``model`` (a Transformers model) with the tokenizer and the template of ``base``."""
    model.save_pretrained(folder, safe_serialization=True)
    gguf = find_gguf(base)
    stated: dict[str, Any] = {}
    if gguf is not None:
        raw, stated = gguf_tokenizer(read_gguf(gguf))
        (folder / "tokenizer.json").write_text(json.dumps(raw, ensure_ascii=False), encoding="utf-8")
    else:
        for name in _TEXTS:
            if (base / name).is_file():
                shutil.copyfile(base / name, folder / name)
        if (base / "tokenizer_config.json").is_file():
            stated = read_json(base / "tokenizer_config.json")
    template = Tokenizer(base).chat_template
    said, text = tokenizer_spellings(stated, template.source if template is not None else None)
    (folder / "tokenizer_config.json").write_text(json.dumps(said, ensure_ascii=False), encoding="utf-8")
    if text is not None:
        (folder / "chat_template.jinja").write_text(text, encoding="utf-8")
    config = both_spellings(read_json(folder / "config.json")) | {"use_cache": True}
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
