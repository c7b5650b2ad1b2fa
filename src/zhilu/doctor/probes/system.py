"""Which system: Linux, macOS, WSL2 are supported; WSL1 and native Windows are not."""

from __future__ import annotations

from zhilu.doctor.finding import Finding, Severity, ok
from zhilu.doctor.machine import System, read_system
from zhilu.doctor.runner import Machine
from zhilu.doctor.subject import Subject
from zhilu.messages import T

TITLE = T("Operating system", "操作系统")
WSL_DOCS = "https://learn.microsoft.com/windows/wsl/"


def look(runner: Machine, subject: Subject) -> list[Finding]:
    system = read_system(runner)
    if system.kind == "Windows":
        return [_native_windows()]
    if system.wsl == 1:
        return [_wsl1(system)]
    if system.kind not in ("Linux", "Darwin"):
        return [
            Finding(
                "system.unknown",
                Severity.WARNING,
                TITLE,
                T(
                    f"This system calls itself {system.kind!r}: Zhilu is tested on Linux, WSL2 and macOS.",
                    f"系统自称 {system.kind!r}：Zhilu 只在 Linux、WSL2 与 macOS 上测试过。",
                ),
            )
        ]
    findings = [ok("system.supported", TITLE, T(f"{_named(system)}: supported.", f"{_named(system)}：受支持。"))]
    if system.wsl == 2:
        findings += [_on_windows_disk(where, what) for where, what in _windows_folders(subject)]
    return findings


def _named(system: System) -> str:
    wsl = f", WSL{system.wsl}" if system.wsl else ""
    return f"{system.name or system.kind} ({system.arch}{wsl}, {system.kernel})"


def _windows_folders(subject: Subject) -> list[tuple[str, T]]:
    folders = [(subject.home, T("The data home", "数据目录")), (subject.project, T("The current folder", "当前目录"))]
    return [
        (path, what)
        for path, what in folders
        if path.startswith("/mnt/") and path[5:6].isalpha() and path[6:7] in ("/", "")
    ]


def _on_windows_disk(path: str, what: T) -> Finding:
    is_home = what.en.startswith("The data")
    return Finding(
        "system.wsl_windows_disk_home" if is_home else "system.wsl_windows_disk",
        Severity.ERROR if is_home else Severity.WARNING,
        T("Folder on the Windows disk", "目录在 Windows 磁盘上"),
        T(
            f"{what.en} {path!r} is on a Windows disk, seen from WSL through a network file system.",
            f"{what.zh} {path!r} 位于 Windows 磁盘，WSL 通过网络文件系统访问它。",
        ),
        T(
            "Loading a model from there is many times slower, and SQLite's write-ahead log is not safe on it. Use a folder of the Linux side.",
            "从那里加载模型会慢很多倍，而且 SQLite 的 WAL 日志在其上并不安全。请改用 Linux 一侧的目录。",
        ),
        ("export ZHILU_HOME=~/.zhilu",) if is_home else ("mkdir -p ~/projects && cd ~/projects",),
        WSL_DOCS + "filesystems",
    )


def _wsl1(system: System) -> Finding:
    name = system.distribution or "Ubuntu-22.04"
    return Finding(
        "system.wsl1",
        Severity.ERROR,
        T("WSL version 1", "WSL 版本为 1"),
        T(f"This is WSL1 (kernel {system.kernel}).", f"当前是 WSL1（内核 {system.kernel}）。"),
        T(
            "WSL1 has no Linux kernel of its own: no GPU, no vLLM, slow files. Type the fix in PowerShell on Windows; your files stay.",
            "WSL1 没有真正的 Linux 内核：不能用 GPU，跑不了 vLLM，文件也慢。请在 Windows 的 PowerShell 里输入修复命令，文件会保留。",
        ),
        (f"wsl --set-version {name} 2", "wsl --set-default-version 2"),
        WSL_DOCS + "install",
    )


def _native_windows() -> Finding:
    return Finding(
        "system.windows",
        Severity.ERROR,
        T("Native Windows", "原生 Windows"),
        T("This Python runs on Windows itself, outside WSL2.", "这个 Python 直接运行在 Windows 上，而不是 WSL2 里。"),
        T(
            "The roadmap's tools (vLLM first of all) run on Linux. In PowerShell as administrator:",
            "路线图里的工具（首先是 vLLM）运行在 Linux 上。请以管理员身份打开 PowerShell：",
        ),
        ("wsl --install -d Ubuntu-22.04",),
        WSL_DOCS + "install",
    )
