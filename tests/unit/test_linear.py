"""Whatever a stranger sends is read in time that grows with its length: every regular expression, every text function.

Work is counted, not timed: steps of a backtracking matcher for the expressions, instructions for the functions; at n and 2n.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.examples import examples
from tests.unit.regex_steps import LIMIT, Steps, alphabet, beginnings, runs

import zhilu
from zhilu.errors import mask_passwords
from zhilu.models.embedders.units import units
from zhilu.rag.answer.ground import split_answer
from zhilu.rag.index.split import split
from zhilu.rag.load.decode import clean
from zhilu.rag.load.markdown import headings
from zhilu.rag.load.sniff import _is_html
from zhilu.text.sentences import sentences, token_ends
from zhilu.text.terms import content_terms, segment

SOURCE = Path(zhilu.__file__).parent
# Where an expression meets no stranger's text, or meets it in a process with limits of time and memory.
ELSEWHERE = {
    "training/": "our own training data",
    "training/nano/": "our own training data",
    "training/embed/": "our own training data",
    "cli/": "our own help",
    "doctor/": "what this machine's own programs print",
    "serving/install/": "what pip prints",
    "models/sources/parts.py": "what pip prints",
    "serving/proofs/": "what our own gates print",
    "serving/client_tools.py": "what node and java print",
    "serving/client_gates.py": "our own log",
    "rag/load/pdf.py": "limited process", "rag/load/docx": "limited process", "rag/load/html.py": "limited process",
    "rag/load/markdown.py": "limited process", "rag/load/text.py": "limited process",
    "rag/load/code.py": "limited process", "rag/load/parts/": "limited process", "rag/load/tables/": "limited process",
}  # fmt: skip


def expressions(rooms: tuple[str, ...] = ("",)) -> Iterator[tuple[str, str, int, bool]]:
    """``(place, pattern, flags, anchored)`` of every expression of the package that meets a stranger's text; ``anchored``:
    only ever tried at one place (``match``, ``fullmatch``)."""
    for path in sorted(SOURCE.rglob("*.py")):
        place = path.relative_to(SOURCE).as_posix()
        if place.startswith(rooms) and not place.startswith(tuple(ELSEWHERE)):
            yield from _expressions_in(path, place)


@cache
def _expressions_in(path: Path, place: str) -> list[tuple[str, str, int, bool]]:
    if "re." not in (source := path.read_text()):
        return []
    tree = ast.parse(source)
    calls = [n for n in ast.walk(tree) if _is_regex_call(n)]
    if not calls:
        return []
    module = importlib.import_module("zhilu." + place.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    named = {name: value for name, value in vars(module).items() if isinstance(value, re.Pattern)}
    compiled = [(v.pattern, v.flags, _uses(tree, name) <= _AT_ONE_PLACE) for name, v in named.items()]
    literal = [
        (n.args[0].value, 0, n.func.attr in _AT_ONE_PLACE)
        for n in calls
        if isinstance(n.args[0], ast.Constant) and n.func.attr != "compile"
    ]
    found: dict[str, tuple[str, str, int, bool]] = {}
    for pattern, flags, anchored in [*compiled, *literal]:
        if isinstance(pattern, str):
            found.setdefault(pattern, (place, pattern, flags & (re.I | re.M | re.S), anchored))
    return list(found.values())


_AT_ONE_PLACE = {"match", "fullmatch"}


def _uses(tree: ast.AST, name: str) -> set[str]:
    """What is called of the expression ``name``; of one that is only handed on, the worst is thought."""
    found = {
        node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name) and node.func.value.id == name
    }  # fmt: skip
    return found or {"search"}


def _is_regex_call(node: ast.AST) -> bool:
    names = {"compile", "match", "search", "fullmatch", "sub", "subn", "split", "findall", "finditer"}
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names
        and isinstance(node.func.value, ast.Name) and node.func.value.id == "re" and bool(node.args)
    )  # fmt: skip


def worst(pattern: str, flags: int, anchored: bool = False) -> tuple[float, str]:
    """How the steps grow from n to 2n on the text that is worst for the pattern, out of many made of its own characters."""
    letters, fixed = alphabet(pattern, flags)[:6], runs(pattern, flags)
    texts = ["".join(t) for t in (*product(letters, repeat=1), *product(letters, repeat=2), *product(fixed, repeat=2))]
    steps = Steps(pattern, flags)
    found = (0.0, "")
    for prefix in beginnings(pattern, flags):
        for unit, tail in product([*texts, *fixed], ("\ue000", "")):
            many = steps.count(prefix + unit * 48 + tail, anchored)
            if many > 1500 + 3 * len(unit):  # what is so little cannot be quadratic
                growth = LIMIT if many >= LIMIT else many / steps.count(prefix + unit * 24 + tail, anchored)
                found = max(found, (growth, f"{prefix!r} + {unit!r} * n + {tail!r}"))
                if growth > 3:
                    return found
    return found


@pytest.mark.parametrize(
    ("pattern", "flags", "is_linear"),
    [
        (r"(a+)+$", 0, False),
        (r"\A\s*(?:<!--.*?-->\s*)*<html\b", re.S, False),
        (r"[.!?]+[\"')]*(?=\s|$)", 0, False),
        (r"(?<![.!?])[.!?]+[\"')]*(?=\s|$)", 0, True),
        (r"\s*\|\s*$", 0, False),
        (r"\A---\s*\n(.*?)\n---\s*(?:\n|\Z)", re.S, False),
        (r"[a-z]+|\d+", 0, True),
        (r"\"(?:[^\"\\]|\\.)*\"", 0, False),  # as a search: each quote begins a scan to the end
        (r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", 0, True),
    ],
)
def test_the_counter_tells_linear_from_others(pattern: str, flags: int, is_linear: bool) -> None:
    growth, text = worst(pattern, flags)
    assert (growth < 3) is is_linear, (growth, text)


ROOMS = (
    ("engine/",), ("serving/",), ("models/",), ("rag/answer/", "rag/retrieve/"), ("rag/",),
    ("apps/", "host/", "jobs/", "roadmap/", "wire/", *(p.name for p in SOURCE.glob("*.py")), "prompts/"),
)  # fmt: skip


@pytest.mark.parametrize("rooms", ROOMS, ids=lambda rooms: rooms[0])
def test_every_expression_is_linear(rooms: tuple[str, ...]) -> None:
    slow = {}
    elsewhere = tuple(place for other in ROOMS if other != rooms for place in other if place.startswith(rooms))
    for place, pattern, flags, anchored in expressions(rooms):
        if elsewhere and place.startswith(elsewhere):
            continue
        growth, text = worst(pattern, flags, anchored)
        if growth >= 3:
            slow[f"{place}: {pattern}"] = (round(growth, 1), text)
    assert slow == {}


def test_the_walk_finds_the_expressions() -> None:
    places = {place.partition("/")[0] for place, *_ in expressions()}
    assert places >= {"engine", "serving", "rag", "models"} and len(list(expressions())) > 40


def work(function: Callable[[str], object], text: str) -> int:
    """Instructions of Python that a call takes, in our own files."""
    count = 0

    def trace(frame: object, event: str, _: object) -> object:
        nonlocal count
        frame.f_trace_opcodes = True  # type: ignore[attr-defined]
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function(text)
    finally:
        sys.settrace(before)
    return count


FUNCTIONS: dict[str, Callable[[str], object]] = {
    "split": split,
    "split under its own headings": lambda text: split(text, headings(text)),
    "sentences": lambda text: list(sentences(text)),
    "token_ends": token_ends,
    "headings": headings,
    "clean": clean,
    "is_html": _is_html,
    "split_answer": split_answer,
    "segment": segment,
    "content_terms": content_terms,
    "units": units,
    "mask_passwords": mask_passwords,
}
UNITS = (
    "!", "!x", ". ", "a ", " ", "\n", "# a\n", "#", "| a |\n", "|", "```\na\n", "<!-- -->", "<", "[1", "“", "一", "。”", "1.\n", "://a@",
    "= \n", "---\n", "x" * 70 + "\n", "\t\n", ",", "\u3000", "a\u0301",
)  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_text_twice_as_long_takes_twice_the_work(name: str) -> None:
    function = FUNCTIONS[name]
    slow = {}
    for unit in UNITS:
        few, many = (work(function, unit * n + "x") for n in (150, 300))
        if many > 2.6 * few + 2000:
            slow[unit] = (few, many)
    assert slow == {}


HOSTILE = st.lists(
    st.tuples(st.one_of(st.sampled_from(UNITS), st.text(max_size=6)), st.integers(1, 400)), max_size=6
).map(lambda parts: "".join(text * n for text, n in parts))


@given(HOSTILE)
@examples(60)
def test_nothing_is_lost_and_nothing_raised_whatever_the_text(text: str) -> None:
    """Hostile lengths in every order: the passages hold every character that is no white space, within their size."""
    outline = headings(text)
    chunks = split(text, outline)
    covered = [False] * len(text)
    for chunk in chunks:
        covered[chunk.start : chunk.end] = [True] * (chunk.end - chunk.start)
        assert chunk.num_tokens <= 220 and len(chunk.heading) <= 6 * 203
    assert all(c or text[i].isspace() for i, c in enumerate(covered))
    for function in FUNCTIONS.values():
        function(text)
