"""A context with an empty home, and gates of every verdict."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from zhilu.context import Context, open_context
from zhilu.errors import InputError, MissingComponentError
from zhilu.gate import Artefact, Figure, Gate, Verdict
from zhilu.messages import T


@pytest.fixture
def context() -> Iterator[Context]:
    opened = open_context({"lang": "en"})
    yield opened
    opened.close()


def passing(_: Context) -> Verdict:
    return Verdict.passed(
        T("It ran.", "运行了。"),
        Figure(T("speed", "速度"), 12.5, "GFLOP/s"),
        Figure(T("device", "设备"), "cpu"),
        artefacts=[Artefact.of_bytes("thing", b"abc")],
    )


def failing(_: Context) -> Verdict:
    return Verdict.failed(T("It broke: <b>&", "坏了：<b>&"), fix="zhilu doctor")


def not_yet(_: Context) -> Verdict:
    return Verdict.not_yet(T("Nothing to check.", "没有可检查的。"), fix="zhilu kb create mine")


def impossible(_: Context) -> Verdict:
    return Verdict.cannot_run_here(T("No GPU.", "没有显卡。"), fix="buy one")


def missing(_: Context) -> Verdict:
    raise MissingComponentError(
        T("transformers is not installed.", "没有安装 transformers。"), fix="pip install transformers"
    )


def raising(_: Context) -> Verdict:
    raise ZeroDivisionError("by zero")


def refusing(_: Context) -> Verdict:
    raise InputError(T("Refused.", "被拒绝。"), fix="zhilu up")


def lying(_: Context) -> Verdict:
    return True  # type: ignore[return-value]


@pytest.fixture
def gates() -> dict[str, Gate]:
    title = T("a gate", "一个关卡")
    runs = {
        "0.1": passing,
        "0.2": failing,
        "0.3": impossible,
        "0.4": not_yet,
        "1.1": raising,
        "1.2": refusing,
        "1.3": lying,
    }
    return {task: Gate(task, title, run) for task, run in runs.items()}
