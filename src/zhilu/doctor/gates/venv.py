"""Gate 0.1: the interpreter runs in its own environment, its version is supported, and pip installs into the environment.

To prove pip, the gate makes a package, installs it from a file and imports it with the environment's interpreter. It uses a
temporary folder, so that the environment stays as it was, and needs no network.
"""

from __future__ import annotations

import tempfile
import time
import zipfile
from pathlib import Path

from zhilu.context import Context
from zhilu.doctor.finding import Severity
from zhilu.doctor.gates.verdicts import failed_by, first_of
from zhilu.doctor.look import look
from zhilu.doctor.probes import environment, python
from zhilu.doctor.runner import Machine, Remembering, SystemRunner
from zhilu.doctor.subject import Subject
from zhilu.gate import Figure, Verdict
from zhilu.messages import T

__all__ = ["check"]

PROOF = "installed by pip"
SHARED = ("environment.system_python", "environment.conda_base", "environment.unknown")  # warnings there, failures here


def check(context: Context, runner: Machine | None = None) -> Verdict:
    asked, subject = Remembering(runner or SystemRunner()), Subject.of(context)
    findings = python.look(asked, subject) + environment.look(asked, subject)
    bad = next((f for f in findings if f.severity is Severity.ERROR), None) or first_of(findings, *SHARED)
    if bad:
        return failed_by(bad)
    facts = look(asked, subject.python, "interpreter")
    figures = [
        Figure(T("Python version", "Python 版本"), ".".join(map(str, facts["version"]))),
        Figure(T("environment", "环境"), facts["prefix"]),
    ]
    seconds, said = _install(asked, subject.python)
    if seconds is None:
        return Verdict.failed(
            T(f"pip cannot install in this environment: {said}", f"pip 无法在这个环境里安装：{said}"),
            *figures,
            fix="python -m ensurepip --upgrade",
        )
    kind = T("Conda environment", "Conda 环境") if facts["conda"] else T("venv", "venv")
    return Verdict.passed(
        T(
            f"Zhilu runs in a {kind.en} of its own; pip installed a package there and Python imported it.",
            f"指路运行在独立的 {kind.zh} 里；pip 在其中安装了一个包，Python 也成功导入。",
        ),
        *figures,
        Figure(T("pip version", "pip 版本"), facts["packages"]["pip"] or "?"),
        Figure(T("time to install", "安装用时"), round(seconds, 2), "s"),
    )


def _install(runner: Machine, python: str) -> tuple[float | None, str]:
    with tempfile.TemporaryDirectory() as folder:
        wheel, target = _make_wheel(Path(folder)), str(Path(folder, "site"))
        began = time.monotonic()
        options = ["--quiet", "--no-index", "--no-deps", "--no-compile", "--disable-pip-version-check"]
        done = runner.run([python, "-m", "pip", "install", *options, "--target", target, str(wheel)], timeout=60)
        seconds = time.monotonic() - began
        if not done.ok:
            return None, (done.err.strip().splitlines() or ["?"])[-1]
        ask = f"import sys; sys.path.insert(0, {target!r}); import zhilu_gate_proof; print(zhilu_gate_proof.PROOF)"
        imported = runner.run([python, "-c", ask], timeout=30)
        if imported.out.strip() != PROOF:
            return None, (imported.err.strip().splitlines() or ["the package cannot be imported"])[-1]
    return seconds, ""


def _make_wheel(folder: Path) -> Path:
    """The smallest wheel there is (binary distribution format, PEP 427)."""
    wheel = folder / "zhilu_gate_proof-1.0-py3-none-any.whl"
    info = "zhilu_gate_proof-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("zhilu_gate_proof.py", f"PROOF = {PROOF!r}\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: zhilu-gate-proof\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(
            f"{info}/RECORD", f"zhilu_gate_proof.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        )
    return wheel
