"""Gate 0.5: a Jupyter kernel of this environment executes the notebook of stage 0, cell by cell.

This is what VSCode and JupyterLab do when someone presses "Run All", without the window.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zhilu.context import Context
from zhilu.doctor.gates.verdicts import commands, failed_by, first_of
from zhilu.doctor.look import look
from zhilu.doctor.probes import jupyter
from zhilu.doctor.runner import Machine, Remembering, SystemRunner
from zhilu.doctor.subject import Subject
from zhilu.gate import Artefact, Figure, Verdict
from zhilu.messages import T

__all__ = ["NOTEBOOK", "check"]

NOTEBOOK = Path(__file__).parent.parent / "labs" / "stage0_environment.ipynb"
TIMEOUT = 180.0


def check(context: Context, runner: Machine | None = None) -> Verdict:
    asked, subject = Remembering(runner or SystemRunner()), Subject.of(context)
    facts = look(asked, subject.python, "interpreter")
    findings = jupyter.look(asked, subject)
    missing = first_of(findings, "jupyter.no_ipykernel")
    if missing or not facts.get("packages", {}).get("nbclient"):
        return Verdict.not_yet(
            T(
                "Notebooks need ipykernel and nbclient in this environment.",
                "运行笔记本需要在这个环境里安装 ipykernel 与 nbclient。",
            ),
            fix=jupyter.INSTALL,
        )
    broken = first_of(findings, "jupyter.other_environment", "jupyter.broken")
    if broken:
        return failed_by(broken)
    kernels = look(asked, subject.python, "kernels")["kernels"]
    kernel = next(name for name, found in kernels.items() if found["here"])
    ran = look(asked, subject.python, "notebook", str(NOTEBOOK), kernel, timeout=TIMEOUT)
    return _judge(ran, kernel, facts["prefix"], fix=commands(findings[0]))


def _judge(ran: dict[str, Any], kernel: str, prefix: str, *, fix: str | None) -> Verdict:
    problem = ran.get("failed") or ran.get("error") or ("no answer in time" if ran.get("timed_out") else "")
    if problem:
        return Verdict.failed(
            T(f"The notebook did not run to its end: {problem}", f"笔记本没有运行到最后：{problem}"),
            fix=fix or jupyter.REGISTER,
        )
    said = _last_object(ran["outputs"])
    where = str(said.get("prefix", ""))
    if ran["executed"] != ran["cells"] or where != prefix:
        return Verdict.failed(
            T(
                f"Kernel {kernel!r} ran {ran['executed']} of {ran['cells']} cells in {where or '?'}, not in {prefix}.",
                f"内核 {kernel!r} 在 {where or '?'} 中运行了 {ran['executed']}/{ran['cells']} 个单元格，而不是在 {prefix} 中。",
            ),
            fix=jupyter.REGISTER,
        )
    verdict = Verdict.passed(
        T(
            f"Kernel {kernel!r} of this environment executed all {ran['cells']} cells of the stage 0 notebook.",
            f"当前环境的内核 {kernel!r} 执行了第 0 阶段笔记本的全部 {ran['cells']} 个单元格。",
        ),
        Figure(T("kernel", "内核"), kernel),
        Figure(T("cells executed", "执行的单元格"), ran["executed"]),
        Figure(T("time", "用时"), round(ran["seconds"], 1), "s"),
        artefacts=[Artefact.of(NOTEBOOK)],
    )
    return verdict


def _last_object(outputs: list[str]) -> dict[str, Any]:
    """The notebook's last line of JSON says where it ran."""
    lines = [line for text in outputs for line in text.splitlines() if line.startswith("{")]
    answer: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    return answer
