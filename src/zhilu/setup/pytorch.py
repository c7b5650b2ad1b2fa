"""PyTorch as a part that arrives later, and the job kind ``torch-install`` that installs it into the running environment.

Nothing that is already installed is changed: pip gets the present versions as constraints. While pip writes, a mark beside the
packages says that what is there is not whole. A killed job removes it and starts again with pip's cache; a cancelled one leaves
nothing. The CUDA build is installed only if a person has agreed to its size; otherwise the job ends by saying what is available.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zhilu.errors import CancelledByUser, InputError, MissingComponentError, UpstreamError
from zhilu.home import atomic_write, file_lock
from zhilu.jobs import Job, JobContext, JobKind, JobStore
from zhilu.jobs.command import run_command
from zhilu.messages import T
from zhilu.setup.base import PartState, newest_job
from zhilu.setup.pip import is_our_environment, refuse_old_pip, what_is_there, why_not_here
from zhilu.setup.require import INSTALL_TORCH, has_torch, unfinished_mark
from zhilu.setup.torch_build import CUDA_BYTES, TORCH, TorchBuild, choose_build

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["PYTORCH", "TORCH_INSTALL", "Pytorch", "run_install"]

CPU_BYTES = 800_000_000  # on disk, measured: torch 2.13.0+cpu with what it needs, x86-64 Linux
_LEFT_BEHIND = ("torch", "torchgen", "functorch", "torch-*.dist-info")
_RAW_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")


class Pytorch:
    name = "torch"
    title = T("PyTorch", "PyTorch")
    purpose = T(
        "For the torch runner, training and the gates that compare with it. Serving and asking do not need it.",
        "用于 torch 运行器、训练，以及与它对照的关卡。模型服务和提问不需要它。",
    )

    def state(self, context: Context) -> PartState:
        wanted, job = context.settings.torch, self.find_job(context)
        if has_torch():
            return PartState("here", T("It is installed.", "已安装。"))
        if wanted == "none":
            return PartState("declined", T("The setting torch is none.", "设置 torch 为 none。"))
        blocked = why_not_here()
        if blocked is not None:
            return PartState("impossible", blocked)
        outcome = (job.result or {}) if job is not None and job.status == "done" else {}
        if outcome.get("asks") and wanted != "cuda":
            return PartState("absent", T.of(outcome["reason"]), consent=T.of(outcome["consent"]), size_bytes=CUDA_BYTES)
        if context.settings.offline:
            return PartState("absent", T("The setting offline is on.", "设置 offline 已打开。"), size_bytes=CPU_BYTES)
        if not is_our_environment():
            reason = T("This environment was not made by Zhilu.", "当前环境不是由指路创建的。")
            return PartState("absent", reason, size_bytes=CPU_BYTES)
        size = CUDA_BYTES if wanted == "cuda" else CPU_BYTES
        return PartState("absent", T("It arrives by itself.", "会自动安装。"), is_automatic=True, size_bytes=size)

    def find_job(self, context: Context) -> Job | None:
        return newest_job(context, TORCH_INSTALL.name)

    def submit(self, context: Context, *, agreed: bool) -> Job:
        blocked = why_not_here()
        if blocked is not None:
            raise MissingComponentError(
                blocked, code="torch_impossible", fix=f"{sys.executable} -m pip install {TORCH}"
            )
        wanted = context.settings.torch
        params = {"wanted": "cuda" if agreed else "auto" if wanted == "none" else wanted}  # asked for by hand: wanted
        return JobStore(context).submit(TORCH_INSTALL, params, T("Install PyTorch", "安装 PyTorch"))


def run_install(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    """Find the build, install it or say what must be agreed to.

    ``params``: ``wanted``, one of ``torch_build.CHOICES``; ``python``, the environment's interpreter, by default ours.

    Returns ``{"version", "kind"}``, or ``{"asks": True, "reason", "consent"}`` where only the CUDA build can be had and
    nobody has agreed to it.
    """
    python, wanted = str(params.get("python") or sys.executable), str(params.get("wanted") or "auto")
    log = job.context.home.logs / "setup-torch.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(job.context.home.run / "setup-torch.lock"):
        packages = _packages_of(python)
        mark = unfinished_mark(packages)
        if mark.exists():
            _sweep(packages, mark)
        refuse_old_pip(python)
        job.progress(0.02, T("Looking for a build that fits", "寻找合适的版本"))
        build = choose_build(python, wanted)
        job.log(f"{TORCH}: {build.kind} ({build.reason.en})")
        if build.kind == "cuda" and wanted != "cuda":
            return _ask(build)
        if build.kind == "none":
            raise UpstreamError(
                T(f"PyTorch cannot be installed: {build.reason.en}.", f"无法安装 PyTorch：{build.reason.zh}。"),
                code="torch_not_found",
                fix=f"ZHILU_TORCH_INDEX=URL {INSTALL_TORCH}",
            )
        _refuse_full_disk(packages, build)
        try:
            _install(job, python, build, log, mark)
        except CancelledByUser as error:
            if error.code == "cancelled":
                _sweep(packages, mark)
            raise
        mark.unlink(missing_ok=True)
        return {"version": _version(python), "kind": build.kind}


TORCH_INSTALL = JobKind(name="torch-install", run=run_install, resumable=True, light=True)
PYTORCH = Pytorch()


def _ask(build: TorchBuild) -> dict[str, Any]:
    size = f"{CUDA_BYTES / 1e9:.1f} GB"
    consent = T(
        f"{TORCH} with CUDA takes {size} on the disk. Install it all the same?",
        f"带 CUDA 的 {TORCH} 占用磁盘 {size}。仍要安装吗？",
    )
    reason = T(f"Not installed: {build.reason.en}.", f"没有安装：{build.reason.zh}。")
    return {"asks": True, "reason": reason.data(), "consent": consent.data()}


def _install(job: JobContext, python: str, build: TorchBuild, log: Path, mark: Path) -> None:
    """Download first, where a cancel costs nothing; then write, under the mark."""
    kept = job.context.home.run / "setup-torch-constraints.txt"
    atomic_write(kept, what_is_there(python))
    wheels = job.context.home.cache / "torch"
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    raw = ("--progress-bar", "raw")
    files = _Files(len(build.urls))
    title = T("Downloading PyTorch", "下载 PyTorch")
    fetch = [*pip, "download", *raw, "-c", str(kept), "-d", str(wheels), *build.words]
    run_command(job, fetch, title, log, at=0.05, share=0.65, fraction_of=files.fraction)
    atomic_write(mark, f"{os.getpid()}\n")
    title = T("Unpacking PyTorch", "解包 PyTorch")
    words = ["install", "--progress-bar", "off", "--no-index", "--find-links", str(wheels), "-c", str(kept)]
    run_command(job, [*pip, *words, build.words[0]], title, log, at=0.7, share=0.28)
    shutil.rmtree(wheels, ignore_errors=True)


class _Files:
    """How much of several downloads is done, from pip's raw progress lines; each file counts the same."""

    def __init__(self, count: int) -> None:
        self.count, self.begun, self.last = max(count, 1), 0, 1.0

    def fraction(self, line: str) -> float | None:
        found = _RAW_PROGRESS.search(line)
        if found is None:
            return None
        now = int(found[1]) / max(int(found[2]), 1)
        if now < self.last:
            self.begun += 1
        self.last = now
        return min((self.begun - 1 + now) / self.count, 1.0)


def _packages_of(python: str) -> Path:
    script = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(subprocess.run([python, "-c", script], capture_output=True, text=True, check=True).stdout.strip())


def _version(python: str) -> str:
    script = "from importlib.metadata import version; print(version('torch'))"
    return subprocess.run([python, "-c", script], capture_output=True, text=True, check=True).stdout.strip()


def _sweep(packages: Path, mark: Path) -> None:
    """Remove what an unfinished installation wrote. Its dependencies may stay: they are whole and small."""
    if mark.exists():
        for pattern in _LEFT_BEHIND:
            for path in packages.glob(pattern):
                shutil.rmtree(path, ignore_errors=True)
        mark.unlink(missing_ok=True)


def _refuse_full_disk(packages: Path, build: TorchBuild) -> None:
    needed, free = CUDA_BYTES if build.kind == "cuda" else CPU_BYTES, shutil.disk_usage(packages).free
    if needed > free:
        raise InputError(
            T(
                f"Not enough room for PyTorch: {needed / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free at {str(packages)!r}.",
                f"磁盘空间不足以安装 PyTorch：需要 {needed / 1e9:.1f} GB，{str(packages)!r} 只剩 {free / 1e9:.1f} GB。",
            ),
            code="disk_full",
            fix=INSTALL_TORCH,
        )
