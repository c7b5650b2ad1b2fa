"""FastChat: controller, model worker and OpenAI server as one unit. Legacy; kept because the roadmap's readers meet it."""

from __future__ import annotations

import sys
from pathlib import Path

from zhilu.errors import InputError
from zhilu.jobs import tether
from zhilu.messages import T
from zhilu.serving.engines import fastchat_unit
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

__all__ = ["ENGINE", "PLAN", "FastChatEngine"]

PLAN = InstallPlan(
    version="fschat 0.2.36",
    steps=(
        InstallStep("torch", T("PyTorch", "PyTorch"), ("2.13.0",), 3),
        InstallStep(
            "pip",
            T("FastChat and its model worker", "FastChat 与模型工作进程"),
            # The last release is of February 2024 and pins nothing: these are the versions it was seen to answer with.
            ("fschat[model_worker]==0.2.36", "transformers==5.23.0", "peft==0.21.2", "accelerate==1.15.0",
             "fastapi==0.165.0", "pydantic==2.14.3", "uvicorn==0.54.0", "numpy==2.4.6"),
            5,
        ),
        InstallStep(
            "prove", T("Trying it", "试运行"), ("-m", "fastchat.serve.model_worker", "--help"), 1
        ),
    ),
    disk_bytes=2_500_000_000,
    python=((3, 11), (3, 14)),
)  # fmt: skip
_DTYPES = {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}


class FastChatEngine:
    facts = EngineFacts(
        name="fastchat",
        title=T("FastChat", "FastChat"),
        status="legacy",
        status_note=T(
            "no release since February 2024; one request at a time, over-long prompts are cut without a word",
            "自 2024 年 2 月起没有新版本；一次只算一个请求，过长的提示会被悄悄截断",
        ),
        description=T(
            "LMSYS's controller, model worker and OpenAI server, started as one: to read and compare, not to build on.",
            "LMSYS 的控制器、模型工作进程与 OpenAI 服务，作为一个整体启动：用于阅读与比较，不建议在其上开发。",
        ),
        source="https://github.com/lm-sys/FastChat/releases",
        checked="2026-11-24",
        can=frozenset({"chat", "completions", "stream"}),
        takes=frozenset({"precision"}),
        install=PLAN,
        memory=MemoryFacts(800_000_000, {"f32": 32, "bf16": 16, "f16": 16}),
        rank={"cpu": 0, "gpu": 0},
        start_seconds=300.0,
        handed="read",
        proof=ProofFacts(counts_off=(-1, 0)),
    )

    def installed(self, home: Path | None = None) -> tuple[bool, T]:
        return state_of("fastchat", home)

    def launch(self, model: ServedModel, options: LaunchOptions, port: int) -> Launch:
        if model.path is None:
            raise InputError(
                T(f"The model {model.name!r} has no folder here.", f"模型 {model.name!r} 在这里没有目录。"),
                param="model",
                fix="zhilu model list",
            )
        argv = [sys.executable, str(Path(tether.__file__)), str(python_of("fastchat", options.home))]
        argv += [str(Path(fastchat_unit.__file__)), "--port", str(port), "--model-path", str(model.path)]
        argv += ["--model-names", model.name, "--device", "cpu", "--dtype", _DTYPES[options.precision or "f32"]]
        env = {"LOGDIR": "", "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"}
        if options.threads:
            env["OMP_NUM_THREADS"] = str(options.threads)
        # The OpenAI server is started last, when the controller knows the worker: it answers only then.
        return Launch(f"http://127.0.0.1:{port}", "/v1/models", model.name, tuple(argv), env)


ENGINE = FastChatEngine()
