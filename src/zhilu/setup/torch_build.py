"""Which build of PyTorch fits this machine, asked of pip without installing anything.

On Linux, PyPI's build of PyTorch brings CUDA, several gigabytes of it. The CPU builds are on an index of their own, on some
mirrors, or a wheel on the disk. Standard library only, so that ``scripts/install.py`` can use it too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from zhilu.messages import T

__all__ = ["CHOICES", "CUDA_BYTES", "TORCH", "TORCH_INDEX", "TorchBuild", "choose_build", "has_nvidia_gpu"]

TORCH = "torch==2.13.0"
CHOICES = ("auto", "cpu", "cuda", "none")
# The CPU builds' own index. A company's mirror of it can be named instead.
TORCH_INDEX = os.environ.get("ZHILU_TORCH_INDEX") or "https://download.pytorch.org/whl/cpu"
CUDA_BYTES = 4_700_000_000  # on disk, measured: torch 2.13.0 of PyPI with all that it brings, x86-64 Linux
_QUICK = ("--retries", "1", "--timeout", "20")  # an index behind a firewall must not hold us for minutes


@dataclass(frozen=True)
class TorchBuild:
    """What pip is to be given.

    Attributes:
        kind: ``cpu``; ``cuda``, several gigabytes, to be installed only where a person agreed; ``none``: no build found
            or none wanted, and ``words`` is empty.
        reason: why this one, or why none.
        urls: the files that pip would take.
    """

    kind: Literal["cpu", "cuda", "none"]
    words: tuple[str, ...]
    reason: T
    urls: tuple[str, ...] = ()


def choose_build(
    python: str | Path,
    wanted: str = "auto",
    *,
    has_gpu: bool | None = None,
    ask: Callable[[Sequence[str]], tuple[str, ...] | None] | None = None,
) -> TorchBuild:
    """The build that ``pip`` of the interpreter ``python`` can find for this machine.

    Args:
        wanted: one of ``CHOICES``. ``auto`` takes the CPU build; with an NVIDIA GPU, or where there is no CPU build, it
            names the CUDA build, which the caller installs only once a person has agreed.
        has_gpu: by default asked of the driver.
        ask: what pip would take for its words, None for nothing; by default asked of pip.
    """
    ask = ask or (lambda words: _would_take(python, words))
    if wanted == "none":
        return TorchBuild("none", (), T("ZHILU_TORCH=none", "设置了 ZHILU_TORCH=none"))
    gpu = has_nvidia_gpu() if has_gpu is None else has_gpu
    if wanted != "cuda" and not (wanted == "auto" and gpu):
        for words in ((f"{TORCH}+cpu",), (f"{TORCH}+cpu", "--extra-index-url", TORCH_INDEX)):
            urls = ask(words) if sys.platform == "linux" else None
            if urls is not None:
                return TorchBuild("cpu", words, T("the CPU build", "CPU 版"), urls)
    urls = ask((TORCH,))
    if urls is None:
        return TorchBuild(
            "none",
            (),
            T(f"pip finds no {TORCH} for this Python", f"pip 找不到适用于当前 Python 的 {TORCH}"),
        )
    if not any(_brings_cuda(url) for url in urls):
        return TorchBuild("cpu", (TORCH,), T("this platform's build", "本平台的版本"), urls)
    if wanted == "cpu":
        return TorchBuild("none", (), T("no CPU build can be found", "找不到 CPU 版"))
    if gpu:
        reason = T("an NVIDIA GPU answers", "检测到 NVIDIA GPU")
    elif wanted == "cuda":
        reason = T("the CUDA build was asked for", "指定了 CUDA 版")
    else:
        reason = T("no CPU build can be found", "找不到 CPU 版")
    return TorchBuild("cuda", (TORCH,), reason, urls)


def has_nvidia_gpu() -> bool:
    """True if an NVIDIA GPU answers: the driver's own tool lists at least one."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return False
    try:
        listed = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return listed.returncode == 0 and "GPU " in listed.stdout


def _would_take(python: str | Path, words: Sequence[str]) -> tuple[str, ...] | None:
    """The files pip would take for ``words``; None if it finds nothing that fits."""
    command = [str(python), "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed", "--report", "-"]
    asked = subprocess.run(
        [*command, "--disable-pip-version-check", *_QUICK, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode != 0:
        return None
    items: list[dict[str, Any]] = json.loads(asked.stdout)["install"]
    return tuple(str(item["download_info"]["url"]) for item in items)


def _brings_cuda(url: str) -> bool:
    return url.rpartition("/")[2].lower().startswith(("nvidia_", "nvidia-", "cuda_", "cuda-"))
