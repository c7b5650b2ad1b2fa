"""What a model may write to change a file, and the file that comes of it.

Two forms: a whole function (or class) in a fenced block, which takes the place of the one of that name; and search/replace blocks,
whose search text must stand in the file exactly once. Whatever comes of it must parse where the language is Python.
"""

from __future__ import annotations

import ast
import difflib
import textwrap
from dataclasses import dataclass

from zhilu.apps.coder.index.python import outline_python, parses
from zhilu.apps.coder.index.store import CodeSymbol
from zhilu.errors import InputError
from zhilu.messages import T

__all__ = ["Refused", "Unchanged", "changed_text", "unified"]

_SEARCH, _MIDDLE, _REPLACE = "<<<<<<<", "=======", ">>>>>>>"
_FENCE = "```"


class Refused(InputError):
    """What was written cannot be applied; the reason goes back to the model."""

    kind = "edit_refused"


class Unchanged(Refused):
    """What was written is the code as it was."""


@dataclass(frozen=True)
class Block:
    search: str
    replace: str


def changed_text(text: str, reply: str, language: str, target: CodeSymbol | None) -> str:
    """The file after the change.

    Raises:
        Refused: nothing that could be applied was written, or it does not fit, does not parse, or changes nothing.
    """
    blocks = _blocks(reply)
    if blocks:
        after = _replaced(text, blocks)
    elif target is not None:
        after = _whole(text, _fenced(reply, target.name), language, target)
    else:
        raise Refused(T("There is no search/replace block in the answer.", "回答中没有 search/replace 块。"))
    if after == text:
        raise Unchanged(T("The code is the same as before.", "代码与原来相同，没有变化。"))
    if language == "python" and isinstance(wrong := parses(after), str):
        raise Refused(T(f"The file does not parse any more: {wrong}.", f"修改后的文件无法解析：{wrong}。"))
    return after


def unified(path: str, before: str, after: str) -> str:
    """A unified diff, as ``git apply`` and ``patch -p1`` take it."""
    made = difflib.unified_diff(_lines(before), _lines(after), f"a/{path}", f"b/{path}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in made)


def _lines(text: str) -> list[str]:
    """With their ends; only a line feed is one, whatever ``str.splitlines`` takes for one."""
    lines = [f"{line}\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _blocks(reply: str) -> list[Block]:
    found: list[Block] = []
    search: list[str] | None = None
    replace: list[str] | None = None
    for line in reply.split("\n"):
        if line.startswith(_SEARCH):
            search, replace = [], None
        elif line.startswith(_MIDDLE) and search is not None and replace is None:
            replace = []
        elif line.startswith(_REPLACE) and search is not None and replace is not None:
            found.append(Block("\n".join(search), "\n".join(replace)))
            search = replace = None
        elif replace is not None:
            replace.append(line)
        elif search is not None:
            search.append(line)
    return found


def _replaced(text: str, blocks: list[Block]) -> str:
    for block in blocks:
        if not block.search.strip():
            raise Refused(T("A search text is empty.", "查找文本为空。"))
        lines = block.search.split("\n")
        places = [
            at for at in range(len(text.split("\n")) - len(lines) + 1)
            if [x.rstrip() for x in text.split("\n")[at : at + len(lines)]] == [x.rstrip() for x in lines]
        ]  # fmt: skip
        if len(places) != 1:
            first = lines[0].strip()[:80]
            raise Refused(
                T(
                    f"The search text that begins with {first!r} stands in the file {len(places)} times, not once.",
                    f"以 {first!r} 开头的查找文本在文件中出现 {len(places)} 次，而不是一次。",
                )
            )
        kept = text.split("\n")
        kept[places[0] : places[0] + len(lines)] = block.replace.split("\n") if block.replace else []
        text = "\n".join(kept)
    return text


def _fenced(reply: str, name: str) -> str:
    """The fenced block that defines ``name``, else the first; all of the reply where there is none. An answer often begins with the
    code as it was, or with how the new one is called."""
    blocks = [block.partition("\n")[2].strip("\n") for block in reply.split(_FENCE)[1::2]]
    if not blocks:
        return reply.strip("\n")
    heads = (f"def {name}(", f"class {name}(", f"class {name}:", f"function {name}(")
    defining = [block for block in blocks if any(head in block for head in heads)]
    return defining[-1] if defining else blocks[0]


def _whole(text: str, code: str, language: str, target: CodeSymbol) -> str:
    if not code.strip():
        raise Refused(T("There is no code in the answer.", "回答中没有代码。"))
    lines = text.split("\n")
    old = lines[target.start - 1 : target.end]
    indent = old[0][: len(old[0]) - len(old[0].lstrip())]
    code = textwrap.dedent(code)
    imports: list[str] = []
    if language == "python":
        imports, code = _definition(code, target.name)
    elif target.name not in code:
        raise Refused(T(f"The answer does not define {target.name!r}.", f"回答没有定义 {target.name!r}。"))
    lines[target.start - 1 : target.end] = textwrap.indent(code, indent).split("\n")
    missing = [line for line in imports if line not in lines]
    if missing:
        at = _behind_imports(text)
        lines[at:at] = missing
    return "\n".join(lines)


def _definition(code: str, name: str) -> tuple[list[str], str]:
    """The imports that stand before a definition, and the definition with what stands beside it (new functions it calls)."""
    tree = parses(code)
    if isinstance(tree, str) and (alone := _block_of(code, name)):
        code, tree = alone, parses(alone)
    if isinstance(tree, str):
        raise Refused(T(f"The code does not parse: {tree}.", f"代码无法解析：{tree}。"))
    lines = code.split("\n")
    named = [n for n in tree.body if getattr(n, "name", None) == name]
    if len(named) != 1:
        # A method that came with its class around it.
        inner = [s for s in outline_python(code).symbols if s.name == name]
        if len(inner) != 1:
            raise Refused(T(f"The answer does not define {name!r}.", f"回答没有定义 {name!r}。"))
        return [], textwrap.dedent("\n".join(lines[inner[0].start - 1 : inner[0].end]))
    imports = [n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))]
    told = [line for n in imports for line in lines[n.lineno - 1 : n.end_lineno]]
    kept = [n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))]
    pieces = []
    for node in kept:
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        pieces.append("\n".join(lines[first - 1 : node.end_lineno]))
    return told, "\n\n\n".join(pieces)


def _block_of(code: str, name: str) -> str:
    """The lines of a definition in a text that is cut off behind it, or wrong elsewhere; empty where its own end is not there."""
    lines = code.split("\n")
    heads = tuple(f"{kind} {name}{end}" for kind in ("def", "async def", "class") for end in ("(", ":", " "))
    start = next((n for n, line in enumerate(lines) if line.lstrip().startswith(heads)), None)
    if start is None:
        return ""
    depth = len(lines[start]) - len(lines[start].lstrip())
    for end in range(start + 1, len(lines)):
        line = lines[end]
        if line.strip() and len(line) - len(line.lstrip()) <= depth and line.strip()[0] not in ")]}":
            return textwrap.dedent("\n".join(lines[start:end])).rstrip()
    return ""


def _behind_imports(text: str) -> int:
    """The line behind the last import at the top of a Python file, else behind its docstring."""
    tree = parses(text)
    if isinstance(tree, str):
        return 0
    imports = [n.end_lineno or 0 for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))]
    if imports:
        return max(imports)
    return (tree.body[0].end_lineno or 0) if tree.body and ast.get_docstring(tree) is not None else 0
