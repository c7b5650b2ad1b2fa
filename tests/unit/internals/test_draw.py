"""A run's figures in a notebook."""

from __future__ import annotations

import math

from zhilu.internals.draw import curves, show
from zhilu.internals.result import Check, Grid, Result, Table
from zhilu.messages import T, use_lang


def test_a_run_is_drawn_in_the_language_in_use_and_nothing_of_it_is_markup() -> None:
    check = Check(name=T("<b>near</b>", "接近"), value="<i>", bar="≤ 1", passed=False)
    grid = Grid(title=T("g", "格"), rows=T("r", "行"), columns=T("c", "列"), cells=[[0.5, None], [1.0, 0.0]])
    table = Table(title=T("t", "表"), columns=[T("a", "甲")], rows=[[T.of("<td>")]])
    result = Result(task="6.3", answer=0, checks=[check], grids=[grid], tables=[table])
    with use_lang("en"):
        shown = show(result)
    assert "&lt;b&gt;near" in shown.html and "<i>" not in shown.html and "&lt;td&gt;" in shown.html
    assert "✗" in shown.html and shown.html.count("<rect") == 3
    with use_lang("zh"):
        assert "接近" in repr(show(check))


def test_lines_have_a_place_for_what_is_no_number_and_for_what_has_no_logarithm() -> None:
    html = curves("a", ("x", "y"), {"one": [1.0, math.nan, 100.0], "none": []}, log=True).html
    assert html.count("<polyline") == 2 and "nan" not in html
    flat = curves("a", ("x", "y"), {"one": [5.0]}).html
    assert "<polyline points='" in flat and "inf" not in flat
