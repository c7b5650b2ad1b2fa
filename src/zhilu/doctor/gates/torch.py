"""Gate 0.2: a matrix product on the device, checked and timed, with the build that fits the driver.

It runs in a process of its own: this one never imports PyTorch.
"""

from __future__ import annotations

from typing import Any

from zhilu.context import Context
from zhilu.doctor.finding import Severity
from zhilu.doctor.gates.verdicts import commands, failed_by, first_of
from zhilu.doctor.look import look
from zhilu.doctor.machine import read_gpu
from zhilu.doctor.probes import torch as probe
from zhilu.doctor.runner import Machine, Remembering, SystemRunner
from zhilu.doctor.subject import Subject
from zhilu.gate import Figure, Verdict
from zhilu.messages import T

__all__ = ["check"]

TOLERATED = 1e-2  # relative; TF32 on a GPU gives about 1e-3, float32 about 1e-6, a wrong kernel about 1
TIMEOUT = 180.0  # seconds; the first import after an installation reads gigabytes


def check(context: Context, runner: Machine | None = None) -> Verdict:
    asked, subject = Remembering(runner or SystemRunner()), Subject.of(context)
    findings = probe.look(asked, subject)
    missing = first_of(findings, "torch.missing")
    if missing:
        return Verdict.not_yet(missing.what, fix=commands(missing))
    bad = next((f for f in findings if f.severity is Severity.ERROR), None)
    if bad:
        return failed_by(bad)
    facts = look(asked, subject.python, "matmul", timeout=TIMEOUT)
    if "gflops" not in facts:
        said = facts.get("failed") or f"no answer within {TIMEOUT:g} s"
        return Verdict.failed(
            T(f"The matrix product did not run: {said}", f"矩阵乘法没有运行成功：{said}"), fix="zhilu doctor --verbose"
        )
    return _judge(facts, has_gpu=read_gpu(asked).answers)


def _judge(facts: dict[str, Any], *, has_gpu: bool) -> Verdict:
    built = f"CUDA {facts['cuda']}" if facts["cuda"] else "CPU"
    figures = [
        Figure(T("speed", "速度"), round(facts["gflops"], 1), "GFLOP/s"),
        Figure(T("device", "设备"), facts["name"]),
        Figure(T("build", "版本"), f"{facts['version']} ({built})"),
        Figure(T("matrix size", "矩阵大小"), facts["size"]),
        Figure(T("relative error", "相对误差"), float(f"{facts['relative_error']:.2g}")),
    ]
    if not facts["relative_error"] < TOLERATED:  # written so that NaN fails
        return Verdict.failed(
            T(
                f"The product is wrong: relative error {facts['relative_error']:.2g}, at most {TOLERATED:g} is right.",
                f"乘积是错的：相对误差 {facts['relative_error']:.2g}，应不超过 {TOLERATED:g}。",
            ),
            *figures,
            fix="python -m pip install --force-reinstall torch",
        )
    if has_gpu and facts["device"] == "cpu":
        return Verdict.failed(
            T("There is a GPU, and PyTorch computed on the CPU.", "有显卡，但 PyTorch 却在 CPU 上计算。"),
            *figures,
            fix="zhilu doctor",
        )
    return Verdict.passed(
        T(
            f"PyTorch multiplied two {facts['size']}x{facts['size']} matrices on {facts['name']}, and the product is right.",
            f"PyTorch 在 {facts['name']} 上完成了两个 {facts['size']}x{facts['size']} 矩阵的乘法，结果正确。",
        ),
        *figures,
    )
