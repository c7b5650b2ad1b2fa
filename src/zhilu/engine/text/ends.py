"""The tokens that end an answer, as a model's files state them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zhilu.engine.model.config import read_json
from zhilu.errors import InputError
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.engine.model.config import ModelConfig
    from zhilu.engine.text.tokenizer import Tokenizer

__all__ = ["end_ids"]


def end_ids(folder: Path, config: ModelConfig, tokenizer: Tokenizer) -> frozenset[int]:
    """Every token that one of the model's files calls its end: they often disagree, and each of them is meant.

    InputError where one is no token's number.
    """
    path = folder / "generation_config.json"
    stated = read_json(path).get("eos_token_id") if path.is_file() else None
    from_generation = stated if isinstance(stated, list) else [stated]
    if not all(id is None or (type(id) is int and id >= 0) for id in from_generation):
        raise InputError(
            T(
                f"{str(path)!r}: eos_token_id is no token: {str(stated)[:80]}",
                f"{str(path)!r}：eos_token_id 不是 token：{str(stated)[:80]}",
            ),
            code="bad_config",
        )
    return frozenset(id for id in (*config.eos_ids, *from_generation, tokenizer.eos_id) if id is not None)
