"""Text is UTF-8 everywhere: Chinese in file names, terminals and pipes."""

from __future__ import annotations

import re

from zhilu.doctor.finding import Finding, Severity, ok
from zhilu.doctor.look import look as ask
from zhilu.doctor.runner import Machine
from zhilu.doctor.subject import Subject
from zhilu.messages import T

TITLE = T("Character encoding", "字符编码")
FIX = ("export LANG=C.UTF-8", "echo 'export LANG=C.UTF-8' >> ~/.bashrc")


def look(runner: Machine, subject: Subject) -> list[Finding]:
    facts = ask(runner, subject.python, "interpreter")
    encoding = str(facts.get("encoding", "UTF-8"))
    wanted = next((runner.env[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if runner.env.get(name)), "")
    if encoding.lower().replace("-", "") not in ("utf8", "cp65001"):
        return [
            Finding(
                "locale.not_utf8",
                Severity.ERROR,
                TITLE,
                T(
                    f"Python reads and writes {encoding} here (locale {wanted or 'unset'}).",
                    f"Python 在这里按 {encoding} 读写（区域设置 {wanted or '未设置'}）。",
                ),
                T(
                    "Chinese text fails with UnicodeDecodeError or is garbled.",
                    "中文会出现 UnicodeDecodeError 或乱码。",
                ),
                (*FIX, "export PYTHONUTF8=1"),
                "https://docs.python.org/3/library/os.html#utf8-mode",
            )
        ]
    if wanted and not _installed(runner, wanted):
        name = wanted.split(".")[0]
        return [
            Finding(
                "locale.not_installed",
                Severity.WARNING,
                TITLE,
                T(
                    f"The locale {wanted!r} is asked for and not installed.",
                    f"设置了区域 {wanted!r}，但系统没有安装它。",
                ),
                T(
                    "Every tool warns 'cannot change locale', and sorting and dates fall back to C.",
                    "各种工具会提示 'cannot change locale'，排序和日期会退回 C 规则。",
                ),
                (f"sudo apt-get install -y locales && sudo locale-gen {name}.UTF-8", *FIX[:1]),
            )
        ]
    return [
        ok(
            "locale.utf8",
            TITLE,
            T(f"UTF-8 (locale {wanted or 'C, coerced'}).", f"UTF-8（区域 {wanted or 'C，自动转换'}）。"),
        )
    ]


def _installed(runner: Machine, wanted: str) -> bool:
    if wanted.upper().split(".")[0] in ("C", "POSIX"):
        return True
    listed = runner.run(["locale", "-a"])
    if not listed.ok:
        return True  # no such command here (macOS minimal, musl): say nothing
    return _plain(wanted) in {_plain(line) for line in listed.out.splitlines()}


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9_.@]", "", name.strip().lower().replace("-", ""))
