"""The gates of stage 6: the lesson is run again, ours or the learner's own version, and every number must meet its bar."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from zhilu.context import Context
from zhilu.gate import Artefact, Figure, Gate, Verdict
from zhilu.internals.catalog import LESSONS
from zhilu.internals.runs import kept, run_lesson
from zhilu.messages import T

__all__ = ["GATES", "check"]


def check(task: str, context: Context) -> Verdict:
    """Run the lesson now; nothing of an earlier run counts."""
    lesson = LESSONS[task]
    result = run_lesson(context, task)
    last = kept(context, task)
    path = Path(last.mine) if last.mine else lesson.path
    words = lesson.words
    figures = [
        Figure(T("code", "代码"), last.mine or f"internals/lessons/{lesson.file}"),
        *(Figure(one.name, f"{one.value} ({one.bar})") for one in result.checks),
    ]
    if last.guess is not None:
        guess, truth = words.options[last.guess], words.options[result.answer]
        figures.append(Figure(T("you expected", "你的预测"), guess.say()))
        figures.append(Figure(T("measured", "实测"), truth.say()))
    wrong = [one for one in result.checks if not one.passed]
    if wrong:
        names_en, names_zh = "; ".join(one.name.en for one in wrong), "；".join(one.name.zh for one in wrong)
        why = T(f"Not as it should be: {names_en}.", f"不符合标准：{names_zh}。")
        return Verdict.failed(why, *figures, fix=f"zhilu internals run {task}", artefacts=[Artefact.of(path)])
    why = T(
        f"All {len(result.checks)} numbers of this run meet their bars.",
        f"这次运行的 {len(result.checks)} 个数字全部达标。",
    )
    return Verdict.passed(why, *figures, artefacts=[Artefact.of(path)])


GATES = [
    Gate(lesson.task, lesson.words.name, partial(check, lesson.task), slow=True)
    for lesson in LESSONS.values()
    if lesson.gated
]
