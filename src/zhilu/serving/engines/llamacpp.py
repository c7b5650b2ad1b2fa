"""llama.cpp's own server from the wheel ``xllamacpp``, which is part of what running Zhilu installs. It needs no compiler.

GGUF files are served as they are. A safetensors folder of a Llama, Qwen2 or Qwen3 model is first converted, once, by
``convert_gguf.py``, which then becomes the server. A person's own ``llama-server`` is the engine of that name.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
from pathlib import Path

from zhilu.engine import convert_gguf
from zhilu.errors import InputError
from zhilu.jobs import tether
from zhilu.messages import T
from zhilu.serving.facts import EngineFacts, Launch, LaunchOptions, MemoryFacts, Preference, ProofFacts, ServedModel
from zhilu.serving.install.environment import environment
from zhilu.serving.supervise.memory import window_of

__all__ = ["CAN", "ENGINE", "MEMORY", "METRICS", "NO_ADAPTERS", "ONE_PERSON", "LlamaCppEngine", "command_for"]

# Of llama.cpp's server, whoever built it.
CAN = frozenset(
    {
        "chat", "completions", "stream", "stream_usage", "metrics", "logprobs", "seed", "tools", "tool_choice",
        "single_tool_call", "json_schema", "logit_bias", "n", "top_k", "ignore_eos", "template_kwargs",
    }
)  # fmt: skip
METRICS = {
    "llamacpp:prompt_tokens_total": "vllm:prompt_tokens_total",
    "llamacpp:tokens_predicted_total": "vllm:generation_tokens_total",
    "llamacpp:requests_processing": "vllm:num_requests_running",
    "llamacpp:requests_deferred": "vllm:num_requests_waiting",
}
MEMORY = MemoryFacts(
    190_000_000,  # measured 178 MB for 0.5 B parameters, vocabulary, graph and batch buffers included
    {"stored": 0, "f32": 32, "bf16": 16, "f16": 16, "q8_0": 8.5},
    requests=4,
    context=8192,
    cache_up_to=2**30,
)
# Measured on an AMD processor with AVX2 alone, Q4_K_M of 1.5 B: 17-19 tok/s for one stream against 10 of the embedded
# engine; with 8 streams 18-20 against 24.
ONE_PERSON = T(
    "without AVX-512, VNNI or AMX it is the faster one for one person with a GGUF file (--concurrency 6 or more: for many)",
    "处理器没有 AVX-512、VNNI 或 AMX 时，单人使用 GGUF 文件以它为快（--concurrency 为 6 或更多时按多人选择）",
)
NO_ADAPTERS = {
    "loras": (
        T(
            "llama.cpp reads adapters that were converted to GGUF; a PEFT folder is what the embedded engine loads as it is, onto "
            "the same model.",
            "llama.cpp 只读取已转换为 GGUF 的适配器；内置引擎可以把 PEFT 目录直接加载到同一个模型上。",
        ),
        "zhilu serve MODEL --engine zhilu --lora NAME=FOLDER",
    )
}


class LlamaCppEngine:
    facts = EngineFacts(
        name="llamacpp",
        title=T("llama.cpp", "llama.cpp"),
        status="alive",
        status_note=T("part of this program; at home on CPUs", "程序自带；擅长在 CPU 上运行"),
        description=T(
            "llama.cpp's server from the package xllamacpp: GGUF files and their quantizations on any machine.",
            "来自 xllamacpp 包的 llama.cpp 服务：在任何机器上运行 GGUF 文件及其量化版本。",
        ),
        source="https://github.com/xorbitsai/xllamacpp",
        checked="2026-11-29",
        can=CAN,
        enforced=frozenset({"tool_choice"}),
        tells_thoughts=True,
        formats=frozenset({"gguf", "safetensors"}),
        takes=frozenset({"max_len", "concurrency", "precision"}),
        memory=MEMORY,
        metrics=METRICS,
        max_len_at=("meta", "n_ctx"),
        rank={"cpu": 40, "gpu": 40},
        instead=NO_ADAPTERS,
        preferences=(Preference(110, ONE_PERSON, place="cpu", format="gguf", many=False, wide=False),),
        start_seconds=300.0,
        proof=ProofFacts(),
    )

    def installed(self, home: Path | None = None) -> tuple[bool, T]:
        if importlib.util.find_spec("xllamacpp") is None:
            command = "pip install xllamacpp"
            return False, T(
                f"the package xllamacpp is not here (it has wheels for Linux and macOS on x86-64 and ARM, and for Windows on "
                f"x86-64): {command}",
                f"没有 xllamacpp 包（它提供 Linux 与 macOS 的 x86-64、ARM 版本，以及 Windows 的 x86-64 版本）：{command}",
            )
        version = importlib.metadata.version("xllamacpp")
        return True, T(f"xllamacpp {version}, part of Zhilu", f"xllamacpp {version}，指路自带")

    def launch(self, model: ServedModel, options: LaunchOptions, port: int) -> Launch:
        threads = options.threads or os.cpu_count() or 1
        window, requests = window_of(model, options, self.facts)
        server = [
            sys.executable,
            "-m",
            "zhilu.serving.engines.llamacpp_unit",
            "--name",
            model.name,
            "--port",
            str(port),
        ]
        server += ["--threads", str(threads), "--context", str(window), "--requests", str(requests)]
        command = command_for(server, sys.executable, model, options)
        return Launch(f"http://127.0.0.1:{port}", "/health", model.name, command, {"PYTHONUNBUFFERED": "1"})


def command_for(server: list[str], python: str, model: ServedModel, options: LaunchOptions) -> tuple[str, ...]:
    """``server --model FILE`` under the tether; for a folder, the conversion by ``python`` first.

    Raises:
        InputError: there are no files, or a GGUF file is asked to have another precision.
    """
    if model.path is None:
        raise InputError(
            T(f"The model {model.name!r} has no files here.", f"模型 {model.name!r} 在这里没有文件。"),
            param="model",
            fix="zhilu model list",
        )
    before = [sys.executable, str(Path(tether.__file__))]
    if model.format != "gguf":
        home = environment("x", options.home).parent.parent
        convert = [python, str(Path(convert_gguf.__file__)), str(model.path), str(home / "cache" / "gguf")]
        return (*before, *convert, options.precision or "stored", "--", *server, "--model")
    if options.precision not in (None, "stored"):
        raise InputError(
            T(
                f"A GGUF file keeps its own precision, given --precision {options.precision}.",
                f"GGUF 文件的精度已经固定，给出的是 --precision {options.precision}。",
            ),
            param="precision",
        )
    return (*before, *server, "--model", str(model.path))


ENGINE = LlamaCppEngine()
