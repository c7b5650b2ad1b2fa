"""The transcript: what was checked on which machine with what result, as JSON or as one printable HTML file.

The HTML holds both languages, switches between them without a script, and loads nothing from anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zhilu.context import Context
from zhilu.gate import Because, Gate, Status
from zhilu.messages import T, current_lang
from zhilu.roadmap.evidence import SCHEMA_VERSION, EvidenceStore, now, versions
from zhilu.roadmap.running import machine
from zhilu.roadmap.stages import AT_THE_END, TASKS
from zhilu.roadmap.state import UNCHECKED, roadmap_state

__all__ = ["STATUS_WORDS", "render_html", "report_data", "words_of"]

STATUS_WORDS: dict[str, T] = {
    Status.PASSED.value: T("passed", "通过"),
    Status.FAILED.value: T("failed", "未通过"),
    Status.NOT_YET.value: T("not yet", "尚未开始"),
    Status.CANNOT_RUN_HERE.value: T("cannot run here", "本机无法运行"),
    UNCHECKED: T("not checked", "未检查"),
}
# What "cannot run here" means where it is not the machine that forbids it.
REASON_WORDS: dict[str, T] = {
    Because.COMPONENT.value: T("not installed", "未安装"),
    Because.SETTING.value: T("not as it is set up", "当前设置下无法运行"),
    Because.MISSED.value: T("ran, and missed the bar", "已运行，未达标"),
}
LATER = T("later version", "以后的版本")


def words_of(status: str, because: str | None) -> T:
    """A verdict in words; older evidence does not say because of what."""
    return REASON_WORDS.get(because or "", STATUS_WORDS[status])


def report_data(
    context: Context, *, gates: Mapping[str, Gate] | None = None, tasks: Sequence[str] | None = None
) -> dict[str, Any]:
    """The transcript as JSON: the state of the roadmap, with each task's latest evidence in full.

    Args:
        tasks: leave out all others; by default every task.
    """
    state = roadmap_state(context, gates)
    wanted = set(TASKS if tasks is None else tasks)
    store = EvidenceStore(context.home)
    stages = []
    for stage in state["stages"]:
        kept = [task for task in stage["tasks"] if task["id"] in wanted]
        for task in kept:
            latest = store.latest(task["id"])
            task["evidence"] = latest.data() if latest else None
        if kept:
            stages.append({**stage, "tasks": kept})
    shown = [task for stage in stages for task in stage["tasks"]]
    return {
        "schema_version": SCHEMA_VERSION,
        "generated_at": now(),
        "machine": machine(),
        "versions": versions(),
        "summary": _summary(shown),
        "stages": stages,
    }


def _summary(tasks: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many of each status; ``later`` counts the tasks that have no gate in this version."""
    checkable = [task for task in tasks if task["has_gate"] or task["evidence"]]
    counts = {name: sum(task["status"] == name for task in checkable) for name in STATUS_WORDS}
    return {**counts, "later": len(tasks) - len(checkable)}


def render_html(report: Mapping[str, Any], lang: str | None = None) -> str:
    """One file; opens in ``lang`` (by default the language in use) and has the other one inside."""
    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html.j2").render(
        report=report,
        lang=lang or current_lang(),
        words={name: word.data() for name, word in {**STATUS_WORDS, **REASON_WORDS, "later": LATER}.items()},
        at_the_end=AT_THE_END.data(),
        gib=1 << 30,
    )
