"""A sandbox in which a chat template can neither run for ever nor fill the memory.

Jinja's own sandbox keeps a template away from Python's internals and from changing its input, but it does not limit work. Here,
every loop and call is counted and every text that grows is measured; beyond the limits, the template fails. Real templates stay
a thousand times below the limits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

__all__ = ["MOST_SOURCE", "LimitedEnvironment", "counting"]

MOST_SOURCE = 2**20  # characters of a template
_MOST_ROUNDS = 2_000_000  # of loops and calls together
_MOST_OUTPUT = 128 * 2**20  # characters written, also into variables
_MOST_LENGTH = 16 * 2**20  # of one text or list
_MOST_BITS = 4096  # of one number
_MOST_WIDTH = 10_000  # to which a text is padded

_WIDE = re.compile(r"%[-+ #0]*(\d{5,}|\*)|%[^a-zA-Z%]*\.(\d{5,}|\*)|:[^}]*(\d{5,}|\{)")


class _Account:
    rounds = _MOST_ROUNDS
    output = _MOST_OUTPUT


_account: ContextVar[_Account] = ContextVar("template_account")


@contextmanager
def counting() -> Iterator[None]:
    """One rendering, with an account of its own."""
    token = _account.set(_Account())
    try:
        yield
    finally:
        _account.reset(token)


def _too_much(what: str) -> TemplateError:
    return TemplateError(f"it does too much: {what}")


def _spend(rounds: int = 0, output: int = 0) -> None:
    account = _account.get(None)
    if account is None:
        return  # while it is compiled
    account.rounds -= rounds
    account.output -= output
    if account.rounds < 0:
        raise _too_much(f"more than {_MOST_ROUNDS} rounds of loops and calls")
    if account.output < 0:
        raise _too_much(f"more than {_MOST_OUTPUT} characters")


def _check_length(length: int) -> None:
    if length > _MOST_LENGTH:
        raise _too_much(f"a text or list of {length}")


def _measured(value: Any) -> Any:
    if isinstance(value, str | list | tuple):
        _check_length(len(value))
    elif isinstance(value, int) and value.bit_length() > _MOST_BITS:
        raise _too_much(f"a number of {value.bit_length()} bits")
    return value


def _counted(value: Iterable[Any], written: int) -> list[Any]:
    """What a loop goes over; ``written`` characters of its body are the template's own."""
    items = list(value)
    _check_length(len(items))
    _spend(rounds=len(items), output=len(items) * written)
    return items


def _emitted(value: Any) -> Any:
    _spend(output=len(value) if isinstance(value, str) else 16)
    return value


def _check_arguments(name: str, subject: Any, arguments: tuple[Any, ...]) -> None:
    """Before a method or filter is called that could make much of little."""
    if any(isinstance(value, int) and abs(value) > _MOST_WIDTH for value in arguments) and isinstance(subject, str):
        raise _too_much(f"{name} with {max(value for value in arguments if isinstance(value, int))}")
    if name in ("format", "format_map") and isinstance(subject, str) and _WIDE.search(subject):
        raise _too_much(f"{name} of {subject[:40]!r}")
    if name == "replace" and isinstance(subject, str) and len(arguments) > 1:
        _check_length(len(subject) + (subject.count(str(arguments[0])) + 1) * len(str(arguments[1])))
    if name in ("indent", "expandtabs") and isinstance(subject, str):
        width = max([value for value in arguments if isinstance(value, int)] or [8])
        _check_length(len(subject) + (subject.count("\n") + subject.count("\t") + 1) * width)


def _check_joined(parts: Any, between: str) -> Any:
    parts = list(parts)
    _check_length(sum(len(part) if isinstance(part, str) else 16 for part in parts) + len(between) * len(parts))
    return parts


def _guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    first = 1 if getattr(function, "jinja_pass_arg", None) else 0

    @wraps(function)
    def guarded(*args: Any, **options: Any) -> Any:
        _spend(rounds=1)
        subject, rest = args[first] if len(args) > first else None, (*args[first + 1 :], *options.values())
        _check_arguments(name, subject, rest)
        if name == "join":
            between = next((value for value in rest if isinstance(value, str)), "")
            args = (*args[:first], _check_joined(subject, between), *args[first + 1 :])
        return _measured(function(*args, **options))

    return guarded


class LimitedEnvironment(ImmutableSandboxedEnvironment):
    """To be rendered inside ``counting()``; TemplateError says what was too much."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.limit_filters()

    def limit_filters(self) -> None:
        """Guard every filter; once more after others were added."""
        for name, function in list(self.filters.items()):
            if not hasattr(function, "is_limited"):
                guarded = _guarded(name, function)
                guarded.is_limited = True  # type: ignore[attr-defined]
                self.filters[name] = guarded
        # No template can write these names.
        self.filters.update({" counted": _counted, " emitted": _emitted, " measured": _measured})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "%" and isinstance(left, str) and _WIDE.search(left):
            raise _too_much(f"{left[:40]!r} % …")
        if operator in ("*", "**"):
            for one, other in ((left, right), (right, left)):
                if isinstance(one, str | list | tuple) and isinstance(other, int):
                    _check_length(len(one) * max(0, other))
            if isinstance(left, int) and isinstance(right, int):
                bits = left.bit_length() * right if operator == "**" else left.bit_length() + right.bit_length()
                if bits > _MOST_BITS:
                    raise _too_much(f"a number of {bits} bits")
        if operator == "+" and isinstance(left, str | list | tuple) and isinstance(right, str | list | tuple):
            _check_length(len(left) + len(right))
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        _spend(rounds=1)
        owner, name = getattr(__obj, "__self__", None), getattr(__obj, "__name__", "")
        if isinstance(owner, str):
            _check_arguments(name, owner, (*args, *kwargs.values()))
            if name == "join" and args:
                args = (_check_joined(args[0], owner), *args[1:])
        return _measured(super().call(__context, __obj, *args, **kwargs))

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        owner = getattr(value, "__self__", None)
        if isinstance(owner, str):
            _check_arguments(getattr(value, "__name__", ""), owner, ())
        return super().wrap_str_format(value)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            written = sum(len(data.data) for data in loop.find_all(nodes.TemplateData))
            loop.iter = self._filtered(loop.iter, " counted", nodes.Const(written))
        for output in tree.find_all(nodes.Output):
            output.nodes = [
                node if isinstance(node, nodes.TemplateData) else self._filtered(node, " emitted")
                for node in output.nodes
            ]
        _replace(tree, nodes.Concat, lambda node: self._filtered(node, " measured"))
        return tree

    def _filtered(self, node: Any, name: str, *arguments: nodes.Expr) -> Any:
        made = nodes.Filter(node, name, list(arguments), [], None, None, lineno=node.lineno)
        return made.set_environment(self)


def _replace(node: nodes.Node, kind: type[nodes.Node], change: Callable[[Any], nodes.Node]) -> None:
    """Replace every node of a kind, those inside of others first."""
    for field in node.fields:
        value = getattr(node, field)
        if isinstance(value, nodes.Node):
            _replace(value, kind, change)
            if isinstance(value, kind):
                setattr(node, field, change(value))
        elif isinstance(value, list):
            for place, item in enumerate(value):
                if isinstance(item, nodes.Node):
                    _replace(item, kind, change)
                    if isinstance(item, kind):
                        value[place] = change(item)
