"""How a broken machine is written down: what is wrong, what the doctor must say, and the fix it must offer.

Each is the healthy machine of ``zhilu.doctor.testing`` with one thing broken. The words of NVIDIA, pip and Linux are
theirs, copied from real failures.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from zhilu.doctor import Severity, Subject
from zhilu.doctor.runner import Completed
from zhilu.doctor.testing import ScriptedRunner, healthy_linux, interpreter

OK, INFO, WARNING, ERROR = Severity.OK, Severity.INFO, Severity.WARNING, Severity.ERROR
HEALTHY = healthy_linux()
SUBJECT = Subject(python="/home/li/zhilu/.venv/bin/python", home="/home/li/.zhilu", project="/home/li/zhilu")
WSL2 = {"uname -srm": "Linux 5.15.153.1-microsoft-standard-WSL2 x86_64"}
QUERY = "--query-gpu=name,driver_version,memory.total,memory.free,compute_cap"


@dataclass(frozen=True)
class Environment:
    """``fix`` and ``says``: parts of a fix command and of the English ``what`` or ``why`` that must be there."""

    name: str
    runner: ScriptedRunner
    finding: str
    severity: Severity
    fix: str | None = None
    says: str = ""
    subject: Subject = SUBJECT
    others: tuple[str, ...] = field(default=())  # further findings that this fault cannot but cause


def smi(
    driver: str = "570.133.07",
    *,
    name: str = "NVIDIA GeForce RTX 4090",
    total: int = 24564,
    free: int = 24000,
    cap: str = "8.9",
    cuda: str = "12.8",
    apps: str = "",
) -> dict[str, str]:
    """The commands of a machine whose nvidia-smi answers."""
    return {
        f"nvidia-smi {QUERY} --format=csv,noheader,nounits": f"{name}, {driver}, {total}, {free}, {cap}\n",
        "nvidia-smi --query-compute-apps=process_name,used_memory --format=csv,noheader,nounits": apps,
        "nvidia-smi": f"| NVIDIA-SMI {driver}    Driver Version: {driver}    CUDA Version: {cuda} |\n",
    }


def with_gpu(torch: dict[str, Any], **gpu: Any) -> ScriptedRunner:
    version = torch.get("version", "2.13.0+cu130")
    return HEALTHY.but(
        commands={
            **smi(**gpu),
            "python look_interpreter.py": interpreter(packages={"torch": version}),
            "python look_torch.py": torch_answer(**torch),
        },
        paths={"nvidia-smi": "/usr/bin/nvidia-smi"},
    )


def torch_answer(**facts: Any) -> str:
    there = {"version": "2.13.0+cu130", "cuda": "13.0", "hip": None, "available": False, "arch_list": [], "mps": False}
    return json.dumps({**there, "warnings": [], **facts})


def silent_gpu(said: str, *, code: int = 9, on_bus: bool = True) -> ScriptedRunner:
    bus = "01:00.0 0300: 10de:2684 (rev a1)\n" if on_bus else "00:02.0 0300: 8086:46a6\n"
    return HEALTHY.but(
        commands={"nvidia-smi": Completed(code, out=said), "lspci -n": bus}, paths={"nvidia-smi": "/usr/bin/nvidia-smi"}
    )


def python(**facts: Any) -> ScriptedRunner:
    return HEALTHY.but(commands={"python look_interpreter.py": interpreter(**facts)})


def df(mount: str, free_gib: float) -> str:
    free = int(free_gib * (1 << 20))
    return f"Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/x 480000000 1 {free} 20% {mount}\n"
