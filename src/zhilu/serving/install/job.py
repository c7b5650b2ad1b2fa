"""Job kind ``engine-install``: makes an engine's own environment under ``engines/NAME``, following its plan.

Killed at any moment, it continues where it stopped, because pip keeps what it has. The environment counts as whole only when the
note is written, as the very last step. Cancelled, it leaves nothing.
"""

from __future__ import annotations

import json
import platform
import shutil
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zhilu.errors import (
    CancelledByUser,
    ConflictError,
    InputError,
    MissingComponentError,
    NotFoundError,
    UnsupportedError,
)
from zhilu.home import atomic_write, file_lock, folder_bytes
from zhilu.jobs import Job, JobContext, JobKind, JobStore
from zhilu.messages import T
from zhilu.serving.engines import engine_registry
from zhilu.serving.facts import EngineFacts, InstallPlan
from zhilu.serving.install.environment import NOTE, environment, installed_note, python_of
from zhilu.serving.install.steps import Installation
from zhilu.serving.supervise.preflight import has_gpu

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["ENGINE_INSTALL", "plan_for", "remove_engine", "run_install", "submit_install"]


def plan_for(facts: EngineFacts) -> tuple[InstallPlan, str]:
    """The plan for this machine and the build it gives, ``cpu`` or ``gpu``.

    Raises:
        UnsupportedError: it is not installed by us, or not on this system, Python or processor.
        MissingComponentError: a program is needed that is not here.
    """
    build = "gpu" if has_gpu() else "cpu"
    plan = facts.install_gpu if build == "gpu" and facts.install_gpu else facts.install
    if plan is None:
        why = T("it is not installed by Zhilu", "它不由指路安装")
    elif facts.status == "needs_gpu" and build == "cpu":
        why = T("it needs an NVIDIA GPU, and none answers here", "它需要 NVIDIA GPU，而这里没有检测到")
    elif plan.system not in (None, platform.system()):
        why = T(f"it runs on {plan.system} only", f"它只能在 {plan.system} 上运行")
    elif not plan.python[0] <= sys.version_info[:2] < plan.python[1]:
        low, high = (".".join(map(str, version)) for version in plan.python)
        why = T(
            f"it needs Python from {low} to below {high}; this is {platform.python_version()}",
            f"它需要 Python {low} 以上、{high} 以下；当前是 {platform.python_version()}",
        )
    else:
        missing = [program for program in plan.needs_programs if shutil.which(program) is None]
        if missing:
            raise MissingComponentError(
                T(
                    f"Needed to build {facts.name}: {', '.join(missing)}.",
                    f"编译 {facts.name} 需要：{'、'.join(missing)}。",
                ),
                fix="sudo apt-get install -y g++",
            )
        return plan, build
    raise UnsupportedError(
        T(
            f"The engine {facts.name!r} cannot be installed here: {why.en}.",
            f"无法在这里安装引擎 {facts.name!r}：{why.zh}。",
        ),
        param="engine",
        fix="zhilu engine list",
    )


def submit_install(context: Context, name: str) -> Job:
    """Check what can be checked now and start the job.

    Raises:
        NotFoundError: no such engine. ConflictError: it is there already, or a job is installing it.
        InputError: not enough room on the disk. And what ``plan_for`` raises.
    """
    plan, _ = plan_for(engine_registry().get(name).facts)
    note = installed_note(name, context.home.path)
    if note is not None and note["version"] == plan.version:
        raise ConflictError(
            T(f"{plan.version} is installed already.", f"已经安装了 {plan.version}。"),
            param="engine",
            fix=f"zhilu engine remove {name}",
        )
    jobs = JobStore(context)
    for job in jobs.list(kind=ENGINE_INSTALL.name, status=("queued", "running")):
        if job.params.get("engine") == name:
            raise ConflictError(
                T(f"Job {job.id} is installing {name!r} already.", f"任务 {job.id} 已经在安装 {name!r}。"),
                param="engine",
                fix=f"zhilu jobs show {job.id} --follow",
            )
    _refuse_running(context, name)
    _refuse_full_disk(plan, environment(name, context.home.path))
    return jobs.submit(ENGINE_INSTALL, {"engine": name}, T(f"Install {plan.version}", f"安装 {plan.version}"))


def run_install(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    name, home = params["engine"], job.context.home
    plan, build = plan_for(engine_registry().get(name).facts)
    place = environment(name, home.path)
    with file_lock(home.run / f"engine-{name}.lock"):
        note = installed_note(name, home.path)
        if note is not None and note["version"] == plan.version:
            return {"engine": name, **note}  # killed after the last step and before it could say so
        if note is not None:
            _sweep(place)  # another version: begun anew, so that nothing of it stays behind
        _refuse_full_disk(plan, place)
        work = Installation(job, place, python_of(name, home.path), home.logs / "engines" / f"install-{name}.log")
        try:
            work.make_environment()
            whole, done = sum(step.share for step in plan.steps), 0.0
            for step in plan.steps:
                work.take(step, done / whole, step.share / whole, build=build)
                done += step.share
            note = {
                "version": plan.version,
                "build": build,
                "packages": work.packages(),
                "preload": [str(p.relative_to(place)) for pattern in plan.preload for p in sorted(place.glob(pattern))],
                "installed_at": datetime.now(timezone.utc).isoformat(),
            }
        except CancelledByUser as error:
            if error.code == "cancelled":
                _sweep(place)  # a cancelled installation leaves nothing
            raise
        atomic_write(place / NOTE, json.dumps(note, indent=1) + "\n")
    return {"engine": name, **note}


ENGINE_INSTALL = JobKind(name="engine-install", run=run_install, resumable=True, light=True)


def remove_engine(context: Context, name: str) -> Path:
    """Delete an engine's environment, whole or half-made; returns where it was.

    Raises:
        NotFoundError: no such engine, or nothing of it is installed here. ConflictError: it runs or is being installed.
    """
    engine_registry().get(name)
    place = environment(name, context.home.path)
    if not place.is_dir():
        raise NotFoundError(
            T(f"The engine {name!r} is not installed here.", f"引擎 {name!r} 没有安装在这里。"),
            param="engine",
            fix="zhilu engine list",
        )
    _refuse_running(context, name)
    with file_lock(context.home.run / f"engine-{name}.lock", blocking=False) as is_free:
        if not is_free:
            raise ConflictError(
                T(f"{name!r} is being installed: cancel that first.", f"{name!r} 正在安装：请先取消安装任务。"),
                param="engine",
                fix="zhilu jobs list",
            )
        _sweep(place)
    return place


def _sweep(place: Path) -> None:
    """Gone at once for everyone else, whatever happens to the deletion."""
    if place.exists():
        doomed = place.with_name(f".removed-{place.name}-{datetime.now(timezone.utc).timestamp():.0f}")
        place.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def _refuse_running(context: Context, name: str) -> None:
    from zhilu.models.running import engine_states

    states = engine_states(context.home)
    using = [m for m, s in states.items() if s["engine"] == name and s["state"] in ("ready", "starting")]
    if using:
        raise ConflictError(
            T(
                f"The engine {name!r} runs {', '.join(using)}: stop it first.",
                f"引擎 {name!r} 正在运行 {'、'.join(using)}：请先停止。",
            ),
            param="engine",
            fix="zhilu engine running",
        )


def _refuse_full_disk(plan: InstallPlan, place: Path) -> None:
    needed, free = max(plan.disk_bytes - folder_bytes(place), 0), shutil.disk_usage(place.parent).free
    if needed > free:
        raise InputError(
            T(
                f"Not enough room for {plan.version}: {needed / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free at "
                f"{str(place.parent)!r}.",
                f"磁盘空间不足以安装 {plan.version}：需要 {needed / 1e9:.1f} GB，{str(place.parent)!r} 只剩 {free / 1e9:.1f} GB。",
            ),
            code="disk_full",
            fix="zhilu engine list",
        )
