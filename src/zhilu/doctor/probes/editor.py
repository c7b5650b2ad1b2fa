"""VSCode: is its command there, and does it have the extensions for Python and notebooks?"""

from __future__ import annotations

from zhilu.doctor.finding import Finding, Severity, ok
from zhilu.doctor.look import look as ask
from zhilu.doctor.machine import read_system
from zhilu.doctor.runner import Machine
from zhilu.doctor.subject import Subject
from zhilu.messages import T

TITLE = T("VSCode", "VSCode")
WANTED = ("ms-python.python", "ms-toolsai.jupyter")


def look(runner: Machine, subject: Subject) -> list[Finding]:
    code = runner.which("code")
    system = read_system(runner)
    if code is None:
        lab = ask(runner, subject.python, "interpreter").get("packages", {}).get("jupyterlab")
        if lab:
            return [
                ok(
                    "editor.jupyterlab",
                    TITLE,
                    T(f"No VSCode here; JupyterLab {lab} is.", f"没有 VSCode，但有 JupyterLab {lab}。"),
                )
            ]
        return [_absent(system.wsl)]
    listed = runner.run([code, "--list-extensions"], timeout=4)
    if not listed.ok:  # root, or a remote window without a server: the command is there, that is all we know
        return [ok("editor.vscode", TITLE, T(f"VSCode's command is at {code}.", f"VSCode 命令位于 {code}。"))]
    missing = [name for name in WANTED if name not in listed.out.lower().split()]
    if missing:
        return [
            Finding(
                "editor.extensions",
                Severity.INFO,
                TITLE,
                T(
                    f"VSCode is there; extensions missing: {', '.join(missing)}.",
                    f"有 VSCode，但缺少扩展：{', '.join(missing)}。",
                ),
                T("They choose the environment and run notebooks.", "它们用来选择环境和运行笔记本。"),
                tuple(f"code --install-extension {name}" for name in missing),
            )
        ]
    return [
        ok(
            "editor.vscode",
            TITLE,
            T("VSCode with the Python and Jupyter extensions.", "VSCode，已装 Python 与 Jupyter 扩展。"),
        )
    ]


def _absent(wsl: int) -> Finding:
    if wsl:
        why = T(
            "Install VSCode on Windows with its WSL extension (in PowerShell); then `code .` inside WSL opens the folder.",
            "请在 Windows 上安装 VSCode 及其 WSL 扩展（在 PowerShell 中）；之后在 WSL 里执行 `code .` 即可打开目录。",
        )
        fix = ("winget install --id Microsoft.VisualStudioCode", "code --install-extension ms-vscode-remote.remote-wsl")
    else:
        why = T(
            "Any editor will do; the roadmap uses VSCode or JupyterLab.",
            "任何编辑器都可以；路线图使用 VSCode 或 JupyterLab。",
        )
        fix = ("python -m pip install jupyterlab", "python -m jupyter lab")
    return Finding(
        "editor.absent",
        Severity.INFO,
        TITLE,
        T(
            "Neither VSCode's `code` command nor JupyterLab is here.",
            "没有找到 VSCode 的 `code` 命令，也没有 JupyterLab。",
        ),
        why,
        fix,
        "https://code.visualstudio.com/docs/remote/wsl" if wsl else None,
    )
