"""Gate 0.3: the GPU answers. Without a GPU, the gate says what this CPU can do and what it cannot."""

from __future__ import annotations

from zhilu.context import Context
from zhilu.doctor.finding import Severity
from zhilu.doctor.gates.verdicts import commands, failed_by
from zhilu.doctor.machine import GiB, GpuFacts, read_flags, read_gpu, read_memory, read_system
from zhilu.doctor.probes import gpu as probe
from zhilu.doctor.runner import Machine, Remembering, SystemRunner
from zhilu.doctor.subject import Subject
from zhilu.gate import Figure, Verdict
from zhilu.messages import T

__all__ = ["check"]


def check(context: Context, runner: Machine | None = None) -> Verdict:
    asked, subject = Remembering(runner or SystemRunner()), Subject.of(context)
    findings = probe.look(asked, subject)
    facts = read_gpu(asked)
    if facts.answers:
        bad = next((f for f in findings if f.severity is Severity.ERROR), None)
        return failed_by(bad, *_figures(facts)) if bad else _answers(facts)
    broken = next((f for f in findings if f.severity >= Severity.WARNING), None)
    if broken:
        return failed_by(broken)
    return _without(asked, fix=commands(findings[0]))


def _figures(facts: GpuFacts) -> list[Figure]:
    figures = [
        Figure(T("driver", "驱动"), facts.driver),
        Figure(T("CUDA of the driver", "驱动支持的 CUDA"), facts.cuda),
    ]
    for gpu in facts.gpus:
        figures.append(Figure(T("GPU", "显卡"), gpu.name))
        figures.append(Figure(T("GPU memory", "显存"), round(gpu.memory / GiB, 1), "GiB"))
        figures.append(Figure(T("GPU memory free", "空闲显存"), round(gpu.free / GiB, 1), "GiB"))
    return figures


def _answers(facts: GpuFacts) -> Verdict:
    names = ", ".join(gpu.name for gpu in facts.gpus)
    return Verdict.passed(
        T(
            f"{names} answers: driver {facts.driver}, CUDA {facts.cuda}.",
            f"{names} 应答正常：驱动 {facts.driver}，CUDA {facts.cuda}。",
        ),
        *_figures(facts),
    )


def _without(runner: Machine, *, fix: str | None) -> Verdict:
    name, flags = read_flags(runner)
    memory = read_memory(runner)
    usable = (memory.limit or memory.total) if memory else 0
    # In 8 bit a parameter is a byte; half of the memory stays for the system and the KV cache
    billions = usable / 2 / 1e9
    can, cannot = ["Zhilu's own engine"], ["the GPU builds of vLLM and LMDeploy", "training large models"]
    can_zh, cannot_zh = ["指路自带引擎"], ["vLLM 与 LMDeploy 的 GPU 版", "训练大模型"]
    if read_system(runner).kind == "Darwin":
        can.append("PyTorch on Apple's GPU (mps)")
        can_zh.append("PyTorch 使用 Apple 显卡（mps）")
    elif flags & {"avx2", "avx512f", "asimd"}:
        can.append("vLLM's CPU build" + ("" if "avx512f" in flags or "asimd" in flags else " (limited, no AVX-512)"))
        can_zh.append("vLLM 的 CPU 版" + ("" if "avx512f" in flags or "asimd" in flags else "（功能受限，无 AVX-512）"))
    else:
        cannot.append("vLLM's CPU build (no AVX2)")
        cannot_zh.append("vLLM 的 CPU 版（没有 AVX2）")
    can += [
        f"models of up to about {billions:.0f} billion parameters in 8 bit",
        "LoRA and QLoRA on small models, slowly",
    ]
    can_zh += [f"约 {billions:.0f} B 参数以内的 8 位模型", "小模型的 LoRA 与 QLoRA（较慢）"]
    if not flags & {"amx_bf16", "avx512_bf16"}:
        cannot.append("fast bf16 (no AMX, no AVX-512 BF16)")
        cannot_zh.append("快速 bf16（没有 AMX 与 AVX-512 BF16）")
    return Verdict.cannot_run_here(
        T(
            f"No NVIDIA GPU here. Works on this CPU: {'; '.join(can)}. Does not: {'; '.join(cannot)}.",
            f"这里没有 NVIDIA 显卡。这台 CPU 上可以用：{'；'.join(can_zh)}。不能用：{'；'.join(cannot_zh)}。",
        ),
        Figure(T("processor", "处理器"), name or "?"),
        Figure(T("memory", "内存"), round(usable / GiB, 1), "GiB"),
        fix=fix,
    )
