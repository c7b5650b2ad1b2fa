"""A Jupyter kernel of this environment is registered, and no registered kernel points at a Python that is gone."""

from __future__ import annotations

from zhilu.doctor.finding import Finding, Severity, ok
from zhilu.doctor.look import look as ask
from zhilu.doctor.runner import Machine
from zhilu.doctor.subject import Subject
from zhilu.messages import T

TITLE = T("Jupyter kernel", "Jupyter 内核")
INSTALL = 'python -m pip install "zhilu[labs]"'
REGISTER = 'python -m ipykernel install --user --name zhilu --display-name "Python (zhilu)"'
DOCS = "https://ipython.readthedocs.io/en/stable/install/kernel_install.html"
# It imports much: 1 s of a processor, and several seconds where that is busy.
KERNEL_SECONDS = 20.0


def look(runner: Machine, subject: Subject) -> list[Finding]:
    packages = ask(runner, subject.python, "interpreter").get("packages", {})
    if not packages.get("ipykernel"):
        return [
            Finding(
                "jupyter.no_ipykernel",
                Severity.INFO,
                TITLE,
                T("ipykernel is not installed in this environment.", "这个环境里没有安装 ipykernel。"),
                T("VSCode and JupyterLab run notebooks through it.", "VSCode 与 JupyterLab 通过它运行笔记本。"),
                (INSTALL, REGISTER),
                DOCS,
            )
        ]
    facts = ask(runner, subject.python, "kernels", timeout=KERNEL_SECONDS)
    kernels = facts.get("kernels")
    if kernels is None:
        said = facts.get("error") or facts.get("failed") or "no answer in time"
        return [
            Finding(
                "jupyter.broken",
                Severity.WARNING,
                TITLE,
                T(f"Jupyter cannot list its kernels: {said}", f"Jupyter 无法列出内核：{said}"),
                None,
                (INSTALL,),
                DOCS,
            )
        ]
    findings = [_dead(name, kernel["python"]) for name, kernel in kernels.items() if not kernel["exists"]]
    here = [name for name, kernel in kernels.items() if kernel["here"]]
    if not here:
        findings.append(
            Finding(
                "jupyter.other_environment",
                Severity.WARNING,
                TITLE,
                T(
                    f"Kernels are registered ({', '.join(kernels) or 'none'}), none of this environment.",
                    f"已注册的内核（{', '.join(kernels) or '无'}）都不属于当前环境。",
                ),
                T(
                    "Notebooks would run in another Python and not find Zhilu or PyTorch.",
                    "笔记本会运行在另一个 Python 里，找不到指路和 PyTorch。",
                ),
                (REGISTER,),
                DOCS,
            )
        )
    return findings or [
        ok(
            "jupyter.registered",
            TITLE,
            T(f"Kernel {here[0]!r} runs in this environment.", f"内核 {here[0]!r} 运行在当前环境。"),
        )
    ]


def _dead(name: str, python: str) -> Finding:
    return Finding(
        "jupyter.dead_kernel",
        Severity.WARNING,
        TITLE,
        T(f"Kernel {name!r} points at {python!r}, which is gone.", f"内核 {name!r} 指向 {python!r}，但它已不存在。"),
        T("A notebook that asks for it hangs at 'Connecting to kernel'.", "使用它的笔记本会一直停在“正在连接内核”。"),
        (f"python -m jupyter kernelspec remove -y {name}", REGISTER),
        DOCS,
    )
