"""``suffix`` becomes a prompt with the model's own marks, where the engine has no such field."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from zhilu import wire
from zhilu.errors import InputError, UnsupportedError
from zhilu.serving.api.filling import filled

QWEN = '["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"]'


def served(path: Path | None, *can: str) -> Any:
    return SimpleNamespace(facts=SimpleNamespace(can=frozenset(can)), model=SimpleNamespace(path=path, name="m"))


def asked(server: Any, **data: Any) -> dict[str, Any] | None:
    return filled(server, data, wire.parse_request(wire.CompletionRequest, data))


@pytest.fixture
def coder(tmp_path: Path) -> Path:
    (tmp_path / "tokenizer.json").write_text(QWEN)
    return tmp_path


def test_the_prompt_is_written_with_the_marks(coder: Path) -> None:
    made = asked(served(coder, "special_tokens"), prompt="a", suffix="b", stop="x", max_tokens=3)
    assert made is not None and "suffix" not in made
    assert made["prompt"] == "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>"
    assert made["stop"][0] == "x" and "<|endoftext|>" in made["stop"] and made["skip_special_tokens"] is False
    wire.parse_request(wire.CompletionRequest, made)
    plain = asked(served(coder), prompt="a", suffix="b")
    assert plain is not None and set(plain) == {"prompt"}  # such an engine ends at the marks by itself


def test_nothing_changes_where_nothing_is_to_be_filled_in(coder: Path) -> None:
    assert asked(served(coder), prompt="a") is None
    assert asked(served(coder), prompt="a", suffix="") is None
    assert asked(served(coder, "suffix"), prompt="a", suffix="b") is None  # the engine does it itself


def test_what_cannot_be_is_refused(coder: Path, tmp_path: Path) -> None:
    for path in (None, tmp_path / "gone"):
        with pytest.raises(UnsupportedError):
            asked(served(path), prompt="a", suffix="b")
    for more in ({"prompt": ["a", "b"]}, {"prompt": [1, 2]}, {"prompt": "a", "echo": True}):
        with pytest.raises(InputError):
            asked(served(coder), suffix="b", **more)


@pytest.mark.parametrize("where", ["start", "far"])
def test_the_head_of_a_gguf_file_says_it(tmp_path: Path, where: str) -> None:
    marks = b"<|fim_prefix|>\0<|fim_suffix|>\0<|fim_middle|>"
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + (b"\0" * (5 << 20) if where == "far" else b"") + marks)
    assert asked(served(tmp_path), prompt="a", suffix="b") is not None
