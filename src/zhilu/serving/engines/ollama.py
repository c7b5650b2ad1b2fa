"""Ollama: a server of our own, run from the program on this machine; a Modelfile imports a model's files into it.

A server that is already running keeps its models; use it with ``--engine openai --base-url http://127.0.0.1:11434/v1``.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path

from zhilu.errors import InputError
from zhilu.jobs import tether
from zhilu.messages import T
from zhilu.serving.engines import ollama_unit
from zhilu.serving.facts import EngineFacts, Launch, LaunchOptions, MemoryFacts, ProofFacts, ServedModel

__all__ = ["ENGINE", "OllamaEngine"]

_ADDRESS = ("127.0.0.1", 11434)  # where a server of a default installation listens


class OllamaEngine:
    facts = EngineFacts(
        name="ollama",
        title=T("Ollama", "Ollama"),
        status="alive",
        status_note=T(
            "developed every week; was never run by this version of Zhilu, which had no Ollama at hand",
            "每周都在更新；这个版本的指路手边没有 Ollama，没有实际运行过它",
        ),
        description=T(
            "The personal choice: serves GGUF files and imports safetensors folders.",
            "个人使用的常见选择：运行 GGUF 文件，也能导入 safetensors 目录。",
        ),
        source="https://docs.ollama.com/modelfile",
        checked="2026-11-24",
        can=frozenset(
            {
                "chat", "completions", "stream", "stream_usage", "seed", "tools", "tool_choice", "json_schema",
                "reasoning_effort",
            }
        ),
        enforced=frozenset({"tool_choice"}),
        tells_thoughts=True,
        formats=frozenset({"gguf", "safetensors"}),
        takes=frozenset({"max_len", "concurrency"}),
        memory=MemoryFacts(300_000_000),
        rank={"cpu": 30, "gpu": 30},
        start_seconds=300.0,
        handed="imported",
        proof=ProofFacts(frozenset({"safetensors", "gguf"})),  # it makes a template of its own for a GGUF file, too
    )  # fmt: skip

    def installed(self, home: Path | None = None) -> tuple[bool, T]:
        program = shutil.which("ollama")
        if program:
            return True, T(f"found at {program}", f"位于 {program}")
        if _answers(_ADDRESS):
            url = "http://{}:{}/v1".format(*_ADDRESS)
            return False, T(
                f"a server runs here; use it by: --engine openai --base-url {url}",
                f"这里有一个服务在运行；可以这样使用：--engine openai --base-url {url}",
            )
        return False, T(
            "not installed: get it from https://ollama.com/download", "未安装：请从 https://ollama.com/download 获取"
        )

    def launch(self, model: ServedModel, options: LaunchOptions, port: int) -> Launch:
        if model.path is None:
            raise InputError(
                T(f"The model {model.name!r} has no files here.", f"模型 {model.name!r} 在这里没有文件。"),
                param="model",
                fix="zhilu model list",
            )
        argv = [sys.executable, str(Path(tether.__file__)), sys.executable, str(Path(ollama_unit.__file__))]
        argv += ["--port", str(port), "--name", model.name, "--from", str(model.path)]
        if options.max_len is not None:
            argv += ["--context", str(options.max_len)]
        env = {"OLLAMA_HOST": f"127.0.0.1:{port}", "OLLAMA_MAX_LOADED_MODELS": "1", "OLLAMA_KEEP_ALIVE": "-1"}
        if options.concurrency is not None:
            env["OLLAMA_NUM_PARALLEL"] = str(options.concurrency)
        if options.max_len is not None:
            env["OLLAMA_CONTEXT_LENGTH"] = str(options.max_len)
        if "OLLAMA_MODELS" in os.environ:
            env["OLLAMA_MODELS"] = os.environ["OLLAMA_MODELS"]
        # 404 until the import is over.
        return Launch(f"http://127.0.0.1:{port}", f"/v1/models/{model.name}", model.name, tuple(argv), env)


def _answers(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, timeout=0.2):
            return True
    except OSError:
        return False


ENGINE = OllamaEngine()
