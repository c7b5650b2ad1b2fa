"""Symbols and calls of a Python file, by the standard library's parser."""

from __future__ import annotations

import ast
import warnings

from zhilu.apps.coder.index.symbols import Call, Outline, Symbol

__all__ = ["outline_python", "parses"]

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_MAX_SYMBOLS = 5_000


def parses(text: str) -> ast.Module | str:
    """The tree, or what is wrong with the text: nested too deep is wrong too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about escapes in a stranger's strings
        try:
            return ast.parse(text)
        except SyntaxError as error:
            return f"{error.msg} (line {error.lineno})"
        except (ValueError, RecursionError, MemoryError) as error:
            return type(error).__name__


def outline_python(text: str) -> Outline:
    """Functions, methods and classes, however nested; calls by the last part of their name."""
    tree = parses(text)
    if isinstance(tree, str):
        return Outline(problem=tree)
    found, lines = Outline(), text.split("\n")
    pending: list[tuple[ast.AST, str, bool]] = [(tree, "", False)]
    while pending:  # no recursion: a stranger decides how deep it is nested
        node, above, in_class = pending.pop()
        if isinstance(node, _DEFINITIONS) and len(found.symbols) < _MAX_SYMBOLS:
            is_class = isinstance(node, ast.ClassDef)
            kind = "class" if is_class else "method" if in_class else "function"
            above = f"{above}.{node.name}" if above else node.name
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            doc = (ast.get_docstring(node) or "").strip().split("\n")[0][:200]
            signature = lines[node.lineno - 1].strip()[:200]
            found.symbols.append(Symbol(node.name, above, kind, first, node.end_lineno or first, signature, doc))
            in_class = is_class
        elif isinstance(node, ast.Call) and (name := _called(node.func)):
            found.calls.append(Call(name, node.func.end_lineno or node.lineno))
        pending.extend((child, above, in_class) for child in ast.iter_child_nodes(node))
    found.symbols.sort(key=lambda s: (s.start, -s.end))
    found.calls.sort(key=lambda c: c.line)
    return found


def _called(function: ast.expr) -> str:
    return (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )
