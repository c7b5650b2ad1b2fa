"""What several figures are made of."""

from __future__ import annotations

from collections.abc import Iterable

from zhilu.internals.result import Chart, Series, Table
from zhilu.messages import T

__all__ = ["bars", "line_chart"]


def line_chart(title: T, x: T, y: T, series: list[Series], *, log: bool = False) -> Chart:
    return Chart(title=title, x=x, y=y, series=series, log=log)


def bars(title: T, rows: Iterable[tuple[T, str]]) -> Table:
    """A name and a number in each row."""
    columns = [T("what", "内容"), T("value", "数值")]
    return Table(title=title, columns=columns, rows=[[name, T.of(value)] for name, value in rows])
