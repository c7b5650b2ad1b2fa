"""A change in a person's words becomes a diff. The model is shown the function that it is about and writes it anew; where no function
is meant it writes search/replace blocks. What cannot be applied, breaks tests or misses the example that the model wrote first goes
back to it once, with the reason; then it tries once afresh."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zhilu.apps.coder.edits.blocks import Refused, Unchanged, changed_text
from zhilu.apps.coder.edits.kept import CodeEdit, Opened, finish, open_file
from zhilu.apps.coder.edits.testing import Trial
from zhilu.apps.coder.edits.wanted import wanted_example
from zhilu.apps.coder.fill.near import near
from zhilu.apps.coder.index.find import find_symbols, named_in, search
from zhilu.apps.coder.index.python import outline_python
from zhilu.apps.coder.index.store import CodeSymbol, IndexStore
from zhilu.client import ModelClient
from zhilu.errors import InputError, NotFoundError
from zhilu.messages import T
from zhilu.text.sentences import token_ends

__all__ = ["propose"]

_TOKENS = 160  # of an answer, and as many as the code has twice over
_ATTEMPTS = 3  # as asked, mended, and once afresh
_AFRESH = 0.7  # temperature
_MOST_LINES = 120  # of a file that is shown whole for search/replace
_WHOLE = (
    "You change one function of a program as you are told. Write the whole function anew, with its docstring, in one fenced block and "
    "nothing else. Keep its name and everything that the change does not concern: what worked before works as before. Do not write the "
    "rest of the file, nor the class around a method."
)
_FAILED = (
    "After this change tests of the repository fail. Where the change that was asked for makes that necessary, write the same again. Else "
    "write the function once more so that it does what was asked for and the tests pass."
)
_UNCHANGED = "That is the code as it was: nothing has changed. Write the function with this change in it:"
_MISSED = (
    "After the change this should hold:\n```\n{example}\n```\nIt does not:\n{said}\nWhere it says what the change asks for, write the "
    "function once more so that it holds. Where it does not, write the same again."
)
_BLOCKS = (
    "You change a file as you are told. For each change write one block and nothing else:\n"
    "<<<<<<< SEARCH\nlines exactly as they stand in the file\n=======\nthe lines that take their place\n>>>>>>> REPLACE\n"
    "The lines to search for must stand in the file exactly once."
)


async def propose(
    client: ModelClient,
    model: str,
    store: IndexStore,
    root: Path,
    edit: CodeEdit,
    *,
    path: str | None = None,
    symbol: str | None = None,
    tried: Trial | None = None,
) -> CodeEdit:
    """Fill in ``edit``: ``proposed`` with its diff, or ``refused`` with the reason. Nothing is written.

    Args:
        tried: runs the repository's tests with a proposal in place, and an example that the model wrote first (``wanted``). What fails
            goes back to the model once; a last try begins afresh. The best of them is the proposal, the first of two that are as good.

    Raises:
        NotFoundError: no such file or symbol. InputError: the file is none that is changed here.
    """
    target = _target(store, edit.instruction, path, symbol)
    opened = open_file(root, target.path if target else _path(store, edit.instruction, path))
    target = _as_it_is_now(opened, target)
    edit.path, edit.symbol = opened.path, target.qualname if target else ""
    first = messages = _messages(store, opened, target, edit.instruction)
    code = opened.text.split("\n")[target.start - 1 : target.end] if target else opened.text.split("\n")
    most = _TOKENS + 2 * len(token_ends("\n".join(code)))
    example = (
        await wanted_example(client, model, opened, target, edit.instruction, tried.example)
        if tried and target
        else None
    )
    best: CodeEdit | None = None
    best_rank = (False, 0)
    for attempt in range(1, _ATTEMPTS + 1):
        edit.attempts = attempt
        is_last = attempt == _ATTEMPTS
        reply = await client.chat(
            first if is_last else messages, model=model, max_tokens=most, temperature=_AFRESH if is_last else 0
        )
        said = str(reply["choices"][0]["message"].get("content") or "")
        try:
            after = changed_text(opened.text, said, opened.language, target)
        except Refused as refused:
            edit.problem = refused.message
            again = f"{refused.message.en} Write it again, mended, in the same form."
            if isinstance(refused, Unchanged):
                again = f"{_UNCHANGED} {edit.instruction}"
        else:
            made = finish(edit.model_copy(deep=True), opened, after)
            made.tests = await tried.tests(made) if tried else None
            num_missed, missed = await example.misses(after) if example else (0, "")
            rank = (made.tests is None or made.tests.passed, -num_missed)
            if best is None or rank > best_rank:
                best, best_rank = made, rank
            if rank == (True, 0):
                break
            again = _MISSED.format(example=example.text if example else "", said=missed)
            if made.tests is not None and not made.tests.passed:
                again = f"{_FAILED}\n```\n{made.tests.output[-1200:]}\n```"
        messages = [*first, {"role": "assistant", "content": said}, {"role": "user", "content": again}]
    return best or edit


def _target(store: IndexStore, instruction: str, path: str | None, symbol: str | None) -> CodeSymbol | None:
    """The function or class that is meant: the one named, else the first that the instruction names, else what it is about."""
    if symbol:
        found = [s for s in find_symbols(store, symbol) if path in (None, s.path)]
        exact = [s for s in found if s.qualname == symbol] or [s for s in found if s.name == symbol.rpartition(".")[2]]
        if not exact:
            raise NotFoundError(
                T(f"There is no symbol {symbol!r}.", f"没有符号 {symbol!r}。"),
                param="symbol",
                fix="zhilu code find REPO WORDS",
            )
        if len(exact) > 1:
            places = ", ".join(f"{s.path} ({s.qualname})" for s in exact[:5])
            raise InputError(
                T(f"{symbol!r} is there more than once: {places}.", f"{symbol!r} 不止一处：{places}。"), param="symbol"
            )
        return exact[0]
    named = [s for s in named_in(store, instruction) if path in (None, s.path)]
    if named:
        # A method that is named beside its class is meant more than the class.
        return next((s for s in named if s.kind in ("function", "method")), named[0])
    if path:
        return None
    for hit in search(store, instruction):
        for one in store.symbols_of(hit.path):
            if one.qualname == hit.symbol and one.kind in ("function", "method"):
                return one
    return None


def _path(store: IndexStore, instruction: str, path: str | None) -> str:
    if path:
        return path
    named = next((f.path for f in store.files() if f.path in instruction), None)
    if named is None:
        raise InputError(
            T("Say which function or file is meant.", "请说明要修改哪个函数或文件。"),
            param="symbol",
            fix="zhilu code edit --help",
        )
    return named


def _as_it_is_now(opened: Opened, target: CodeSymbol | None) -> CodeSymbol | None:
    """The lines of a symbol in the file as it is now, which may have changed since it was read."""
    if target is None or opened.language != "python":
        return target
    found = [s for s in outline_python(opened.text).symbols if s.qualname == target.qualname]
    if len(found) != 1:
        raise InputError(
            T(
                f"{target.qualname!r} is not there once in {opened.path!r} any more: read the repository again.",
                f"{opened.path!r} 中的 {target.qualname!r} 已有变化：请重新读取仓库。",
            ),
            param="symbol",
            fix="zhilu code index REPO",
        )
    now = found[0]
    return target.model_copy(update={"start": now.start, "end": now.end})


def _messages(store: IndexStore, opened: Opened, target: CodeSymbol | None, instruction: str) -> list[dict[str, Any]]:
    lines = opened.text.split("\n")
    if target is None:
        if len(lines) > _MOST_LINES:
            raise InputError(
                T(
                    f"{opened.path!r} has more than {_MOST_LINES} lines: name the function to change.",
                    f"{opened.path!r} 超过 {_MOST_LINES} 行：请给出要修改的函数。",
                ),
                param="symbol",
            )
        shown = f"{opened.path}\n```\n{opened.text}\n```\n\n{instruction}"
        return [{"role": "system", "content": _BLOCKS}, {"role": "user", "content": shown}]
    code = "\n".join(lines[target.start - 1 : target.end])
    beside = [
        found
        for found in near(store, "", code, instruction, room=1_200)
        if found[1] not in code and code not in found[1]
    ]
    around = "\n\n".join(f"{path}\n```\n{text}\n```" for path, text in beside)
    head = "\n".join(line for line in lines[: target.start - 1] if line.startswith(("import ", "from ")))
    shown = "\n\n".join(
        part for part in (
            f"For reference:\n\n{around}" if around else "",
            f"Imports of {opened.path}:\n```\n{head}\n```" if head else "",
            f"The function {target.qualname} of {opened.path}:\n```\n{code}\n```",
            f"Change: {instruction}",
        ) if part
    )  # fmt: skip
    return [{"role": "system", "content": _WHOLE}, {"role": "user", "content": shown}]
