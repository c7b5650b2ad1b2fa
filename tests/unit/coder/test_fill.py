"""Completions: the prompt, where they end, what an editor's request becomes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from zhilu.apps.coder.fill.boundary import cut, is_single_line
from zhilu.apps.coder.fill.complete import complete
from zhilu.apps.coder.fill.near import near
from zhilu.apps.coder.fill.requests import parts_of_prompt
from zhilu.apps.coder.index.build import build
from zhilu.apps.coder.index.store import IndexStore
from zhilu.apps.coder.samples import unpack_sample
from zhilu.errors import UnsupportedError
from zhilu.messages import T
from zhilu.prompts.fill import FILL_MARKS
from zhilu.serving.api.filling import fill_marks_of

QWEN = FILL_MARKS[0]


def test_the_prompt_of_qwen() -> None:
    assert QWEN.prompt("a", "b") == "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>"
    whole = QWEN.prompt("a", "b", [("x.py", "x = 1")], repo="shop", path="y.py")
    assert whole == "<|repo_name|>shop\n<|file_sep|>x.py\nx = 1\n<|file_sep|>y.py\n" + QWEN.prompt("a", "b")


@pytest.mark.parametrize("marks", FILL_MARKS)
def test_a_prompt_that_an_editor_wrote_itself_is_taken_apart(marks: Any) -> None:
    prompt = marks.prompt("before\n", "\nafter", [("x.py", "x = 1")], path="y.py")
    assert parts_of_prompt(prompt, None) == ("before\n", "\nafter")
    assert parts_of_prompt(prompt, "s") == (prompt, "s")
    assert parts_of_prompt("no marks <|fim_prefix|>", None) == ("no marks <|fim_prefix|>", "")


@pytest.mark.parametrize(
    ("prefix", "suffix", "text", "kept", "is_over"),
    [
        # the body of a function ends before the next definition
        ("def f(x):\n    ", "", "return x\n\ndef g():\n", "return x", True),
        ("def f(x):\n", "", "    y = x\n    return y\nprint(f(1))", "    y = x\n    return y", True),
        ("def f(x):", "\n", "\n    return x\n\ndef g", "\n    return x", True),
        # still going on
        ("def f(x):\n    ", "", "y = x\n    return y", "y = x\n    return y", False),
        (
            "def f(x):\n    ",
            "",
            "if x:\n        return 1\n    return 2\n",
            "if x:\n        return 1\n    return 2\n",
            False,
        ),
        # what stands behind the cursor already is not repeated
        ("a = 1\n", "\nprint(total)\n", "total = a + 1\nprint(total)\n", "total = a + 1", True),
        # in the middle of a line: that line only
        ("x = (a + ", " + c) * 2\n", "b\nmore", "b", True),
        # a closing bracket behind the cursor is no middle
        ("print(", ")\n", "'hello'", "'hello'", False),
        # braces
        ("function f() {", "\n", "\n  return 1;\n}\nf();", "\n  return 1;\n}", True),
        # one definition at a time
        ("", "", "def f():\n    pass\n\n\ndef g():\n    pass\n", "def f():\n    pass", True),
    ],
)
def test_where_a_completion_ends(prefix: str, suffix: str, text: str, kept: str, is_over: bool) -> None:
    assert cut(text, prefix, suffix) == (kept, is_over)


def test_it_ends_for_every_way_in_which_the_text_may_come() -> None:
    prefix, text = "def f(x):\n    ", "y = x\n    return y\n\ndef g():\n    pass\n"
    whole, _ = cut(text, prefix, "")
    for end in range(len(text)):
        kept, is_over = cut(text[:end], prefix, "")
        assert whole.startswith(kept.rstrip("\n ")) or kept.startswith(whole)
        if is_over:
            assert kept == whole


def test_forty_lines_are_enough() -> None:
    kept, is_over = cut("x = 1\n" * 500, "", "")
    assert is_over and kept.count("\n") == 39


@pytest.mark.parametrize(
    ("suffix", "is_single"), [("", False), (")\n", False), ('"):\n', False), (" + c\n", True), ("\nx", False)]
)
def test_the_middle_of_a_line(suffix: str, is_single: bool) -> None:
    assert is_single_line(suffix) is is_single


_numbers = count()


class Engine:
    """Streams a text; counts tokens as a model with Qwen's marks does, or says that it cannot fill in."""

    def __init__(self, text: str, *, marks: bool = True) -> None:
        self.text, self.marks = text, marks
        self.base_url = f"http://engine-{next(_numbers)}/v1"
        self.prompts: list[str] = []
        self.num_sent = 0

    async def tokenize(self, *, prompt: str, **_: Any) -> dict[str, Any]:
        return {"count": 2 if self.marks and prompt.startswith(QWEN.prefix) else 9}

    async def completions_stream(self, prompt: str, **sent: Any) -> AsyncIterator[dict[str, Any]]:
        self.prompts.append(prompt)
        assert set(QWEN.ends) <= set(sent["stop"]) and sent["skip_special_tokens"] is False
        for at in range(0, len(self.text), 7):
            self.num_sent = at
            yield {"choices": [{"text": self.text[at : at + 7]}]}

    async def completions(self, prompt: str, **_: Any) -> dict[str, Any]:
        raise UnsupportedError(T("no", "不"), param="suffix")


@pytest.fixture
def store(tmp_path: Path) -> IndexStore:
    unpack_sample(tmp_path / "shop")
    store = IndexStore(tmp_path / "index.db")
    build(tmp_path / "shop", store)
    return store


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("    return cents", "return cents"),
        ("    if cents:\n        return 1\n    return 2", "if cents:\n        return 1\n    return 2"),
        ("\treturn cents", "return cents"),
        ("        ", ""),
        ("def g():\n    pass\n", ""),
    ],
)
def test_the_models_own_indentation_is_not_written_twice(store: IndexStore, said: str, text: str) -> None:
    """The prompt ends before the blanks of the cursor's line, whose token the model writes together with the word."""
    engine = Engine(said)
    made = asyncio.run(complete(engine, "m", "def f(cents):\n    ", "\n", store=store, path="x.py"))  # type: ignore[arg-type]
    assert made.text == text and "def f(cents):\n<|fim_suffix|>" in engine.prompts[-1]


def test_the_model_is_stopped_at_the_boundary(store: IndexStore) -> None:
    engine = Engine("return cents\n\n\ndef other():\n" + "    pass\n" * 300)
    made = asyncio.run(complete(engine, "m", "def f(cents):\n    ", "", store=store, path="x.py"))  # type: ignore[arg-type]
    assert (made.text, made.is_cut) == ("return cents", True)
    assert engine.num_sent < 60


def test_definitions_of_the_names_around_are_shown_first(store: IndexStore) -> None:
    prefix = "from shop.money import format_amount, percent_of\n\ndef bill(cents):\n    tax = percent_of(cents, 19)\n    return "
    found = near(store, "shop/bill.py", prefix, "")
    assert [text.split("(")[0] for _, text in found] == ["def format_amount", "def percent_of"]
    assert near(store, "shop/money.py", prefix, "") == []  # the file itself is in the prompt anyway
    engine = Engine("format_amount(cents + tax)\n")
    made = asyncio.run(complete(engine, "m", prefix, "", store=store, path="shop/bill.py", repo="tinyshop"))  # type: ignore[arg-type]
    assert made.used == ["shop/money.py", "shop/money.py"]
    assert engine.prompts[0].startswith("<|repo_name|>tinyshop\n<|file_sep|>shop/money.py\ndef format_amount(")
    assert engine.prompts[0].endswith(f"<|file_sep|>shop/bill.py\n{QWEN.prompt(prefix, '')}")


def test_a_model_that_cannot_is_named() -> None:
    with pytest.raises(UnsupportedError, match="fill in the middle"):
        asyncio.run(complete(Engine("", marks=False), "m", "a", "b"))  # type: ignore[arg-type]


def test_the_vocabulary_says_whether_a_model_can(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"vocab": {"hello": 1}}')
    assert fill_marks_of(tmp_path) is None and fill_marks_of(None) is None and fill_marks_of(tmp_path / "gone") is None
    coder = tmp_path / "coder"
    coder.mkdir()
    (coder / "tokenizer.json").write_text('["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"]')
    assert fill_marks_of(coder) is QWEN
