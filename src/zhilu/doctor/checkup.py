"""Run every probe at once and collect what they found, within a bounded time."""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from zhilu.doctor.finding import Finding, Severity
from zhilu.doctor.machine import describe_machine
from zhilu.doctor.probes import PROBES, Probe
from zhilu.doctor.runner import Machine, Remembering, SystemRunner
from zhilu.doctor.subject import Subject
from zhilu.messages import T

__all__ = ["Checkup", "check_up"]

DEADLINE = 5.5  # seconds for all probes together; what has not answered by then is reported as such


@dataclass(frozen=True)
class Checkup:
    """Findings, the most serious first; the machine they were made on; when; and how long it took (seconds)."""

    findings: tuple[Finding, ...]
    machine: dict[str, Any]
    checked_at: str
    seconds: float

    @property
    def worst(self) -> Severity:
        return max((finding.severity for finding in self.findings), default=Severity.OK)

    def data(self) -> dict[str, Any]:
        return {
            "machine": self.machine,
            "findings": [finding.data() for finding in self.findings],
            "checked_at": self.checked_at,
            "seconds": round(self.seconds, 2),
        }


def check_up(
    subject: Subject,
    runner: Machine | None = None,
    *,
    probes: Sequence[Probe] = PROBES,
    deadline: float = DEADLINE,
) -> Checkup:
    """Look at everything; never raises, and returns within about ``deadline`` seconds."""
    began = time.monotonic()
    asked = Remembering(runner or SystemRunner())
    heard: dict[int, list[Finding]] = {}
    machine: dict[str, Any] = {}

    def describe() -> None:
        machine.update(describe_machine(asked, platform.python_version()))

    tasks: list[Callable[[], None]] = [
        _task(position, probe, asked, subject, heard) for position, probe in enumerate(probes)
    ]
    # Daemon threads: one that hangs in a system call must not keep the process from ending.
    threads = [threading.Thread(target=task, daemon=True) for task in [describe, *tasks]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, began + deadline - time.monotonic()))
    findings = [
        finding
        for position, probe in enumerate(probes)
        for finding in heard.get(position, [_unanswered(probe, deadline)])
    ]
    findings.sort(key=lambda finding: -finding.severity)
    now = datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Checkup(tuple(findings), dict(machine), now, time.monotonic() - began)


def _task(
    position: int, probe: Probe, runner: Machine, subject: Subject, heard: dict[int, list[Finding]]
) -> Callable[[], None]:
    def task() -> None:
        try:
            heard[position] = probe.look(runner, subject)
        except Exception as error:  # a surprise of one machine must not hide the other findings
            heard[position] = [_surprised(probe, error)]

    return task


def _unanswered(probe: Probe, deadline: float) -> Finding:
    return Finding(
        f"{probe.name}.unanswered",
        Severity.INFO,
        probe.title,
        T(f"No answer within {deadline:g} s.", f"{deadline:g} 秒内没有得到结果。"),
        T(
            "The machine is busy, or a disk or network drive does not respond. Try again:",
            "机器正忙，或某个磁盘、网络盘没有响应。请再试一次：",
        ),
        ("zhilu doctor",),
    )


def _surprised(probe: Probe, error: Exception) -> Finding:
    return Finding(
        f"{probe.name}.surprised",
        Severity.WARNING,
        probe.title,
        T(
            f"The probe met something it does not know: {type(error).__name__}: {error}",
            f"检查时遇到未知情况：{type(error).__name__}: {error}",
        ),
        T("Please report it with the output of:", "请附上以下命令的输出反馈给我们："),
        ("zhilu doctor --json",),
    )
