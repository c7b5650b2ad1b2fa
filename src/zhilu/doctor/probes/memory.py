"""Memory: of the machine, of WSL's share of it, of a container's limit."""

from __future__ import annotations

from zhilu.doctor.finding import Finding, Severity, ok
from zhilu.doctor.machine import GiB, Memory, read_memory, read_system
from zhilu.doctor.runner import Machine
from zhilu.doctor.subject import Subject
from zhilu.messages import T

TITLE = T("Memory", "内存")
LEAST = 2 * GiB  # the embedded model with its knowledge base: about half a GiB, and room to breathe
COMFORTABLE = 7.5 * GiB  # a 1.7 B model in 8 bit, or a small tuning run
SCARCE = 1 * GiB


def look(runner: Machine, subject: Subject) -> list[Finding]:
    memory = read_memory(runner)
    if memory is None:
        return [
            Finding(
                "memory.unknown",
                Severity.INFO,
                TITLE,
                T("The amount of memory could not be read.", "无法读取内存大小。"),
            )
        ]
    usable = memory.limit or memory.total
    if memory.limit and memory.limit < COMFORTABLE:
        return [_limited(memory)]
    if read_system(runner).wsl == 2 and usable < COMFORTABLE:
        return [_wsl_share(usable)]
    if usable < LEAST:
        return [_small(usable, Severity.ERROR)]
    if memory.available < SCARCE:
        return [_scarce(memory)]
    if usable < COMFORTABLE:
        return [_small(usable, Severity.INFO)]
    return [
        ok(
            "memory.enough",
            TITLE,
            T(
                f"{usable / GiB:.1f} GiB, {memory.available / GiB:.1f} free.",
                f"{usable / GiB:.1f} GiB，空闲 {memory.available / GiB:.1f} GiB。",
            ),
        )
    ]


def _limited(memory: Memory) -> Finding:
    limit = memory.limit or 0
    return Finding(
        "memory.container_limit",
        Severity.WARNING,
        T("A container's memory limit", "容器内存限制"),
        T(
            f"This container may use {limit / GiB:.1f} of the machine's {memory.total / GiB:.1f} GiB.",
            f"容器只能使用 {limit / GiB:.1f} GiB（整机 {memory.total / GiB:.1f} GiB）。",
        ),
        T(
            "A process that goes past it is killed without a word (exit status 137).",
            "超出限制的进程会被直接杀死（退出码 137）。",
        ),
        ("docker run --memory 12g --shm-size 2g ...",),
    )


def _wsl_share(usable: int) -> Finding:
    return Finding(
        "memory.wsl",
        Severity.WARNING,
        T("WSL has little memory", "WSL 的内存较少"),
        T(f"WSL may use {usable / GiB:.1f} GiB.", f"WSL 可用内存为 {usable / GiB:.1f} GiB。"),
        T(
            "WSL takes half of Windows' memory by default. Write memory=12GB below [wsl2] in .wslconfig (leave Windows 4 GB), then restart WSL.",
            "WSL 默认只用 Windows 内存的一半。在 .wslconfig 的 [wsl2] 下写 memory=12GB（给 Windows 留 4 GB），然后重启 WSL。",
        ),
        (
            'notepad.exe "$(wslpath -w "$(wslpath "$(cmd.exe /c \'echo %USERPROFILE%\' | tr -d \'\\r\')")")\\.wslconfig"',
            "wsl.exe --shutdown",
        ),
        "https://learn.microsoft.com/windows/wsl/wsl-config",
    )


def _small(usable: int, severity: Severity) -> Finding:
    return Finding(
        "memory.too_small" if severity is Severity.ERROR else "memory.small",
        severity,
        TITLE,
        T(f"{usable / GiB:.1f} GiB of memory.", f"内存 {usable / GiB:.1f} GiB。"),
        T(
            "Enough for the embedded model; 8 GiB or more for models of 1 to 4 billion parameters.",
            "足够运行内置模型；要跑 10 亿到 40 亿参数的模型，建议 8 GiB 以上。",
        )
        if severity is Severity.INFO
        else T(
            "Zhilu with its embedded model needs about 2 GiB. Swap keeps it alive, slowly.",
            "指路加内置模型约需 2 GiB。交换空间可以勉强支撑，但会很慢。",
        ),
        ()
        if severity is Severity.INFO
        else (
            "sudo fallocate -l 4G /swapfile && sudo chmod 600 /swapfile && sudo mkswap /swapfile && sudo swapon /swapfile",
        ),
    )


def _scarce(memory: Memory) -> Finding:
    return Finding(
        "memory.scarce",
        Severity.WARNING,
        T("Little memory is free", "空闲内存不足"),
        T(
            f"{memory.available / GiB:.1f} of {memory.total / GiB:.1f} GiB are free.",
            f"{memory.total / GiB:.1f} GiB 中只剩 {memory.available / GiB:.1f} GiB。",
        ),
        T(
            "Loading a model now makes the system swap or kill. The largest processes:",
            "此时加载模型会导致系统换页或杀进程。占用最多的进程：",
        ),
        ("ps -eo rss,pid,comm --sort=-rss | head",),
    )
