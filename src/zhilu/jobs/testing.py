"""A small real kind of job for tests of jobs and of what uses them: ``submit("zhilu.jobs.testing:COUNT", …)``."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from zhilu.errors import InputError
from zhilu.jobs.base import JobContext, JobKind
from zhilu.messages import T

__all__ = ["COUNT", "COUNT_LIGHT", "COUNT_ONCE", "NESTED", "SETTINGS", "count", "nested", "settings"]


def count(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    """Append the numbers below ``params["n"]`` to ``params["file"]``, one a line, resuming after the last whole one.

    Options: ``pause`` seconds a step; ``fail_at`` raises ValueError there, ``refuse_at`` an InputError; ``deaf`` never
    looks whether it is cancelled; ``child`` starts a process that would outlive it, its pid in ``<file>.child``; ``until`` a path:
    waits, as for a person, until it is there.
    """
    path = Path(params["file"])
    path.touch()
    written = path.read_bytes()
    whole = written[: written.rfind(b"\n") + 1]
    done = len(whole.splitlines())
    if params.get("child"):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        Path(f"{path}.child").write_text(str(child.pid))
    if params.get("until"):
        with job.waiting():
            while not Path(params["until"]).exists():
                job.progress(0.0, T("Waiting", "等待"))
                time.sleep(0.05)
    with path.open("r+b") as file:
        file.truncate(len(whole))
        file.seek(0, 2)
        for number in range(done, params["n"]):
            if number == params.get("fail_at"):
                raise ValueError(f"cannot count {number}")
            if number == params.get("refuse_at"):
                raise InputError(T(f"{number} is refused.", f"拒绝 {number}。"), fix="zhilu --help")
            time.sleep(params.get("pause", 0.0))
            file.write(b"%d\n" % number)
            file.flush()
            if not params.get("deaf"):
                job.progress((number + 1) / params["n"], T("Counting", "计数"), str(number))
        job.log(f"counted to {params['n']}")
    return {"counted": params["n"], "attempt": job.attempt}


COUNT = JobKind(name="zhilu.jobs.testing:COUNT", run=count, resumable=True)
COUNT_LIGHT = JobKind(name="zhilu.jobs.testing:COUNT_LIGHT", run=count, resumable=True, light=True)
COUNT_ONCE = JobKind(name="zhilu.jobs.testing:COUNT_ONCE", run=count, resumable=False)


def nested(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    """Submit a job and wait for it: with one slot this works only because the one who waits lends its own."""
    from zhilu.jobs.store import JobStore

    store = JobStore(job.context)
    inner = store.submit(COUNT, {"n": 2, "file": params["file"]}, T("Inner", "内层"))
    return {"inner": store.wait(inner.id).status}


def settings(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    """What the worker's settings are."""
    held = job.context.settings
    return {"threads": held.threads, "lang": held.lang, "home": str(held.home)}


NESTED = JobKind(name="zhilu.jobs.testing:NESTED", run=nested)
SETTINGS = JobKind(name="zhilu.jobs.testing:SETTINGS", run=settings)
