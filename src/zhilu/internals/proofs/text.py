"""The text that lessons run on: Zhilu's own source, which every installation has. Real, and the same everywhere."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from zhilu.engine.text.tokenizer import Tokenizer
from zhilu.models.shipped import NANO

__all__ = ["nano_ids", "question_ids", "source_bytes"]

_ROOT = Path(__file__).parents[2]
_FOLDERS = ("engine", "wire", "jobs")


@cache
def source_bytes() -> bytes:
    """A few hundred kilobytes of Python."""
    files = sorted(path for folder in _FOLDERS for path in (_ROOT / folder).rglob("*.py"))
    return b"\n".join(path.read_bytes() for path in files)


@cache
def _tokenizer() -> Tokenizer:
    return Tokenizer(NANO)


def nano_ids(length: int) -> list[int]:
    """The first tokens of that text, as zhilu-nano reads them."""
    text = source_bytes()[: 12 * length].decode("utf-8", errors="ignore")
    return _tokenizer().encode(text, add_special_tokens=False)[:length]


def question_ids() -> list[int]:
    """A question as the chat template hands it to zhilu-nano: what follows is words, not one token over and over."""
    turns = "<|im_start|>user\nWhat can you do? Please tell me about yourself.<|im_end|>\n<|im_start|>assistant\n"
    return _tokenizer().encode(turns, add_special_tokens=False)
