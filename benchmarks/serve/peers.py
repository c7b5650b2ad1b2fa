"""The engines that are compared: how each is started, and how a request names its adapter."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from serve import formats


@dataclass
class Job:
    """What all peers are given."""

    model: Path
    adapters: Mapping[str, Path]
    folder: Path  # for files made on the way
    threads: int
    max_len: int
    concurrency: int
    arguments: Any  # of the command line


@dataclass
class Peer:
    """``command(job, port, with_adapters)`` starts it; ``missing(job)`` says why it cannot be measured, or None."""

    name: str
    command: Callable[[Job, int, bool], list[str]]
    missing: Callable[[Job], str | None] = lambda job: None
    name_adapter: Callable[[str, int], dict[str, Any]] = lambda name, number: {"model": name}
    model_name: str = "m"
    env: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)  # what each request holds besides


def ours(name: str, *options: str) -> Peer:
    def command(job: Job, port: int, with_adapters: bool) -> list[str]:
        loras = (
            [part for n, path in job.adapters.items() for part in ("--lora", f"{n}={path}")] if with_adapters else []
        )
        return [
            *(sys.executable, "-m", "zhilu.engine.server", "--model", str(job.model), "--name", "m"),
            *("--port", str(port), "--threads", str(job.threads), "--max-len", str(job.max_len), "--device", "cpu"),
            # Prompts repeat over the rounds: what is remembered would not be computed.
            *("--no-prefix-caching", "--max-num-seqs", str(max(32, job.concurrency)), "--log-level", "warning"),
            *loras,
            *options,
        ]

    return Peer(name, command)


def llama(name: str, kind: str) -> Peer:
    def binary(job: Job) -> str | None:
        return job.arguments.llama_server or shutil.which("llama-server")

    def missing(job: Job) -> str | None:
        try:
            import gguf  # noqa: F401
        except ImportError:
            return "the package gguf is not installed (python -m pip install gguf)"
        return None if binary(job) else "no llama-server on the PATH (--llama-server FILE)"

    def command(job: Job, port: int, with_adapters: bool) -> list[str]:
        file = job.folder / f"model-{kind}.gguf"
        if not file.exists():
            formats.write_gguf(job.model, file, kind)
        loras = []
        for name, path in job.adapters.items() if with_adapters else ():
            adapter = job.folder / f"{name}.gguf"
            if not adapter.exists():
                formats.write_gguf_adapter(job.model, path, adapter)
            loras += ["--lora", str(adapter)]
        return [
            *(str(binary(job)), "-m", str(file), "--port", str(port), "--threads", str(job.threads)),
            *(
                "-np",
                str(job.concurrency),
                "-c",
                str(job.concurrency * job.max_len),
                "--no-webui",
                "--no-cache-prompt",
                "-cram",
                "0",
            ),
            *(["--lora-init-without-apply", *loras] if loras else []),
        ]

    def name_adapter(name: str, number: int) -> dict[str, Any]:
        return {"lora": [{"id": number, "scale": 1.0}]}

    return Peer(name, command, missing, name_adapter)


def xllamacpp(name: str) -> Peer:
    """llama.cpp's server from the wheel, as the product runs it; GGUF only, no adapters."""

    def missing(job: Job) -> str | None:
        if job.model.suffix.lower() != ".gguf":
            return "it is given a GGUF file (--model FILE.gguf)"
        return None if find_spec("xllamacpp") else "the package xllamacpp is not installed"

    def command(job: Job, port: int, with_adapters: bool) -> list[str]:
        return [
            *(sys.executable, "-m", "zhilu.serving.engines.llamacpp_unit", "--model", str(job.model), "--name", "m"),
            *("--port", str(port), "--threads", str(job.threads), "--context", str(job.max_len)),
            *("--requests", str(job.concurrency)),
        ]

    return Peer(name, command, missing, body={"cache_prompt": False})


def vllm(name: str, *options: str) -> Peer:
    def missing(job: Job) -> str | None:
        python = job.arguments.vllm_python
        return None if python and Path(python).exists() else "no Python with vLLM was given (--vllm-python FILE)"

    def command(job: Job, port: int, with_adapters: bool) -> list[str]:
        loras = [f"{n}={path}" for n, path in job.adapters.items()] if with_adapters else []
        # vLLM's installation page asks for Intel's OpenMP on x86
        openmp = Path(job.arguments.vllm_python).parent.parent / "lib" / "libiomp5.so"
        return [
            *(["env", f"LD_PRELOAD={openmp}"] if openmp.exists() else []),
            *(job.arguments.vllm_python, "-m", "vllm.entrypoints.openai.api_server", "--model", str(job.model)),
            *("--served-model-name", "m", "--port", str(port), "--max-model-len", str(job.max_len)),
            *("--dtype", "bfloat16", "--max-num-seqs", str(job.concurrency), "--no-enable-prefix-caching"),
            *(["--enable-lora", "--max-loras", str(len(loras)), "--lora-modules", *loras] if loras else []),
            *options,
        ]

    return Peer(name, command, missing, env={"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"})


PEERS: Mapping[str, Peer] = {
    peer.name: peer
    for peer in (
        ours("ours f32", "--precision", "full", "--speculate", "0"),
        ours("ours int8", "--precision", "int8", "--speculate", "0"),
        # as GenAI computes, where the processor has products of bfloat16
        ours("ours bf16", "--precision", "full", "--dtype", "bfloat16", "--speculate", "0"),
        ours("ours int8 bf16", "--precision", "int8", "--dtype", "bfloat16", "--speculate", "0"),
        ours("ours torch", "--runner", "torch", "--speculate", "0"),
        # of a GGUF file: its own blocks, no further rounding
        ours("ours blocks", "--precision", "auto", "--speculate", "0"),
        xllamacpp("llama.cpp wheel"),
        llama("llama.cpp bf16", "BF16"),
        llama("llama.cpp q8_0", "Q8_0"),
        llama("llama.cpp q4_0", "Q4_0"),
        vllm("vllm eager", "--enforce-eager"),
        vllm("vllm compiled"),
    )
}


@contextmanager
def serving(peer: Peer, job: Job, with_adapters: bool, seconds: float) -> Iterator[tuple[int, float, Any]]:
    """The peer as a process: its port, seconds until it was healthy, and the process for psutil."""
    import psutil

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = peer.command(job, port, with_adapters)
    log = job.folder / f"{peer.name.replace(' ', '-')}.log"
    start = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": str(job.threads), **peer.env},
        )
        try:
            while not _is_healthy(port):
                if process.poll() is not None or time.perf_counter() - start > seconds:
                    raise RuntimeError(f"did not become healthy: {log.read_text(errors='replace')[-1500:]}")
                time.sleep(0.02)
            yield port, time.perf_counter() - start, psutil.Process(process.pid)
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def megabytes(process: Any) -> int:
    """Resident memory of a process and its children."""
    family = [process, *process.children(recursive=True)]
    return round(sum(member.memory_info().rss for member in family) / 2**20)


def _is_healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False
