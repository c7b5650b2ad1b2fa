"""The transcript renders in both languages, holds every figure, and loads nothing."""

from __future__ import annotations

import re

from zhilu.context import Context
from zhilu.gate import Gate
from zhilu.roadmap.report import render_html, report_data
from zhilu.roadmap.running import run_gates
from zhilu.roadmap.stages import TASKS


def test_the_json_holds_the_latest_evidence_in_full(context: Context, gates: dict[str, Gate]) -> None:
    run_gates(context, list(gates), gates=gates)
    report = report_data(context, gates=gates)
    tasks = {task["id"]: task for stage in report["stages"] for task in stage["tasks"]}
    assert set(tasks) == set(TASKS)
    artefact = tasks["0.1"]["evidence"]["verdict"]["artefacts"][0]
    assert artefact["sha256"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert report["summary"] == {
        "passed": 1, "failed": 4, "not_yet": 1, "cannot_run_here": 1, "unchecked": 0, "later": len(TASKS) - 7,
    }  # fmt: skip


def test_the_html_says_everything_in_both_languages_and_escapes(context: Context, gates: dict[str, Gate]) -> None:
    run_gates(context, list(gates), gates=gates)
    html = render_html(report_data(context, gates=gates), "zh")
    for said in (
        "12.5 GFLOP/s",
        "It broke: &lt;b&gt;&amp;",
        "坏了：&lt;b&gt;&amp;",
        "sha256:ba7816bf",
        "未通过",
        "not yet",
    ):
        assert said in html
    assert '<html lang="zh">' in html and re.search(r'id="lang-zh" checked', html)
    assert html.count('<span lang="en">') == html.count('<span lang="zh">')
    assert all(f">{task}</span>" in html for task in TASKS)


def test_the_html_is_one_file(context: Context, gates: dict[str, Gate]) -> None:
    html = render_html(report_data(context, gates=gates), "en")
    assert not re.search(r"<script|<link|<img|@import|url\(|src=", html)


def test_a_report_of_some_tasks_leaves_the_others_out(context: Context, gates: dict[str, Gate]) -> None:
    report = report_data(context, gates=gates, tasks=["0.1"])
    assert [task["id"] for stage in report["stages"] for task in stage["tasks"]] == ["0.1"]
