"""PyTorch is there, imports, and is the build that this machine's driver runs."""

from __future__ import annotations

from typing import Any

from zhilu.doctor.cuda import (
    COMPATIBILITY_URL,
    CPU_INDEX,
    MINIMUM_DRIVER,
    driver_runs,
    parse_version,
    torch_commands,
    wheel_for,
)
from zhilu.doctor.finding import Finding, Severity, ok
from zhilu.doctor.look import look as ask
from zhilu.doctor.machine import GpuFacts, read_gpu
from zhilu.doctor.runner import Machine
from zhilu.doctor.subject import Subject
from zhilu.messages import T
from zhilu.setup.require import INSTALL_TORCH

TITLE = T("PyTorch", "PyTorch")
DOCS = "https://pytorch.org/get-started/locally/"
IMPORT_SECONDS = 5.0


def look(runner: Machine, subject: Subject) -> list[Finding]:
    gpu = read_gpu(runner)
    installed = ask(runner, subject.python, "interpreter").get("packages", {}).get("torch")
    if installed is None:
        return [_missing()]
    facts = ask(runner, subject.python, "torch", timeout=IMPORT_SECONDS)
    if facts.get("timed_out"):
        return [_slow(installed)]
    if "failed" in facts or "error" in facts:
        return [_import_error(installed, str(facts.get("error") or facts["failed"]), gpu)]
    return [_judge(facts, gpu)]


def _judge(facts: dict[str, Any], gpu: GpuFacts) -> Finding:
    version, cuda = facts["version"], facts["cuda"]
    if facts.get("device_error"):
        return _device_error(facts, gpu)
    if facts["available"]:
        return ok(
            "torch.works",
            TITLE,
            T(
                f"PyTorch {version} (CUDA {cuda}) computes on {facts.get('device', 'the GPU')}.",
                f"PyTorch {version}（CUDA {cuda}）可在 {facts.get('device', '显卡')} 上计算。",
            ),
        )
    if facts.get("mps"):
        return ok(
            "torch.works",
            TITLE,
            T(f"PyTorch {version} with Apple's GPU (mps).", f"PyTorch {version}，可用 Apple 显卡（mps）。"),
        )
    if not gpu.answers:
        built = f"CUDA {cuda}" if cuda else "CPU"
        return ok(
            "torch.works",
            TITLE,
            T(
                f"PyTorch {version} ({built} build) works on the CPU.",
                f"PyTorch {version}（{built} 版）可在 CPU 上工作。",
            ),
        )
    if cuda is None and facts["hip"] is None:
        return _cpu_build(version, gpu)
    if cuda and not driver_runs(gpu.driver, cuda):
        return _newer_than_driver(version, cuda, gpu)
    return _no_device(facts, gpu)


def _commands(gpu: GpuFacts, *, replace: bool) -> tuple[str, ...]:
    wheel = wheel_for(gpu.driver, gpu.gpus[0].capability) if gpu.answers else None
    return torch_commands(wheel.url if wheel else CPU_INDEX, replace=replace)


def _missing() -> Finding:
    return Finding(
        "torch.missing",
        Severity.WARNING,
        TITLE,
        T("PyTorch is not installed in this environment.", "这个环境里没有安装 PyTorch。"),
        T(
            "Chat and knowledge bases run without it; stages 1, 3 and 6 need it, and pip's default is the large "
            "CUDA build whether or not there is a GPU. This installs the build for this machine:",
            "对话和知识库不需要它；第 1、3、6 阶段需要。pip 默认装的是很大的 CUDA 版，不管有没有显卡。下面的命令安装适合这台机器的版本：",
        ),
        (INSTALL_TORCH,),
        DOCS,
    )


def _slow(installed: str) -> Finding:
    return Finding(
        "torch.slow",
        Severity.INFO,
        TITLE,
        T(
            f"PyTorch {installed} is installed; its import took longer than {IMPORT_SECONDS:g} s and was not waited for.",
            f"已安装 PyTorch {installed}；导入超过 {IMPORT_SECONDS:g} 秒，没有继续等待。",
        ),
        T(
            "The first import after an installation reads gigabytes from disk. The gate waits as long as it takes:",
            "安装后的第一次导入要从磁盘读取大量文件。通过性检查会一直等到它完成：",
        ),
        ("zhilu check 0.2",),
    )


def _import_error(installed: str, error: str, gpu: GpuFacts) -> Finding:
    lower = error.lower()
    if "numpy" in lower or "_array_api" in lower:
        why = T(
            "This PyTorch was built for another major version of NumPy.",
            "这个 PyTorch 是为另一个大版本的 NumPy 编译的。",
        )
        fix: tuple[str, ...] = ("python -m pip install 'numpy<2'", "python -m pip install --upgrade torch")
    elif (
        "libcudnn" in lower or "libcublas" in lower or "libnccl" in lower or "nvjitlink" in lower or "ncclcomm" in lower
    ):
        why = T(
            "Another copy of NVIDIA's libraries comes first (LD_LIBRARY_PATH, or nvidia-* packages of another release).",
            "先加载到了另一份 NVIDIA 库（LD_LIBRARY_PATH，或其他版本的 nvidia-* 包）。",
        )
        fix = ("unset LD_LIBRARY_PATH", *_commands(gpu, replace=True))
    elif "glibc" in lower:
        why = T(
            "The system's C library is older than the wheel asks for: use Ubuntu 22.04 or newer.",
            "系统的 C 库比这个包要求的旧：请使用 Ubuntu 22.04 或更新版本。",
        )
        fix = ("lsb_release -d", "sudo do-release-upgrade")
    else:
        why = T(
            "Its compiled parts do not fit together: a half-finished installation, or parts of two releases mixed.",
            "它的编译部件彼此不匹配：安装没有完成，或混入了两个版本的部件。",
        )
        fix = _commands(gpu, replace=True)
    return Finding(
        "torch.import_error",
        Severity.ERROR,
        T("PyTorch cannot be imported", "PyTorch 无法导入"),
        T(f"PyTorch {installed}: {error}", f"PyTorch {installed}：{error}"),
        why,
        fix,
        DOCS,
    )


def _cpu_build(version: str, gpu: GpuFacts) -> Finding:
    return Finding(
        "torch.cpu_build",
        Severity.ERROR,
        T("CPU build of PyTorch with a GPU there", "有显卡却装了 CPU 版 PyTorch"),
        T(
            f"PyTorch {version} knows no CUDA; the machine has {gpu.gpus[0].name} with driver {gpu.driver}.",
            f"PyTorch {version} 不含 CUDA，而机器上有 {gpu.gpus[0].name}（驱动 {gpu.driver}）。",
        ),
        T("Training and serving run on the CPU, many times slower.", "训练与推理都会跑在 CPU 上，慢很多倍。"),
        _commands(gpu, replace=True),
        DOCS,
    )


def _newer_than_driver(version: str, cuda: str, gpu: GpuFacts) -> Finding:
    least = MINIMUM_DRIVER.get(parse_version(cuda)[0], 0)
    return Finding(
        "torch.newer_than_driver",
        Severity.ERROR,
        T("PyTorch is newer than the driver", "PyTorch 比驱动新"),
        T(
            f"PyTorch {version} is built for CUDA {cuda}, which needs driver {least or '?'} or newer; here is {gpu.driver} (CUDA {gpu.cuda or '?'}).",
            f"PyTorch {version} 为 CUDA {cuda} 编译，需要驱动 ≥ {least or '?'}；这里是 {gpu.driver}（CUDA {gpu.cuda or '?'}）。",
        ),
        T(
            "Either install the build for this driver (below), or update the driver.",
            "要么安装适合当前驱动的版本（见下），要么更新驱动。",
        ),
        _commands(gpu, replace=True),
        COMPATIBILITY_URL,
    )


def _device_error(facts: dict[str, Any], gpu: GpuFacts) -> Finding:
    error = facts["device_error"]
    capability = tuple(facts.get("capability", ()))
    title = T("PyTorch sees the GPU and cannot compute on it", "PyTorch 能看到显卡但无法计算")
    what = T(f"{facts.get('device', 'GPU')}: {error}", f"{facts.get('device', '显卡')}：{error}")
    if "no kernel image" in error or "not compatible" in error:
        wheel = wheel_for(gpu.driver, capability)
        shown = ".".join(map(str, capability))
        return Finding(
            "torch.no_kernel_image",
            Severity.ERROR,
            title,
            what,
            T(
                f"This build has no code for compute capability {shown} (it has {', '.join(facts['arch_list'])}).",
                f"这个版本没有包含计算能力 {shown} 的代码（包含的是 {', '.join(facts['arch_list'])}）。",
            ),
            torch_commands(wheel.url if wheel else CPU_INDEX, replace=True),
            DOCS,
        )
    if "out of memory" in error:
        return Finding(
            "torch.gpu_full",
            Severity.ERROR,
            title,
            what,
            T(
                "Other programs hold the GPU's memory: stop them by their process number.",
                "显存被其他程序占满：请按进程号结束它们。",
            ),
            ("nvidia-smi", "kill PID"),
        )
    return Finding(
        "torch.device_error",
        Severity.ERROR,
        title,
        what,
        T("The driver or the GPU is in a bad state.", "驱动或显卡状态异常。"),
        ("nvidia-smi", "sudo reboot"),
    )


def _no_device(facts: dict[str, Any], gpu: GpuFacts) -> Finding:
    said = "; ".join(facts.get("warnings", [])) or "torch.cuda.is_available() is False"
    return Finding(
        "torch.no_device",
        Severity.ERROR,
        T("PyTorch does not see the GPU", "PyTorch 看不到显卡"),
        T(
            f"nvidia-smi shows {gpu.gpus[0].name}, PyTorch {facts['version']} none: {said}",
            f"nvidia-smi 显示 {gpu.gpus[0].name}，但 PyTorch {facts['version']} 看不到：{said}",
        ),
        T(
            "CUDA_VISIBLE_DEVICES hides it, or the unified-memory module is not loaded (after suspend).",
            "可能被 CUDA_VISIBLE_DEVICES 隐藏，或统一内存模块没有加载（休眠后常见）。",
        ),
        ("unset CUDA_VISIBLE_DEVICES", "sudo modprobe -r nvidia_uvm && sudo modprobe nvidia_uvm"),
    )
