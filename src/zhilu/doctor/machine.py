"""Facts about the machine that probes, the evidence of gates and the workbench need: system, processor, memory, GPU.

Each function asks the runner and parses the answer; none of them judges.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from zhilu.doctor.cuda import driver_cuda
from zhilu.doctor.runner import ABSENT, Completed, Machine
from zhilu.engine.processor import parse_cpuinfo

__all__ = ["Gpu", "GpuFacts", "Memory", "System", "describe_machine", "read_gpu", "read_memory", "read_system"]

GiB = 1 << 30
MiB = 1 << 20
WSL_SMI = "/usr/lib/wsl/lib/nvidia-smi"
QUERY = "name,driver_version,memory.total,memory.free,compute_cap"


@dataclass(frozen=True)
class System:
    """``wsl`` is 0 (not WSL), 1 or 2; ``kernel`` as ``uname -r`` prints it."""

    kind: str  # Linux, Darwin, Windows or another uname -s
    kernel: str
    arch: str
    name: str = ""
    wsl: int = 0
    distribution: str = ""  # of WSL: the name that wsl.exe knows


def read_system(runner: Machine) -> System:
    words = runner.run(["uname", "-srm"]).out.split()
    if len(words) < 3:
        is_windows = "windows" in (runner.env.get("OS") or "").lower()
        return System("Windows" if is_windows else "unknown", "", "")
    kind, kernel, arch = words[0], words[1], words[-1]
    release = runner.read("/etc/os-release") or ""
    named = re.search(r'^PRETTY_NAME="?([^"\n]+)', release, re.MULTILINE)
    wsl = 0
    if "microsoft" in kernel.lower():
        # WSL1 answers 4.4.0-19041-Microsoft; WSL2 x.y-microsoft-standard-WSL2 (older builds without the last word)
        wsl = 2 if "microsoft-standard" in kernel or "WSL2" in kernel else 1
    return System(kind, kernel, arch, named.group(1) if named else "", wsl, runner.env.get("WSL_DISTRO_NAME", ""))


@dataclass(frozen=True)
class Memory:
    """Bytes. ``limit`` is a container's own limit where it is lower than the machine's memory."""

    total: int
    available: int
    swap: int = 0
    limit: int | None = None


def read_memory(runner: Machine) -> Memory | None:
    info = runner.read("/proc/meminfo")
    if info:
        rows = {key: int(value) * 1024 for key, value in re.findall(r"^(\w+):\s+(\d+) kB", info, re.MULTILINE)}
        total = rows.get("MemTotal", 0)
        limits = (runner.read("/sys/fs/cgroup/memory.max"), runner.read("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
        lower = [int(text) for text in limits if text and text.strip().isdigit() and int(text) < total]
        return Memory(
            total, rows.get("MemAvailable", rows.get("MemFree", 0)), rows.get("SwapTotal", 0), min(lower, default=None)
        )
    asked = runner.run(["sysctl", "-n", "hw.memsize"])
    if asked.ok and asked.out.strip().isdigit():
        total = int(asked.out)
        pages = re.findall(r"Pages (?:free|inactive|speculative|purgeable):\s+(\d+)", runner.run(["vm_stat"]).out)
        page_size = 16384 if "page size of 16384" in runner.run(["vm_stat"]).out else 4096
        return Memory(total, sum(map(int, pages)) * page_size or total // 2)
    return None


@dataclass(frozen=True)
class Gpu:
    """One GPU as nvidia-smi tells it; memory in bytes."""

    name: str
    memory: int
    free: int
    capability: tuple[int, ...] = ()


@dataclass(frozen=True)
class GpuFacts:
    """What is known about NVIDIA GPUs here.

    Attributes:
        hardware: a GPU is there, whether or not its driver answers; None: unknown.
        smi: where nvidia-smi is, if anywhere; ``on_path`` whether PATH leads to it.
        said: its own words when it did not answer.
        cuda: the newest CUDA the driver knows by itself.
        users: (process, bytes) of those that hold GPU memory.
    """

    hardware: bool | None = None
    smi: str | None = None
    on_path: bool = False
    said: str = ""
    driver: str = ""
    cuda: str = ""
    gpus: tuple[Gpu, ...] = ()
    users: tuple[tuple[str, int], ...] = field(default=())

    @property
    def answers(self) -> bool:
        return bool(self.gpus)


def read_gpu(runner: Machine) -> GpuFacts:
    smi = runner.which("nvidia-smi")
    on_path = smi is not None
    if smi is None and runner.run([WSL_SMI, "-L"]).code != ABSENT:
        smi = WSL_SMI
    if smi is None:
        return GpuFacts(hardware=_has_nvidia_hardware(runner))
    asked = runner.run([smi, f"--query-gpu={QUERY}", "--format=csv,noheader,nounits"], timeout=5)
    rows = [[cell.strip() for cell in line.split(",")] for line in asked.out.splitlines() if line.count(",") == 4]
    if not asked.ok or not rows:
        said = _words_of(asked)
        # "No devices were found": the driver is up and sees none. Otherwise look on the bus.
        return GpuFacts(_has_nvidia_hardware(runner), smi, on_path, said)
    gpus = tuple(Gpu(row[0], _mib(row[2]), _mib(row[3]), _capability(row[4])) for row in rows)
    driver = rows[0][1]
    banner = runner.run([smi], timeout=5).out
    # Drivers from 590 on print "CUDA UMD Version"
    known = re.search(r"CUDA (?:UMD )?Version:\s*(\d+\.\d+)", banner)
    apps = runner.run(
        [smi, "--query-compute-apps=process_name,used_memory", "--format=csv,noheader,nounits"], timeout=5
    )
    users = tuple(
        (name.strip(), _mib(used)) for name, _, used in (line.rpartition(",") for line in apps.out.splitlines()) if name
    )
    return GpuFacts(True, smi, on_path, "", driver, known.group(1) if known else driver_cuda(driver) or "", gpus, users)


def _words_of(done: Completed) -> str:
    return " ".join((done.out + " " + done.err).split())[:300]


def _mib(text: str) -> int:
    digits = text.strip().split(".")[0]
    return int(digits) * MiB if digits.isdigit() else 0  # "[N/A]" on unified memory


def _capability(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def _has_nvidia_hardware(runner: Machine) -> bool | None:
    if runner.read("/proc/driver/nvidia/version"):
        return True
    # The PCI vendor of NVIDIA is 10de; lspci is absent on small systems, and WSL shows its GPU as a Microsoft device.
    listed = runner.run(["lspci", "-n"])
    if listed.ok:
        return bool(re.search(r"\b03(?:00|02|80): 10de:", listed.out))
    return None


def read_flags(runner: Machine) -> tuple[str, frozenset[str]]:
    """Name and feature flags of the processor (``/proc/cpuinfo``, or sysctl on macOS), lower case."""
    info = runner.read("/proc/cpuinfo")
    if info:
        return parse_cpuinfo(info)
    name_line = runner.run(["sysctl", "-n", "machdep.cpu.brand_string"]).out.strip()
    features = runner.run(["sysctl", "-n", "machdep.cpu.features", "machdep.cpu.leaf7_features"]).out
    return name_line, frozenset(features.lower().replace("avx1.0", "avx").split())


def describe_machine(runner: Machine, python_version: str = "") -> dict[str, Any]:
    """The machine in one object: part of every evidence file and the head of the doctor's report."""
    system, memory, gpu = read_system(runner), read_memory(runner), read_gpu(runner)
    cpu, flags = read_flags(runner)
    cores = runner.run(["getconf", "_NPROCESSORS_ONLN"]).out.strip()
    return {
        "system": system.name or system.kind,
        "kernel": system.kernel,
        "arch": system.arch,
        "wsl": system.wsl,
        "python": python_version,
        "cpu": cpu,
        "cores": int(cores) if cores.isdigit() else None,
        "cpu_features": sorted(
            flags
            & {
                "avx",
                "avx2",
                "avx512f",
                "avx512_bf16",
                "avx512_vnni",
                "avx_vnni",
                "amx_tile",
                "amx_int8",
                "amx_bf16",
                "asimd",
            }
        ),
        "memory_bytes": memory.total if memory else None,
        "memory_available_bytes": memory.available if memory else None,
        "driver": gpu.driver or None,
        "cuda": gpu.cuda or None,
        "gpus": [{"name": g.name, "memory_bytes": g.memory, "free_bytes": g.free} for g in gpu.gpus],
    }
