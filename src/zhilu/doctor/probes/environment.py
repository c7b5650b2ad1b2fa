"""Is Zhilu in an environment of its own (venv or Conda), and not in the system's Python or Conda's base?"""

from __future__ import annotations

from zhilu.doctor.finding import Finding, Severity, ok
from zhilu.doctor.look import look as ask
from zhilu.doctor.runner import Machine
from zhilu.doctor.subject import Subject
from zhilu.messages import T

TITLE = T("Virtual environment", "虚拟环境")
MAKE = ("python3 -m venv .venv", "source .venv/bin/activate")


def look(runner: Machine, subject: Subject) -> list[Finding]:
    facts = ask(runner, subject.python, "interpreter")
    if "version" not in facts:
        return [
            Finding(
                "environment.unknown",
                Severity.INFO,
                TITLE,
                T("The interpreter did not answer, see Python.", "解释器没有应答，见 Python 一项。"),
            )
        ]
    prefix = facts["prefix"]
    is_venv = prefix != facts["base_prefix"]
    findings = _pollution(runner)
    if is_venv and not facts["writable"]:
        return [*findings, _not_writable(prefix)]
    if is_venv:
        return [*findings, ok("environment.venv", TITLE, T(f"A venv: {prefix}", f"venv：{prefix}"))]
    if facts["conda"] and facts["conda_base"]:
        return [*findings, _conda_base(prefix)]
    if facts["conda"]:
        return [*findings, ok("environment.conda", TITLE, T(f"A Conda environment: {prefix}", f"Conda 环境：{prefix}"))]
    if facts["externally_managed"]:
        return [*findings, _externally_managed(facts["executable"])]
    return [*findings, _system_python(facts["executable"])]


def _pollution(runner: Machine) -> list[Finding]:
    path = runner.env.get("PYTHONPATH", "")
    if not path:
        return []
    return [
        Finding(
            "environment.pythonpath",
            Severity.WARNING,
            T("PYTHONPATH is set", "设置了 PYTHONPATH"),
            T(
                f"PYTHONPATH={path!r} comes before every environment's own packages.",
                f"PYTHONPATH={path!r} 会排在每个环境自己的包之前。",
            ),
            T(
                "Packages of another Python version leak in and fail to import (ROS and old tutorials set it).",
                "其他 Python 版本的包会混进来导致导入失败（ROS 和一些旧教程会设置它）。",
            ),
            ("unset PYTHONPATH", "grep -n PYTHONPATH ~/.bashrc ~/.profile ~/.zshrc"),
        )
    ]


def _conda_base(prefix: str) -> Finding:
    return Finding(
        "environment.conda_base",
        Severity.WARNING,
        T("Conda's base environment", "Conda 的 base 环境"),
        T(f"Zhilu runs in Conda's base environment ({prefix}).", f"Zhilu 运行在 Conda 的 base 环境里（{prefix}）。"),
        T(
            "Conda itself lives there: packages that pip changes in it can break the conda command.",
            "conda 自己就住在里面：用 pip 改动它的包可能弄坏 conda 命令。",
        ),
        ("conda create -y -n zhilu python=3.12", "conda activate zhilu", "conda config --set auto_activate_base false"),
        "https://docs.conda.io/projects/conda/en/latest/user-guide/tasks/manage-environments.html",
    )


def _externally_managed(python: str) -> Finding:
    return Finding(
        "environment.externally_managed",
        Severity.ERROR,
        T("The system's Python is closed to pip", "系统 Python 不允许 pip 安装"),
        T(
            f"{python} is marked as externally managed: pip answers 'error: externally-managed-environment'.",
            f"{python} 被标记为由系统管理：pip 会报 'error: externally-managed-environment'。",
        ),
        T(
            "PEP 668: the distribution's tools are written in this Python. A venv is the way out, not --break-system-packages. "
            "On Debian and Ubuntu the venv module is a package of its own.",
            "PEP 668：发行版自己的工具就用这个 Python。正确的做法是建 venv，而不是加 --break-system-packages。Debian/Ubuntu 的 venv 模块需单独安装。",
        ),
        ("sudo apt-get install -y python3-venv", *MAKE),
        "https://packaging.python.org/specifications/externally-managed-environments/",
    )


def _system_python(python: str) -> Finding:
    return Finding(
        "environment.system_python",
        Severity.WARNING,
        T("No virtual environment", "没有使用虚拟环境"),
        T(f"Zhilu runs in {python}, which other programs share.", f"Zhilu 运行在 {python} 里，与其他程序共用。"),
        T(
            "One project's upgrade breaks the next one's versions. An environment of its own costs seconds.",
            "一个项目的升级会弄坏另一个项目。建一个独立环境只要几秒钟。",
        ),
        MAKE,
        "https://docs.python.org/3/library/venv.html",
    )


def _not_writable(prefix: str) -> Finding:
    return Finding(
        "environment.not_writable",
        Severity.ERROR,
        T("The environment belongs to someone else", "环境属于其他用户"),
        T(
            f"{prefix} cannot be written: it was probably made with sudo.",
            f"{prefix} 不可写：它很可能是用 sudo 创建的。",
        ),
        T("pip cannot install into it.", "pip 无法往里安装。"),
        (f'sudo chown -R "$USER" {prefix}',),
    )
