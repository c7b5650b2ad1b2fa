"""Does the GPU answer? Each way in which nvidia-smi can fail has its own cause and its own fix."""

from __future__ import annotations

from zhilu.doctor.cuda import COMPATIBILITY_URL, MINIMUM_DRIVER, parse_version
from zhilu.doctor.finding import Finding, Severity, ok
from zhilu.doctor.machine import GiB, GpuFacts, System, read_gpu, read_system
from zhilu.doctor.runner import Machine
from zhilu.doctor.subject import Subject
from zhilu.messages import T

TITLE = T("GPU", "显卡")
WSL_GPU_DOCS = "https://docs.nvidia.com/cuda/wsl-user-guide/"
CROWDED = 0.25  # share of a GPU's memory held by others from which we speak up


def look(runner: Machine, subject: Subject) -> list[Finding]:
    system = read_system(runner)
    if system.kind == "Darwin":
        return [
            ok(
                "gpu.apple",
                TITLE,
                T(
                    "macOS: PyTorch uses the Metal device (mps); CUDA and vLLM's GPU build do not exist here.",
                    "macOS：PyTorch 使用 Metal 设备（mps）；这里没有 CUDA，也没有 vLLM 的 GPU 版。",
                ),
            )
        ]
    facts = read_gpu(runner)
    inside = [_linux_driver_in_wsl()] if system.wsl == 2 and _linux_driver(runner) else []
    if facts.answers:
        return [*inside, *_answering(facts, system)]
    if facts.smi is None:
        return [*inside, _no_smi(facts, system)]
    return [*inside, _silent(facts, system)]


def _answering(facts: GpuFacts, system: System) -> list[Finding]:
    findings = []
    if not facts.on_path:
        findings.append(_not_on_path(facts))
    branch = (parse_version(facts.driver) or (0,))[0]
    if branch < MINIMUM_DRIVER[12]:
        findings.append(_old_driver(facts, system))
    for gpu in facts.gpus:
        held = gpu.memory - gpu.free
        if gpu.memory and held / gpu.memory > CROWDED:
            findings.append(_crowded(facts, gpu.name, held, gpu.memory))
    listed = "; ".join(f"{g.name}, {g.memory / GiB:.0f} GiB ({g.free / GiB:.1f} free)" for g in facts.gpus)
    return findings or [
        ok(
            "gpu.answers",
            TITLE,
            T(
                f"{listed}; driver {facts.driver}, CUDA {facts.cuda}.",
                f"{listed}；驱动 {facts.driver}，CUDA {facts.cuda}。",
            ),
        )
    ]


def _update_driver(system: System) -> tuple[str, ...]:
    if system.wsl:
        return ("explorer.exe https://www.nvidia.com/drivers", "wsl.exe --shutdown")
    return ("sudo ubuntu-drivers install", "sudo reboot")


def _no_smi(facts: GpuFacts, system: System) -> Finding:
    if facts.hardware:
        return Finding(
            "gpu.no_driver",
            Severity.ERROR,
            T("The GPU has no driver", "显卡没有驱动"),
            T("An NVIDIA GPU is on the bus, and there is no nvidia-smi.", "总线上有 NVIDIA 显卡，但没有 nvidia-smi。"),
            T("The driver is not installed.", "驱动没有安装。"),
            _update_driver(system),
            "https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/",
        )
    here = T("No NVIDIA GPU is visible here.", "这里看不到 NVIDIA 显卡。")
    if system.wsl == 2:
        return Finding(
            "gpu.none",
            Severity.INFO,
            TITLE,
            here,
            T(
                "If Windows has one: install NVIDIA's Windows driver (nothing inside WSL) and restart WSL, from PowerShell.",
                "如果 Windows 上有显卡：请安装 NVIDIA 的 Windows 驱动（WSL 里什么都不用装），然后在 PowerShell 里重启 WSL。",
            ),
            ("wsl --update", "wsl --shutdown"),
            WSL_GPU_DOCS,
        )
    return Finding(
        "gpu.none",
        Severity.INFO,
        TITLE,
        here,
        T(
            "Everything in Zhilu works on the CPU with small models; large models, QLoRA and vLLM's GPU build want a GPU.",
            "Zhilu 的全部功能都能在 CPU 上用小模型运行；大模型、QLoRA 和 vLLM 的 GPU 版需要显卡。",
        ),
    )


def _silent(facts: GpuFacts, system: System) -> Finding:
    said, lower = facts.said, facts.said.lower()
    if "driver/library version mismatch" in lower:
        return Finding(
            "gpu.mismatch",
            Severity.ERROR,
            T("Driver and library do not match", "驱动与库版本不一致"),
            T(f"nvidia-smi says: {said}", f"nvidia-smi 报告：{said}"),
            T(
                "The driver's files were upgraded while the old kernel module stayed loaded (unattended upgrades do "
                "this). A restart loads the new one; the second command does it without, when nothing uses the GPU.",
                "驱动文件已升级，但旧的内核模块还在运行（自动更新常会这样）。重启即可加载新模块；如果没有程序占用显卡，第二条命令可免重启。",
            ),
            ("sudo reboot", "sudo rmmod nvidia_drm nvidia_modeset nvidia_uvm nvidia && nvidia-smi"),
        )
    if "couldn't communicate with the nvidia driver" in lower:
        return Finding(
            "gpu.module_not_loaded",
            Severity.ERROR,
            T("The driver's kernel module is not loaded", "驱动的内核模块没有加载"),
            T(f"nvidia-smi says: {said}", f"nvidia-smi 报告：{said}"),
            T(
                "Usually a new kernel for which the module was not built, or Secure Boot refuses it.",
                "通常是换了新内核而模块没有重新编译，或被安全启动（Secure Boot）拒绝。",
            ),
            ("sudo apt-get install -y linux-headers-$(uname -r) && sudo dkms autoinstall && sudo modprobe nvidia",),
        )
    if "blocked by the operating system" in lower or "libnvidia-ml.so" in lower:
        return _library(said, system)
    if "no devices" in lower:
        return Finding(
            "gpu.no_devices",
            Severity.ERROR if facts.hardware else Severity.WARNING,
            T("The driver sees no GPU", "驱动看不到显卡"),
            T(f"nvidia-smi says: {said}", f"nvidia-smi 报告：{said}"),
            T(
                "The driver runs and finds none: a container started without --gpus all, a GPU bound to another driver, "
                "or a fault that the kernel log names.",
                "驱动在运行却找不到显卡：容器启动时没有加 --gpus all、显卡绑定到了其他驱动，或有硬件故障（内核日志会写明）。",
            ),
            ("sudo dmesg | grep -iE 'nvrm|nvidia' | tail -20", "docker run --gpus all ..."),
        )
    return Finding(
        "gpu.silent",
        Severity.ERROR,
        T("nvidia-smi fails", "nvidia-smi 运行失败"),
        T(f"nvidia-smi says: {said or 'nothing'}", f"nvidia-smi 报告：{said or '（无输出）'}"),
        T("The driver has to answer before anything can use the GPU.", "驱动必须先能应答，显卡才可用。"),
        _update_driver(system),
    )


def _library(said: str, system: System) -> Finding:
    fix = ("wsl --update", "wsl --shutdown") if system.wsl else ("sudo ldconfig", "sudo ubuntu-drivers install")
    return Finding(
        "gpu.library_missing",
        Severity.ERROR,
        T("The driver's library is missing", "缺少驱动的库文件"),
        T(f"nvidia-smi says: {said}", f"nvidia-smi 报告：{said}"),
        T(
            "The program is there, and libnvidia-ml.so cannot be loaded. In WSL, type the fix in PowerShell on Windows.",
            "程序在，但加载不了 libnvidia-ml.so。若在 WSL 中，请在 Windows 的 PowerShell 里输入修复命令。",
        ),
        fix,
        WSL_GPU_DOCS if system.wsl else None,
    )


def _not_on_path(facts: GpuFacts) -> Finding:
    return Finding(
        "gpu.not_on_path",
        Severity.WARNING,
        T("nvidia-smi is not on PATH", "nvidia-smi 不在 PATH 中"),
        T(f"{facts.smi} works, but PATH does not lead to it.", f"{facts.smi} 可用，但不在 PATH 里。"),
        T("vLLM and others call it by name.", "vLLM 等工具会直接按名字调用它。"),
        (f"echo 'export PATH=$PATH:{(facts.smi or '').rpartition('/')[0]}' >> ~/.bashrc && source ~/.bashrc",),
    )


def _old_driver(facts: GpuFacts, system: System) -> Finding:
    return Finding(
        "gpu.old_driver",
        Severity.ERROR,
        T("The driver is too old", "驱动太旧"),
        T(
            f"Driver {facts.driver} (CUDA {facts.cuda or '?'}): today's PyTorch needs {MINIMUM_DRIVER[12]} or newer.",
            f"驱动 {facts.driver}（CUDA {facts.cuda or '?'}）：如今的 PyTorch 至少需要 {MINIMUM_DRIVER[12]}。",
        ),
        T(
            "CUDA 12 programs run on drivers from 525 on, CUDA 13 from 580 on."
            + (" In WSL the driver is the Windows one: update it there." if system.wsl else ""),
            "CUDA 12 的程序要求驱动 ≥ 525，CUDA 13 要求 ≥ 580。"
            + ("WSL 用的是 Windows 的驱动：请在 Windows 上更新。" if system.wsl else ""),
        ),
        _update_driver(system),
        COMPATIBILITY_URL,
    )


def _crowded(facts: GpuFacts, name: str, held: int, total: int) -> Finding:
    users = ", ".join(f"{program} ({used / GiB:.1f} GiB)" for program, used in facts.users[:5]) or "?"
    return Finding(
        "gpu.crowded",
        Severity.WARNING,
        T("GPU memory is in use", "显存被占用"),
        T(
            f"{name}: {held / GiB:.1f} of {total / GiB:.1f} GiB are held by {users}.",
            f"{name}：{total / GiB:.1f} GiB 中已有 {held / GiB:.1f} GiB 被占用：{users}。",
        ),
        T(
            "vLLM asks for 90 % of the memory and stops when it is not there.",
            "vLLM 默认申请 90% 的显存，不够就会退出。",
        ),
        ("nvidia-smi", "vllm serve MODEL --gpu-memory-utilization 0.5"),
    )


def _linux_driver(runner: Machine) -> bool:
    listed = runner.run(
        ["dpkg-query", "-W", "-f=${db:Status-Abbrev} ${Package}\\n", "nvidia-driver-*", "libnvidia-compute-*"]
    )
    return any(line.startswith("ii") for line in listed.out.splitlines())


def _linux_driver_in_wsl() -> Finding:
    return Finding(
        "gpu.linux_driver_in_wsl",
        Severity.ERROR,
        T("A Linux driver is installed inside WSL", "WSL 里装了 Linux 版驱动"),
        T("Packages of NVIDIA's Linux driver are installed in this WSL.", "这个 WSL 里安装了 NVIDIA 的 Linux 驱动包。"),
        T(
            "WSL brings its own libcuda from the Windows driver; a Linux driver hides it, and CUDA finds no device.",
            "WSL 使用来自 Windows 驱动的 libcuda；再装 Linux 驱动会把它盖住，CUDA 就找不到设备了。",
        ),
        ("sudo apt-get purge -y 'nvidia-driver-*' 'libnvidia-*' && sudo apt-get autoremove -y", "wsl.exe --shutdown"),
        WSL_GPU_DOCS,
    )
