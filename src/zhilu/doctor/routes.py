"""``GET /zhilu/v1/doctor``."""

from __future__ import annotations

import threading
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from zhilu.context import context_of
from zhilu.doctor.checkup import Checkup, check_up
from zhilu.doctor.subject import Subject
from zhilu.jobs.base import Text

__all__ = ["router"]

router = APIRouter(tags=["doctor"])
_one_at_a_time = threading.Lock()


class FindingOut(BaseModel):
    id: str
    severity: Literal["ok", "info", "warning", "error"]
    title: Text
    what: Text
    why: Text | None
    fix: list[str]
    docs: str | None


class GpuOut(BaseModel):
    name: str
    memory_bytes: int
    free_bytes: int


class MachineOut(BaseModel):
    """A part that could not be read in time is null."""

    system: str | None = None
    kernel: str | None = None
    arch: str | None = None
    wsl: int | None = None
    python: str | None = None
    cpu: str | None = None
    cores: int | None = None
    cpu_features: list[str] = []
    memory_bytes: int | None = None
    memory_available_bytes: int | None = None
    driver: str | None = None
    cuda: str | None = None
    gpus: list[GpuOut] = []


class DoctorOut(BaseModel):
    machine: MachineOut
    findings: list[FindingOut]
    checked_at: str
    seconds: float


@router.get("/zhilu/v1/doctor", response_model=DoctorOut)
def doctor(request: Request, refresh: bool = False) -> dict[str, Any]:
    """The last check-up of this server, or a new one (about three seconds) when asked or when there is none."""
    state = request.app.state
    with _one_at_a_time:
        last: Checkup | None = getattr(state, "checkup", None)
        if last is None or refresh:
            last = state.checkup = check_up(Subject.of(context_of(request)))
    return last.data()
