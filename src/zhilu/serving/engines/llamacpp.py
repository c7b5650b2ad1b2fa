"""llama.cpp's own server: ``llama-server`` on the PATH, or built here from the sources that llama-cpp-python carries.

GGUF files are served as they are; a safetensors folder of a Llama, Qwen2 or Qwen3 model is converted first, once, by
``convert_gguf.py``, which then becomes the server.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from zhilu.errors import InputError
from zhilu.jobs import tether
from zhilu.messages import T
from zhilu.serving.engines import convert_gguf
from zhilu.serving.facts import EngineFacts, InstallPlan, InstallStep, Launch, LaunchOptions, MemoryFacts, ServedModel
from zhilu.serving.install.environment import environment, installed_note, python_of, state_of
from zhilu.serving.supervise.memory import own_context

__all__ = ["ENGINE", "PLAN", "LlamaCppEngine"]

_BUILD = (
    "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=OFF", "-DLLAMA_OPENSSL=OFF", "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF", "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF", "-DLLAMA_BUILD_APP=OFF",
    "-DLLAMA_BUILD_SERVER=ON", "-DGGML_NATIVE=ON",
)  # fmt: skip
_TRY = "import subprocess,sys; subprocess.check_call([sys.prefix + '/bin/llama-server', '--version'])"
PLAN = InstallPlan(
    version="llama.cpp of llama-cpp-python 0.3.36",
    steps=(
        InstallStep("pip", T("Build tools", "构建工具"), ("cmake==4.4.4", "ninja==1.13.2", "gguf==0.19.0"), 1),
        InstallStep(
            "cmake",
            T("Building llama-server", "编译 llama-server"),
            ("llama-cpp-python==0.3.36", "vendor/llama.cpp", "llama-server", *_BUILD),
            12,
        ),
        InstallStep("prove", T("Trying it", "试运行"), ("-c", _TRY), 0.2),
    ),
    disk_bytes=1_500_000_000,
    needs_programs=("c++",),
)
_WINDOW = 4096  # tokens a request where neither a person nor the model says


class LlamaCppEngine:
    facts = EngineFacts(
        name="llamacpp",
        title=T("llama.cpp", "llama.cpp"),
        status="alive",
        status_note=T("developed every day; at home on CPUs", "每天都在更新；擅长在 CPU 上运行"),
        description=T(
            "llama-server: GGUF files and their quantizations on any machine; small and starts at once.",
            "llama-server：在任何机器上运行 GGUF 文件及其量化版本；小巧，启动快。",
        ),
        source="https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
        checked="2026-11-24",
        can=frozenset(
            {
                "chat", "completions", "stream", "stream_usage", "metrics", "logprobs", "seed", "tools", "json_schema",
                "logit_bias", "n",
            }
        ),
        formats=frozenset({"gguf", "safetensors"}),
        takes=frozenset({"max_len", "concurrency", "precision"}),
        install=PLAN,
        memory=MemoryFacts(150_000_000, {"stored": 0, "f32": 32, "bf16": 16, "f16": 16, "q8_0": 8.5}),
        metrics={
            "llamacpp:prompt_tokens_total": "vllm:prompt_tokens_total",
            "llamacpp:tokens_predicted_total": "vllm:generation_tokens_total",
            "llamacpp:requests_processing": "vllm:num_requests_running",
            "llamacpp:requests_deferred": "vllm:num_requests_waiting",
        },
        rank={"cpu": 40, "gpu": 40},
        start_seconds=300.0,
    )  # fmt: skip

    def installed(self, home: Path | None = None) -> tuple[bool, T]:
        is_whole, why = state_of("llamacpp", home)
        found = None if is_whole else shutil.which("llama-server")
        return (True, T(f"found at {found}", f"位于 {found}")) if found else (is_whole, why)

    def launch(self, model: ServedModel, options: LaunchOptions, port: int) -> Launch:
        if model.path is None:
            raise InputError(
                T(f"The model {model.name!r} has no files here.", f"模型 {model.name!r} 在这里没有文件。"),
                param="model",
                fix="zhilu model list",
            )
        is_own = installed_note("llamacpp", options.home) is not None
        server = str(environment("llamacpp", options.home) / "bin" / "llama-server") if is_own else "llama-server"
        # No --api-key: it listens on loopback, behind the gateway, which asks for the key. --offline: it never downloads.
        argv = [server, "--host", "127.0.0.1", "--port", str(port), "--alias", model.name]
        argv += ["--metrics", "--jinja", "--offline", "--no-ui"]
        if options.threads:
            argv += ["--threads", str(options.threads)]
        if options.max_len is not None or options.concurrency is not None:
            window = options.max_len or own_context(model.path) or _WINDOW
            requests = options.concurrency or 1
            argv += ["--parallel", str(requests), "--ctx-size", str(window * requests)]  # the server divides it
        before = [sys.executable, str(Path(tether.__file__))]
        if model.format == "gguf":
            if options.precision not in (None, "stored"):
                raise InputError(
                    T(
                        f"A GGUF file keeps its own precision, given --precision {options.precision}.",
                        f"GGUF 文件的精度已经固定，给出的是 --precision {options.precision}。",
                    ),
                    param="precision",
                )
            command = [*before, *argv, "--model", str(model.path)]
        else:
            home = environment("x", options.home).parent.parent
            python = str(python_of("llamacpp", options.home)) if is_own else sys.executable
            convert = [python, str(Path(convert_gguf.__file__)), str(model.path), str(home / "cache" / "gguf")]
            command = [*before, *convert, options.precision or "stored", "--", *argv, "--model"]
        env = {"OMP_NUM_THREADS": str(options.threads)} if options.threads else {}
        return Launch(f"http://127.0.0.1:{port}", "/health", model.name, tuple(command), env)


ENGINE = LlamaCppEngine()
