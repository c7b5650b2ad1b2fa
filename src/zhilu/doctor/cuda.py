"""Which driver runs which CUDA, as data.

Sources: NVIDIA, "CUDA Compatibility", table 1 of minor version compatibility (a program built with any 12.x runs on
every driver >= 525, any 13.x on every driver >= 580); the CUDA Toolkit release notes for the toolkit that each driver
branch brings; pytorch.org, "Get started", for the wheel indexes of PyTorch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = [
    "COMPATIBILITY_URL",
    "CPU_INDEX",
    "DRIVER_BRINGS",
    "MINIMUM_DRIVER",
    "WHEELS",
    "WheelIndex",
    "driver_cuda",
    "driver_runs",
    "parse_version",
    "torch_commands",
    "wheel_for",
]

COMPATIBILITY_URL = "https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html"

# CUDA major version -> lowest driver branch that runs every minor version of it (Linux and WSL).
MINIMUM_DRIVER: dict[int, int] = {11: 450, 12: 525, 13: 580}

# Driver (Linux) -> the newest CUDA it knows by itself. Used only where nvidia-smi does not say.
DRIVER_BRINGS: tuple[tuple[tuple[int, int], str], ...] = (
    ((580, 65), "13.0"),
    ((575, 51), "12.9"),
    ((570, 26), "12.8"),
    ((560, 28), "12.6"),
    ((555, 42), "12.5"),
    ((550, 54), "12.4"),
    ((545, 23), "12.3"),
    ((535, 54), "12.2"),
    ((530, 30), "12.1"),
    ((525, 60), "12.0"),
    ((520, 61), "11.8"),
    ((450, 36), "11.0"),
)


@dataclass(frozen=True)
class WheelIndex:
    """One of PyTorch's wheel indexes and the lowest driver branch its wheels run on."""

    name: str
    cuda: str
    driver: int

    @property
    def url(self) -> str:
        return f"https://download.pytorch.org/whl/{self.name}"


# Newest first. cu126 is the CUDA 12 build that PyTorch keeps for older drivers and older GPUs (Maxwell to Volta).
WHEELS: tuple[WheelIndex, ...] = (WheelIndex("cu130", "13.0", 580), WheelIndex("cu126", "12.6", 525))
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
OLDEST_CAPABILITY = {"cu130": (7, 5), "cu126": (5, 0)}  # CUDA 13 dropped Maxwell, Pascal and Volta


def parse_version(text: str) -> tuple[int, ...]:
    """The leading numbers of a version: ``"570.133.07"`` -> ``(570, 133, 7)``; ``()`` where there are none."""
    found = re.match(r"\D*(\d+(?:\.\d+)*)", text or "")
    return tuple(int(part) for part in found.group(1).split(".")) if found else ()


def driver_cuda(driver: str) -> str | None:
    """The newest CUDA that a driver knows by itself, by the release notes' table."""
    version = parse_version(driver)[:2]
    return next((cuda for least, cuda in DRIVER_BRINGS if version >= least), None)


def driver_runs(driver: str, cuda: str) -> bool:
    """Whether a program built with ``cuda`` starts on ``driver`` (minor version compatibility counted in)."""
    branch, major = parse_version(driver)[:1], parse_version(cuda)[:1]
    least = MINIMUM_DRIVER.get(major[0]) if major else None
    if not branch or not major:
        return False
    # A major version newer than the table: all we know is that it wants more than the newest one listed.
    return branch[0] >= least if least else branch[0] > max(MINIMUM_DRIVER.values())


def wheel_for(driver: str, capability: tuple[int, ...] = ()) -> WheelIndex | None:
    """The newest PyTorch build that this driver (and GPU, where its compute capability is known) runs."""
    branch = (parse_version(driver) or (0,))[0]
    for wheel in WHEELS:
        if branch >= wheel.driver and (not capability or capability >= OLDEST_CAPABILITY[wheel.name]):
            return wheel
    return None


def torch_commands(index_url: str, *, replace: bool = False) -> tuple[str, ...]:
    """The commands that install PyTorch from an index.

    A build is replaced by removing it first: ``--force-reinstall`` would fetch every dependency again, and without the
    dependencies a CUDA build lacks its ``nvidia-*`` libraries.
    """
    remove = ("python -m pip uninstall -y torch",) if replace else ()
    return (*remove, f"python -m pip install torch --index-url {index_url}")
