"""A chart for a result, chosen by the kinds of its columns, as a Vega-Lite specification with the reason."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel

from zhilu.apps.report.sql import QueryResult
from zhilu.errors import MissingComponentError
from zhilu.jobs.base import Text
from zhilu.messages import T

__all__ = ["ReportChart", "choose_chart", "to_png", "to_svg"]

MAX_BARS = 30
_DAY = re.compile(r"\d{4}(-\d{2}){0,2}")
_FIX = "pip install 'zhilu[report]'"


class ReportChart(BaseModel):
    """``spec`` null: the table says it better; ``reason`` tells why this one."""

    spec: dict[str, Any] | None
    reason: Text


def choose_chart(result: QueryResult, title: str) -> ReportChart:
    """Line over time, bars over names, groups of bars over two names, points for two figures; else none."""
    if len(result.rows) < 2:
        return ReportChart(spec=None, reason=T("one row needs no chart", "只有一行，不需要图"))
    kinds = [_kind(result, i) for i in range(len(result.columns))]
    times, names, numbers = ([i for i, k in enumerate(kinds) if k == kind] for kind in ("time", "name", "number"))
    figures = [i for i in numbers if not re.fullmatch(r"(?i)(.*_)?id|年份?|year", result.columns[i])] or numbers
    if times and figures:
        colour = names[0] if names and len(result.rows) > _distinct(result, times[0]) else None
        return _made(
            result, title, "line", times[0], figures[0], colour, T("figures over time: a line", "随时间变化：折线图")
        )
    if names and figures:
        if len(result.rows) > MAX_BARS:
            return ReportChart(
                spec=None,
                reason=T(f"more than {MAX_BARS} bars cannot be read", f"超过 {MAX_BARS} 个条形，看不清"),
            )
        colour = names[1] if len(names) > 1 and len(result.rows) > _distinct(result, names[0]) else None
        return _made(
            result, title, "bar", names[0], figures[0], colour, T("figures by name: bars", "按名称比较：条形图")
        )
    if len(figures) >= 2 and len(result.rows) >= 5:
        return _made(result, title, "point", figures[0], figures[1], None, T("two figures: points", "两个数值：散点图"))
    return ReportChart(spec=None, reason=T("nothing here can be drawn to scale", "没有可以按比例画出的内容"))


def _kind(result: QueryResult, index: int) -> str:
    values = [row[index] for row in result.rows if row[index] is not None]
    if values and all(isinstance(v, (int, float)) for v in values):
        return "number"
    if values and all(isinstance(v, str) and _DAY.fullmatch(v) for v in values):
        return "time"
    return "name" if values else "empty"


def _distinct(result: QueryResult, index: int) -> int:
    return len({row[index] for row in result.rows})


def _made(
    result: QueryResult, title: str, mark: str, first: int, second: int, colour: int | None, reason: T
) -> ReportChart:
    names = result.columns
    # Field names of Vega-Lite take dots and brackets as paths: the columns are renamed, their names stand as titles.
    keys = [f"c{i}" for i in range(len(names))]
    values = [dict(zip(keys, row, strict=True)) for row in result.rows]
    along = {"field": keys[first], "title": names[first]}
    across = {"field": keys[second], "title": names[second], "type": "quantitative"}
    if mark == "line":
        encoding: dict[str, Any] = {"x": {**along, "type": "ordinal"}, "y": {**across, "scale": {"zero": False}}}
    elif mark == "bar":
        encoding = {"y": {**along, "type": "nominal", "sort": None}, "x": across}
    else:
        encoding = {"x": {**along, "type": "quantitative"}, "y": across}
    if colour is not None:
        encoding["color"] = {"field": keys[colour], "title": names[colour], "type": "nominal"}
        if mark == "bar":
            encoding["yOffset"] = {"field": keys[colour]}
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": title,
        "width": 520,
        "data": {"values": values},
        "mark": {"type": mark, "tooltip": True, **({"point": True} if mark == "line" else {})},
        "encoding": encoding,
    }
    return ReportChart(spec=spec, reason=reason)


def to_svg(spec: dict[str, Any]) -> str:
    """Drawn without a browser and without the network.

    Raises:
        MissingComponentError: the extra ``report`` is not installed.
    """
    return str(_converter().vegalite_to_svg(spec, allowed_base_urls=[]))


def to_png(spec: dict[str, Any]) -> bytes:
    """As ``to_svg``, in points of half a CSS pixel."""
    return bytes(_converter().vegalite_to_png(spec, scale=2.0, allowed_base_urls=[]))


def _converter() -> Any:
    try:
        import vl_convert
    except ImportError as error:
        raise MissingComponentError(
            T(
                "Charts need vl-convert (35 MB), which is not installed.",
                "画图需要 vl-convert（35 MB），目前没有安装。",
            ),
            fix=_FIX,
        ) from error
    return vl_convert
