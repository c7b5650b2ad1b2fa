"""How often the code assistant is right: questions, changes and completions on the sample repository (``cases.jsonl``).

A question is right when it cites the expected file and symbol and says one of the expected words; of one that the code does not answer,
when no founded answer is given. A change or a completion is right when a test that the model has not seen passes after it, in the
sandbox. The tests hold only what was asked for; each fails on the repository as it is (see the unit tests).
"""

from __future__ import annotations

import ast
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from pydantic import BaseModel

from zhilu.apps.coder.edits.kept import Edits
from zhilu.apps.coder.edits.propose import propose
from zhilu.apps.coder.edits.testing import Trial, run_tests
from zhilu.apps.coder.fill.complete import complete
from zhilu.apps.coder.index.build import build
from zhilu.apps.coder.index.python import outline_python
from zhilu.apps.coder.index.store import IndexStore
from zhilu.apps.coder.questions.ask import CodeAnswer, ask
from zhilu.apps.coder.repos import CodeRepo
from zhilu.apps.coder.samples import unpack_sample
from zhilu.client import ModelClient
from zhilu.context import Context
from zhilu.errors import InputError, UnsupportedError
from zhilu.messages import T

__all__ = ["CodeCase", "CodeJudged", "cases", "emptied", "judge_answer", "judge_each", "passes"]


class CodeCase(BaseModel):
    """``places``: path and symbol of which one must be cited; none: the code does not answer. ``test``: a program that must end well."""

    kind: Literal["question", "edit", "fill"]
    ask: str
    places: list[str] = []
    says: list[str] = []
    path: str = ""
    symbol: str = ""
    test: str = ""


@dataclass(frozen=True)
class CodeJudged:
    case: CodeCase
    right: bool
    said: str
    why: T | None = None


@cache
def cases() -> tuple[CodeCase, ...]:
    lines = Path(__file__).with_name("cases.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(CodeCase.model_validate(json.loads(line)) for line in lines)


async def judge_each(
    context: Context, client: ModelClient, model: str, wanted: Callable[[CodeCase], bool] = lambda case: True
) -> AsyncIterator[CodeJudged]:
    """Every case in a folder of its own; nothing is left behind.

    Raises:
        MissingComponentError: there is no sandbox here to try changes in.
    """
    with TemporaryDirectory(dir=context.home.cache) as folder:
        root = Path(folder, "tinyshop")
        unpack_sample(root)
        store = IndexStore(Path(folder, "index.db"))
        build(root, store)
        for case in filter(wanted, cases()):
            if case.kind == "question":
                yield await _question(client, model, store, case)
            elif case.kind == "edit":
                yield await _edit(context, client, model, store, root, case)
            else:
                yield await _fill(context, client, model, store, root, case)


async def _question(client: ModelClient, model: str, store: IndexStore, case: CodeCase) -> CodeJudged:
    answer = CodeAnswer(question=case.ask, status="nothing")
    async for event in ask(client, model, store, case.ask):
        if event.name == "done":
            answer = CodeAnswer.model_validate(event.data)
    said = " ".join(s.text for s in answer.sentences) or answer.status
    right, why = judge_answer(case, answer)
    return CodeJudged(case, right, said, why)


def judge_answer(case: CodeCase, answer: CodeAnswer) -> tuple[bool, T | None]:
    """By the founded sentences alone."""
    founded = [s for s in answer.sentences if s.is_founded] if answer.status != "nothing" else []
    if not case.places:
        return (not founded, T("answered what the code does not say", "回答了代码中没有的内容") if founded else None)
    cited = {f"{c.path} {c.symbol}" for s in founded for c in s.cites}
    if not cited & set(case.places):
        return False, T(f"does not cite {case.places[0]}", f"没有引用 {case.places[0]}")
    said = " ".join(s.text for s in founded)
    if not any(word in said for word in case.says):
        return False, T(f"does not say {case.says[0]}", f"没有提到 {case.says[0]}")
    return True, None


async def _edit(
    context: Context, client: ModelClient, model: str, store: IndexStore, root: Path, case: CodeCase
) -> CodeJudged:
    edits = Edits(context, CodeRepo.model_validate({"id": "0" * 12, "name": "x", "root": str(root), "created_at": 0}))
    try:
        edit = await propose(client, model, store, root, edits.new(case.ask, model), tried=Trial(context, root))
    except InputError as error:
        return CodeJudged(case, False, "", error.message)
    if edit.status != "proposed":
        return CodeJudged(case, False, "", edit.problem)
    return await passes(context, root, case, edit.path, edit.after, edit.diff)


async def _fill(
    context: Context, client: ModelClient, model: str, store: IndexStore, root: Path, case: CodeCase
) -> CodeJudged:
    prefix, suffix = emptied((root / case.path).read_text(encoding="utf-8"), case.symbol)
    try:
        made = await complete(client, model, prefix, suffix, store=store, path=case.path, repo="tinyshop")
    except UnsupportedError as error:
        return CodeJudged(case, False, "", error.message)
    return await passes(context, root, case, case.path, prefix + made.text + suffix, made.text)


def emptied(text: str, symbol: str) -> tuple[str, str]:
    """A file before and behind the body of a function, its docstring kept; the cursor is where the body begins."""
    name = symbol.rpartition(".")[2]
    node = next(n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef) and n.name == name)
    assert [s.qualname for s in outline_python(text).symbols if s.name == name] == [symbol]
    lines = text.split("\n")
    first = node.body[1]
    indent = " " * first.col_offset
    return "\n".join([*lines[: first.lineno - 1], indent]), "\n".join(["", *lines[node.end_lineno or 0 :]])


async def passes(context: Context, root: Path, case: CodeCase, path: str, after: str, said: str) -> CodeJudged:
    """Whether the test of a case ends well with ``after`` in the file's place."""
    command = [os.path.realpath(sys.executable), "-m", "asked_for"]
    ran = await run_tests(context, root, command=command, more={path: after, "asked_for.py": case.test})
    why = None if ran.passed else T.of((ran.output.strip().split("\n") or [""])[-1][:200] or "failed")
    return CodeJudged(case, ran.passed, said, why)
