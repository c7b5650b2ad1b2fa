"""A run's figures in a notebook: ``show(chart)`` as the last line of a cell draws it. The workbench draws its own.

Plain SVG and HTML, so that a notebook needs nothing but Jupyter; every number of a run is escaped as if a stranger had sent it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

from zhilu.internals.result import Chart, Check, Grid, Result, Series, Table
from zhilu.messages import T

__all__ = ["Shown", "curves", "show"]

_TONES = ("#1f6f54", "#2f6fb3", "#b07514", "#c2452d", "#4d8b31", "#777777")
_WIDTH, _HEIGHT = 560, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 12, 10, 42
_CELL = 12


class Shown:
    """Jupyter draws ``html``; a terminal prints ``text``."""

    def __init__(self, html: str, text: str) -> None:
        self.html, self.text = html, text

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


def show(*things: Result | Chart | Table | Grid | Check) -> Shown:
    """Whatever a run gave, one below the other, in the language in use."""
    parts = [part for thing in things for part in _parts(thing)]
    return Shown("\n".join(html for html, _ in parts), "\n".join(text for _, text in parts))


def curves(
    title: T | str,
    axes: tuple[T | str, T | str],
    lines: Mapping[T | str, Sequence[float]] | Mapping[str, Sequence[float]] | Mapping[T, Sequence[float]],
    xs: Sequence[float] | None = None,
    *,
    log: bool = False,
) -> Shown:
    """Lines of one's own: a name each, and numbers over ``xs`` (1, 2, 3 … by default)."""
    series = [
        Series(name=T.of(name), xs=list(xs if xs is not None else range(1, len(ys) + 1)), ys=list(ys))
        for name, ys in lines.items()
    ]
    return show(Chart(title=T.of(title), x=T.of(axes[0]), y=T.of(axes[1]), series=series, log=log))


def _parts(thing: Result | Chart | Table | Grid | Check) -> list[tuple[str, str]]:
    if isinstance(thing, Result):
        whole = [_checks(thing.checks)]
        drawn: list[Chart | Grid | Table] = [*thing.charts, *thing.grids, *thing.tables]
        return whole + [part for one in drawn for part in _parts(one)]
    if isinstance(thing, Check):
        return [_checks([thing])]
    if isinstance(thing, Chart):
        return [(_chart(thing), _said(thing.title))]
    if isinstance(thing, Grid):
        return [(_grid(thing), _said(thing.title))]
    rows = [[cell.say() for cell in row] for row in thing.rows]
    return [_table(_said(thing.title), [column.say() for column in thing.columns], rows)]


def _said(text: T) -> str:
    return text.say()


def _checks(checks: Sequence[Check]) -> tuple[str, str]:
    rows = [["✓" if one.passed else "✗", one.name.say(), str(one.value), one.bar] for one in checks]
    return _table("", ["", T("check", "检查").say(), T("value", "数值").say(), T("bar", "标准").say()], rows)


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[str, str]:
    head = "".join(f"<th style='text-align:left'>{escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td style='text-align:left'>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    html = f"<p><b>{escape(title)}</b></p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return html, "\n".join([title, *("  ".join(row) for row in rows)]).strip()


def _scale(values: Sequence[float], start: float, end: float, log: bool) -> tuple[Callable[[float], float], float, float]:  # fmt: skip
    usable = [value for value in values if math.isfinite(value) and (not log or value > 0)] or [1.0]
    low, high = min(usable), max(usable)
    if low == high:
        low, high = (low / 2, high * 2) if log else (low - 1, high + 1)
    bent: Callable[[float], float] = math.log if log else float
    first, span = bent(low), bent(high) - bent(low)

    def at(value: float) -> float:
        inside = max(value, low) if log else value
        return start + (bent(inside) - first) / span * (end - start)

    return at, low, high


def _chart(chart: Chart) -> str:
    x, x_low, x_high = _scale([v for one in chart.series for v in one.xs], _LEFT, _WIDTH - _RIGHT, chart.log)
    y, y_low, y_high = _scale([v for one in chart.series for v in one.ys], _HEIGHT - _BOTTOM, _TOP, chart.log)
    drawn = [
        f"<text x='{_LEFT - 6}' y='{y(value) + 4:.1f}' text-anchor='end'>{value:.3g}</text>"
        for value in (y_low, y_high)
    ]
    drawn += [
        f"<text x='{x(value):.1f}' y='{_HEIGHT - _BOTTOM + 16}' text-anchor='{anchor}'>{value:.3g}</text>"
        for value, anchor in ((x_low, "start"), (x_high, "end"))
    ]
    drawn.append(
        f"<text x='{_WIDTH / 2}' y='{_HEIGHT - 6}' text-anchor='middle'>{escape(chart.x.say())} →, {escape(chart.y.say())} ↑</text>"
    )
    for index, one in enumerate(chart.series):
        tone = _TONES[index % len(_TONES)]
        points = " ".join(
            f"{x(a):.1f},{y(b):.1f}" for a, b in zip(one.xs, one.ys, strict=True) if math.isfinite(a) and math.isfinite(b)
        )  # fmt: skip
        drawn.append(f"<polyline points='{points}' fill='none' stroke='{tone}' stroke-width='2'/>")
    names = " ".join(
        f"<span style='color:{_TONES[index % len(_TONES)]}'>■ {escape(one.name.say())}</span>"
        for index, one in enumerate(chart.series)
    )
    frame = f"<rect x='{_LEFT}' y='{_TOP}' width='{_WIDTH - _LEFT - _RIGHT}' height='{_HEIGHT - _TOP - _BOTTOM}' fill='none' stroke='#ccc'/>"
    svg = f"<svg width='{_WIDTH}' height='{_HEIGHT}' font-size='12' font-family='sans-serif' fill='#777'>{frame}{''.join(drawn)}</svg>"
    return f"<p><b>{escape(chart.title.say())}</b><br>{names}</p>{svg}"


def _grid(grid: Grid) -> str:
    cells = []
    for row, values in enumerate(grid.cells):
        for column, value in enumerate(values):
            if value is None:
                continue
            tone = _TONES[int(value) % len(_TONES)] if grid.kinds else _TONES[0]
            light = 1.0 if grid.kinds else 0.12 + 0.88 * value
            place = f"x='{column * _CELL}' y='{row * _CELL}' width='{_CELL - 1}' height='{_CELL - 1}'"
            cells.append(f"<rect {place} fill='{tone}' opacity='{light:.2f}'/>")
    width, height = max(map(len, grid.cells), default=0) * _CELL, len(grid.cells) * _CELL
    axes = f"↓ {escape(grid.rows.say())} → {escape(grid.columns.say())}"
    return f"<p><b>{escape(grid.title.say())}</b><br>{axes}</p><svg width='{width}' height='{height}'>{''.join(cells)}</svg>"
