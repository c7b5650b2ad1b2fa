"""One probe per concept: it asks the runner for facts and says what they mean.

To add one, write a file here and add a line below.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from zhilu.doctor.finding import Finding
from zhilu.doctor.probes import (
    clock,
    cpu,
    disk,
    editor,
    environment,
    gpu,
    hubs,
    java,
    jupyter,
    limits,
    locale,
    memory,
    node,
    pip,
    port,
    proxy,
    python,
    system,
    torch,
    vllm,
)
from zhilu.doctor.runner import Machine
from zhilu.doctor.subject import Subject
from zhilu.messages import T

__all__ = ["PROBES", "Probe"]


@dataclass(frozen=True)
class Probe:
    """``look`` returns at least one finding, raises nothing on purpose and leaves the machine as it was."""

    name: str
    title: T
    look: Callable[[Machine, Subject], list[Finding]]


# The slow ones first: they start first, and the whole check-up lasts as long as the slowest.
PROBES: tuple[Probe, ...] = (
    Probe("torch", T("PyTorch", "PyTorch"), torch.look),
    Probe("hubs", T("Model hubs", "模型仓库"), hubs.look),
    Probe("gpu", T("GPU", "显卡"), gpu.look),
    Probe("pip", T("pip and its index", "pip 与软件源"), pip.look),
    Probe("vllm", T("vLLM", "vLLM"), vllm.look),
    Probe("editor", T("VSCode", "VSCode"), editor.look),
    Probe("jupyter", T("Jupyter kernel", "Jupyter 内核"), jupyter.look),
    Probe("java", T("Java", "Java"), java.look),
    Probe("node", T("Node.js", "Node.js"), node.look),
    Probe("system", T("Operating system", "操作系统"), system.look),
    Probe("python", T("Python", "Python"), python.look),
    Probe("environment", T("Virtual environment", "虚拟环境"), environment.look),
    Probe("proxy", T("Proxy", "代理"), proxy.look),
    Probe("memory", T("Memory", "内存"), memory.look),
    Probe("disk", T("Disk", "磁盘"), disk.look),
    Probe("port", T("Port", "端口"), port.look),
    Probe("cpu", T("Processor", "处理器"), cpu.look),
    Probe("locale", T("Character encoding", "字符编码"), locale.look),
    Probe("clock", T("Clock", "时钟"), clock.look),
    Probe("limits", T("Process limits", "进程限制"), limits.look),
)
