"""What the processor can do: which instruction sets the engines' kernels find."""

from __future__ import annotations

from zhilu.doctor.finding import Finding, Severity, ok
from zhilu.doctor.machine import read_flags, read_system
from zhilu.doctor.runner import Machine
from zhilu.doctor.subject import Subject
from zhilu.messages import T

TITLE = T("Processor", "处理器")
SHOWN = (
    ("avx2", "AVX2"),
    ("avx512f", "AVX-512"),
    ("avx512_vnni", "VNNI"),
    ("avx_vnni", "AVX-VNNI"),
    ("avx512_bf16", "BF16"),
    ("amx_tile", "AMX"),
)
VIRTUAL = ("qemu", "kvm", "common kvm", "virtual cpu")


def look(runner: Machine, subject: Subject) -> list[Finding]:
    system = read_system(runner)
    name, flags = read_flags(runner)
    if system.arch in ("aarch64", "arm64"):
        return [
            ok(
                "cpu.arm",
                TITLE,
                T(f"{name or system.arch}: Arm, NEON kernels.", f"{name or system.arch}：Arm，使用 NEON 内核。"),
            )
        ]
    if not flags:
        return [
            Finding(
                "cpu.unknown",
                Severity.INFO,
                TITLE,
                T("The processor's features could not be read.", "无法读取处理器特性。"),
            )
        ]
    features = [shown for flag, shown in SHOWN if flag in flags]
    if "avx2" not in flags:
        return [_no_avx2(name)]
    if "avx512f" not in flags:
        return [
            ok(
                "cpu.avx2",
                TITLE,
                T(
                    f"{name}: {', '.join(features)}. No AVX-512: vLLM's CPU build has limited features here.",
                    f"{name}：{', '.join(features)}。没有 AVX-512：vLLM 的 CPU 版在此功能受限。",
                ),
            )
        ]
    amx = (
        T("", "")
        if "amx_tile" in flags
        else T(" No AMX: bf16 is no faster than fp32 here.", "没有 AMX：bf16 不会比 fp32 快。")
    )
    return [
        ok(
            "cpu.avx512",
            TITLE,
            T(f"{name}: {', '.join(features)}.{amx.en}", f"{name}：{', '.join(features)}。{amx.zh}"),
        )
    ]


def _no_avx2(name: str) -> Finding:
    is_virtual = any(word in name.lower() for word in VIRTUAL)
    return Finding(
        "cpu.no_avx2",
        Severity.WARNING,
        TITLE,
        T(f"{name or 'This processor'} offers no AVX2.", f"{name or '这个处理器'} 没有 AVX2。"),
        T(
            "Models run several times slower; vLLM's CPU build does not start."
            + (
                " This is a virtual processor: tell the hypervisor to pass the real one through (QEMU: -cpu host)."
                if is_virtual
                else ""
            ),
            "模型会慢好几倍，vLLM 的 CPU 版无法启动。"
            + ("这是虚拟处理器：请让虚拟机直通真实 CPU（QEMU：-cpu host）。" if is_virtual else ""),
        ),
        ("lscpu | grep -i -E 'model name|flags'",),
    )
