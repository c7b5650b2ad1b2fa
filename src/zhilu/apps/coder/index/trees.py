"""Symbols and calls of JavaScript, TypeScript, Java, Go and C, by tree-sitter's grammars (extra ``coder``).

Without the extra such a file is read as text: it is searched and quoted, only without symbols, and the index says so.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from zhilu.apps.coder.index.symbols import Call, Outline, Symbol

if TYPE_CHECKING:
    from tree_sitter import Node

__all__ = ["GRAMMARS", "can_read", "outline_tree"]


@dataclass(frozen=True)
class Grammar:
    """``kinds``: types of node that define something. ``calls``: types of node that call, and the field with what is called."""

    module: str
    function: str
    kinds: Mapping[str, str]
    calls: Mapping[str, str]


_JS = {
    "function_declaration": "function", "generator_function_declaration": "function", "class_declaration": "class",
    "method_definition": "method", "variable_declarator": "function",
}  # fmt: skip
_TS = {
    **_JS, "abstract_class_declaration": "class", "interface_declaration": "interface", "type_alias_declaration": "type",
    "enum_declaration": "type",
}  # fmt: skip
_JS_CALLS = {"call_expression": "function", "new_expression": "constructor"}

GRAMMARS: Mapping[str, Grammar] = {
    "javascript": Grammar("tree_sitter_javascript", "language", _JS, _JS_CALLS),
    "typescript": Grammar("tree_sitter_typescript", "language_typescript", _TS, _JS_CALLS),
    "tsx": Grammar("tree_sitter_typescript", "language_tsx", _TS, _JS_CALLS),
    "java": Grammar(
        "tree_sitter_java",
        "language",
        {
            "class_declaration": "class", "record_declaration": "class", "enum_declaration": "type",
            "interface_declaration": "interface", "method_declaration": "method", "constructor_declaration": "method",
        },
        {"method_invocation": "name", "object_creation_expression": "type"},
    ),
    "go": Grammar(
        "tree_sitter_go",
        "language",
        {"function_declaration": "function", "method_declaration": "method", "type_spec": "type"},
        {"call_expression": "function"},
    ),
    "c": Grammar(
        "tree_sitter_c",
        "language",
        {"function_definition": "function", "struct_specifier": "type", "enum_specifier": "type", "type_definition": "type"},
        {"call_expression": "function"},
    ),
}  # fmt: skip
_FUNCTIONS = ("arrow_function", "function_expression", "function")
_MAX_SYMBOLS = 5_000


@cache
def _parser(language: str) -> Any:
    """A parser, or None where the extra is not installed."""
    grammar = GRAMMARS[language]
    try:
        tree_sitter = importlib.import_module("tree_sitter")
        words = getattr(importlib.import_module(grammar.module), grammar.function)()
    except ImportError:
        return None
    return tree_sitter.Parser(tree_sitter.Language(words))


def can_read(language: str) -> bool:
    """Whether symbols of this language are found here."""
    return language in GRAMMARS and _parser(language) is not None


def outline_tree(language: str, text: str) -> Outline:
    """The parser goes on behind what it does not understand: what is whole in a broken file is found."""
    parser = _parser(language)
    if parser is None:
        return Outline(problem="zhilu[coder]")
    grammar, found, lines = GRAMMARS[language], Outline(), text.split("\n")
    pending: list[tuple[Node, str, bool]] = [(parser.parse(text.encode()).root_node, "", False)]
    while pending:  # no recursion, as in ``python``
        node, above, in_class = pending.pop()
        kind = grammar.kinds.get(node.type)
        name = _name(node) if kind and _defines(node) else ""
        if kind and name and len(found.symbols) < _MAX_SYMBOLS:
            owner = _receiver(node) if language == "go" else above
            above = f"{owner}.{name}" if owner else name
            is_type = kind not in ("function", "method")
            kind = "method" if kind == "function" and in_class else kind
            place = _outermost(node)
            doc, start = _comment(place, lines)
            signature = lines[node.start_point[0]].strip()[:200]
            found.symbols.append(Symbol(name, above, kind, start, place.end_point[0] + 1, signature, doc))
            in_class = is_type
        elif (part := grammar.calls.get(node.type)) and (called := _called(node.child_by_field_name(part))):
            found.calls.append(Call(called, node.start_point[0] + 1))
        pending.extend((child, above, in_class) for child in node.named_children)
    found.symbols.sort(key=lambda s: (s.start, -s.end))
    found.calls.sort(key=lambda c: c.line)
    return found


def _defines(node: Node) -> bool:
    """A variable defines a function where it holds one; a struct that is only mentioned defines nothing."""
    if node.type == "variable_declarator":
        value = node.child_by_field_name("value")
        return value is not None and value.type in _FUNCTIONS
    if node.type in ("struct_specifier", "enum_specifier"):
        return node.child_by_field_name("body") is not None
    return True


def _name(node: Node) -> str:
    named = node.child_by_field_name("name") or node.child_by_field_name("declarator")
    for _ in range(16):  # C: a pointer to a function that returns a pointer …
        if named is None or (inner := named.child_by_field_name("declarator")) is None:
            break
        named = inner
    return _text(named) if named is not None and named.type.endswith("identifier") else ""


def _receiver(node: Node) -> str:
    """The type that a method of Go belongs to."""
    receiver = node.child_by_field_name("receiver")
    pending = [receiver] if receiver is not None else []
    while pending:
        one = pending.pop()
        if one.type == "type_identifier":
            return _text(one)
        pending.extend(one.named_children)
    return ""


def _outermost(node: Node) -> Node:
    """With ``export`` or ``const`` in front."""
    while node.parent is not None and node.parent.type in (
        "export_statement",
        "lexical_declaration",
        "type_declaration",
    ):
        node = node.parent
    return node


def _comment(node: Node, lines: list[str]) -> tuple[str, int]:
    """The comment right above, in short, and the line where it begins (or the node)."""
    start, told = node.start_point[0], ""
    before = node.prev_named_sibling
    while before is not None and "comment" in before.type and before.end_point[0] >= start - 1:
        start = before.start_point[0]
        told = lines[start].strip().strip("/*").strip() or told or (lines[start + 1].strip().strip("/*").strip())
        before = before.prev_named_sibling
    return told[:200], start + 1


def _called(node: Node | None) -> str:
    if node is None:
        return ""
    last = node.child_by_field_name("property") or node.child_by_field_name("field") or node
    return _text(last) if last.type.endswith("identifier") else ""


def _text(node: Node) -> str:
    return (node.text or b"").decode(errors="replace")[:200]
