"""A person's own ``llama-server``: on the PATH, or built by an earlier Zhilu under ``engines/llamacpp``.

It is worth having if it was built for this very processor or for a GPU; the wheel behind the engine ``llamacpp`` was not.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from zhilu.messages import T
from zhilu.serving.engines.llamacpp import CAN, MEMORY, METRICS, NO_ADAPTERS, ONE_PERSON, command_for
from zhilu.serving.facts import EngineFacts, Launch, LaunchOptions, Preference, ProofFacts, ServedModel
from zhilu.serving.install.environment import environment, installed_note, python_of
from zhilu.serving.supervise.memory import window_of

__all__ = ["ENGINE", "LlamaServerEngine"]

_BUILT = "llamacpp"  # the environment that earlier versions built it in


class LlamaServerEngine:
    facts = EngineFacts(
        name="llama-server",
        title=T("llama-server, your own", "自备的 llama-server"),
        status="alive",
        status_note=T(
            "your own build of llama.cpp; Zhilu neither builds nor updates it",
            "自行构建的 llama.cpp；指路不构建也不更新它",
        ),
        description=T(
            "The llama-server on the PATH: a build for this processor or a GPU can be faster than the one that comes with Zhilu.",
            "PATH 中的 llama-server：为本机处理器或 GPU 构建的版本可能比指路自带的更快。",
        ),
        source="https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
        checked="2026-11-29",
        can=CAN,
        enforced=frozenset({"tool_choice"}),
        tells_thoughts=True,
        formats=frozenset({"gguf", "safetensors"}),
        takes=frozenset({"max_len", "concurrency", "precision"}),
        memory=MEMORY,
        metrics=METRICS,
        max_len_at=("meta", "n_ctx"),
        rank={"cpu": 35, "gpu": 45},
        instead=NO_ADAPTERS,
        preferences=(
            Preference(105, ONE_PERSON, place="cpu", format="gguf", many=False, wide=False),
            Preference(90, T("your own build may use it", "自备的版本可以使用它"), place="gpu", format="gguf"),
        ),
        start_seconds=300.0,
        proof=ProofFacts(),
    )

    def installed(self, home: Path | None = None) -> tuple[bool, T]:
        note = installed_note(_BUILT, home)
        if note is not None:
            return True, T(f"{note['version']}, built here earlier", f"{note['version']}，此前在本机构建")
        found = shutil.which("llama-server")
        if found:
            return True, T(f"found at {found}", f"位于 {found}")
        return False, T("no llama-server on the PATH", "PATH 中没有 llama-server")

    def launch(self, model: ServedModel, options: LaunchOptions, port: int) -> Launch:
        is_ours = installed_note(_BUILT, options.home) is not None
        program = str(environment(_BUILT, options.home) / "bin" / "llama-server") if is_ours else "llama-server"
        window, requests = window_of(model, options, self.facts)
        threads = options.threads or os.cpu_count() or 1
        # No --api-key: it listens on loopback, behind the gateway, which asks for the key. --offline: it never downloads.
        server = [program, "--host", "127.0.0.1", "--port", str(port), "--alias", model.name, "--metrics", "--jinja"]
        server += ["--offline", "--no-ui", "--no-slots", "--threads", str(threads), "--parallel", str(requests)]
        server += ["--ctx-size", str(window * requests)]  # the server divides it
        python = str(python_of(_BUILT, options.home)) if is_ours else sys.executable
        command = command_for(server, python, model, options)
        return Launch(f"http://127.0.0.1:{port}", "/health", model.name, command)


ENGINE = LlamaServerEngine()
