"""Is the interpreter one that the product and the roadmap's tools support?"""

from __future__ import annotations

from typing import Any

from zhilu.doctor.finding import Finding, Severity, ok
from zhilu.doctor.look import look as ask
from zhilu.doctor.runner import Machine
from zhilu.doctor.subject import Subject
from zhilu.messages import T

TITLE = T("Python version", "Python 版本")
OLDEST = (3, 10)
# The newest that PyTorch and OpenVINO of this release ship wheels for.
NEWEST = (3, 14)
RECOMMENDED = "3.12"


def look(runner: Machine, subject: Subject) -> list[Finding]:
    facts = ask(runner, subject.python, "interpreter")
    if "version" not in facts:
        return [_broken(subject.python, facts)]
    version = tuple(facts["version"])
    shown = ".".join(map(str, version))
    if version < OLDEST:
        return [
            _version(
                "python.too_old",
                Severity.ERROR,
                shown,
                T(
                    f"Zhilu needs Python {_dotted(OLDEST)} or newer.",
                    f"Zhilu 需要 Python {_dotted(OLDEST)} 或更新版本。",
                ),
            )
        ]
    if version[:2] > NEWEST:
        return [
            _version(
                "python.too_new",
                Severity.WARNING,
                shown,
                T(
                    "PyTorch and vLLM have no wheels for it yet, so pip would try to build them from source.",
                    "PyTorch 与 vLLM 还没有为它发布预编译包，pip 会尝试从源码编译。",
                ),
            )
        ]
    if facts["bits"] != 64:
        return [
            _version(
                "python.32_bit",
                Severity.ERROR,
                shown + " (32-bit)",
                T("No AI library ships 32-bit wheels.", "没有任何 AI 库提供 32 位的包。"),
            )
        ]
    return [ok("python.supported", TITLE, T(f"Python {shown}, supported.", f"Python {shown}，受支持。"))]


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _version(id: str, severity: Severity, shown: str, why: T) -> Finding:
    return Finding(
        id,
        severity,
        TITLE,
        T(f"Python {shown} runs Zhilu.", f"当前用 Python {shown} 运行 Zhilu。"),
        T(
            f"{why.en} uv brings a Python of its own and touches nothing of the system's.",
            f"{why.zh}uv 会自带一个 Python，不影响系统自带的。",
        ),
        (
            "python3 -m pip install --user uv || pipx install uv",
            f"uv venv --seed --python {RECOMMENDED} .venv",
            "source .venv/bin/activate",
        ),
        "https://docs.astral.sh/uv/guides/install-python/",
    )


def _broken(python: str, facts: dict[str, Any]) -> Finding:
    said = facts.get("failed") or "no answer in time"
    return Finding(
        "python.broken",
        Severity.ERROR,
        TITLE,
        T(f"The interpreter {python!r} does not answer: {said}", f"解释器 {python!r} 没有正常应答：{said}"),
        T(
            "An environment whose base Python was removed or upgraded has to be made anew.",
            "如果环境所依赖的基础 Python 被删除或升级，就需要重建这个环境。",
        ),
        ("rm -rf .venv", "python3 -m venv .venv && source .venv/bin/activate"),
    )
