"""LMDeploy: its PyTorch backend on an NVIDIA GPU. Without one, only its flags were verified, by its own parser."""

from __future__ import annotations

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
from zhilu.serving.install.environment import python_of, state_of

__all__ = ["ENGINE", "PLAN", "LmdeployEngine"]

PLAN = InstallPlan(
    version="lmdeploy 0.18.0",
    steps=(
        InstallStep("pip", T("LMDeploy with CUDA", "LMDeploy（CUDA 版）"), ("lmdeploy==0.18.0",), 9),
        InstallStep("prove", T("Trying it", "试运行"), ("-c", "import lmdeploy; print(lmdeploy.__version__)"), 1),
    ),
    disk_bytes=14_000_000_000,
    python=((3, 10), (3, 14)),
    system="Linux",
)
_DTYPES = {"stored": "auto", "bf16": "bfloat16", "f16": "float16"}


class LmdeployEngine:
    facts = EngineFacts(
        name="lmdeploy",
        title=T("LMDeploy", "LMDeploy"),
        status="needs_gpu",
        status_note=T(
            "maintained; needs an NVIDIA GPU, and was never run by this version of Zhilu: its flags were checked",
            "仍在维护；需要 NVIDIA GPU，这个版本的指路没有实际运行过它，只核对了它的参数",
        ),
        description=T(
            "Fast serving on NVIDIA GPUs by the InternLM team.", "InternLM 团队的引擎，在 NVIDIA GPU 上速度快。"
        ),
        source="https://lmdeploy.readthedocs.io/en/latest/llm/api_server.html",
        checked="2026-11-24",
        can=frozenset(
            {
                "chat", "completions", "stream", "stream_usage", "metrics", "logprobs", "seed", "tools", "top_k",
                "repetition_penalty", "ignore_eos", "template_kwargs", "reasoning_effort",
            }
        ),
        takes=frozenset({"max_len", "concurrency", "precision", "loras"}),
        install=PLAN,
        memory=MemoryFacts(2_500_000_000, {"stored": 0, "bf16": 16, "f16": 16}),
        metrics={
            "lmdeploy:num_requests_running": "vllm:num_requests_running",
            "lmdeploy:num_requests_waiting": "vllm:num_requests_waiting",
            "lmdeploy:prompt_tokens_total": "vllm:prompt_tokens_total",
            "lmdeploy:generation_tokens_total": "vllm:generation_tokens_total",
        },
        rank={"gpu": 60},
        start_seconds=600.0,
        handed="read",
        proof=ProofFacts(),
    )  # fmt: skip

    def installed(self, home: Path | None = None) -> tuple[bool, T]:
        return state_of("lmdeploy", home)

    def launch(self, model: ServedModel, options: LaunchOptions, port: int) -> Launch:
        if model.path is None:
            raise InputError(
                T(f"The model {model.name!r} has no folder here.", f"模型 {model.name!r} 在这里没有目录。"),
                param="model",
                fix="zhilu model list",
            )
        argv = [sys.executable, str(Path(tether.__file__)), str(python_of("lmdeploy", options.home)), "-m", "lmdeploy"]
        argv += ["serve", "api_server", str(model.path), "--model-name", model.name, "--backend", "pytorch"]
        argv += ["--server-name", "127.0.0.1", "--server-port", str(port), "--tool-call-parser", "qwen3"]
        argv += ["--dtype", _DTYPES[options.precision or "stored"]]
        if options.max_len is not None:
            argv += ["--session-len", str(options.max_len)]
        if options.concurrency is not None:
            argv += ["--max-batch-size", str(options.concurrency)]
        if options.loras:
            argv += ["--adapters", *(f"{name}={path}" for name, path in options.loras)]
        env = {"HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
        return Launch(f"http://127.0.0.1:{port}", "/health", model.name, tuple(argv), env)


ENGINE = LmdeployEngine()
