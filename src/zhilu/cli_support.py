"""What the verbs of every folder share: the context, ``--json``, tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

from zhilu.context import Context
from zhilu.messages import T

__all__ = ["echo_json", "json_option", "pass_context_obj", "table"]

F = TypeVar("F", bound=Callable[..., Any])


def pass_context_obj(command: F) -> F:
    """Hands the zhilu Context to a command as its first argument."""
    return click.make_pass_decorator(Context)(command)  # type: ignore[return-value]


def json_option(command: F) -> F:
    """``--json``: the command prints one JSON value and nothing else on stdout; passed as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help=T("print JSON", "输出 JSON").say())(command)


def echo_json(value: Any) -> None:
    """Print one JSON value; non-ASCII as it is."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def table(columns: Sequence[T], rows: Iterable[Sequence[object]], *, empty: T | None = None) -> None:
    """Print rows under column titles; ``empty`` is said when there are none."""
    from rich.console import Console
    from rich.table import Table

    rows = list(rows)
    if not rows:
        click.echo((empty or T("Nothing here yet.", "还没有内容。")).say())
        return
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column.say(), overflow="fold")
    for row in rows:
        grid.add_row(*["" if cell is None else str(cell) for cell in row])
    Console(highlight=False, markup=False).print(grid)
