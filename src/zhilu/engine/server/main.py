"""The engine as a process: ``python -m zhilu.engine.server --model PATH --name NAME --port N``.

OpenAI's endpoints plus ``/health`` (503 while the weights load), ``/metrics``, ``/tokenize``, ``/detokenize`` and
``/state`` (scheduler and block tables, read-only); see ``app.py``. It runs on h11: with httptools uvicorn loses the body
of requests that offer an HTTP/2 upgrade, as the JDK's client does (uvicorn#2722).
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from pathlib import Path

import uvicorn

from zhilu import __version__
from zhilu.engine.options import SPECULATE, EngineOptions, check_speculate
from zhilu.engine.server.app import create_app
from zhilu.engine.server.drain import DrainingServer, Intake
from zhilu.errors import InputError, ZhiluError
from zhilu.heap import giving_back_freed
from zhilu.logs import configure_logs
from zhilu.messages import T, set_lang

__all__ = ["main"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m zhilu.engine.server", description="One model as an OpenAI server.")
    parser.add_argument(
        "--model", type=Path, required=True, help="folder with config.json and *.safetensors, or a GGUF file"
    )
    parser.add_argument("--name", help="the model's name on the wire (default: the folder's name)")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8643, help="0 picks a free one")
    parser.add_argument("--threads", type=int, default=0, help="0: one per core")
    parser.add_argument("--max-len", type=int, help="prompt plus answer, tokens (default: what the model has)")
    parser.add_argument("--max-num-seqs", type=int, default=32, help="sequences computed together")
    parser.add_argument("--max-batch-tokens", type=int, default=512, help="tokens per step")
    parser.add_argument("--kv-tokens", type=int, help="size of the key-value memory, tokens")
    parser.add_argument("--no-prefix-caching", action="store_true")
    parser.add_argument(
        "--lora",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="a PEFT folder, served as model NAME; repeatable",
    )
    parser.add_argument(
        "--speculate",
        type=int,
        default=SPECULATE,
        metavar="N",
        help="guess up to N tokens from the text so far and check them in one step; the answers are the same; 0: off "
        "(default: %(default)s)",
    )
    parser.add_argument("--drain-seconds", type=float, default=30, help="after SIGTERM, for answers in progress")
    parser.add_argument("--runner", default="auto", help="auto, openvino (CPU), torch")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda")
    parser.add_argument("--dtype", default="auto", help="of the arithmetic: auto, float32, bfloat16, float16")
    parser.add_argument("--precision", default="auto", help="of the weights: auto, full, int8 (OpenVINO only)")
    parser.add_argument("--cache", type=Path, help="folder for what a second start of the model need not make again")
    parser.add_argument("--log-level", default="info")
    parser.add_argument("--parent-watch", action="store_true", help="exit when standard input ends")
    parser.add_argument("--version", action="version", version=__version__)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Serve until a signal, or until the parent goes; returns the exit code."""
    args = _parser().parse_args(argv)
    configure_logs(args.log_level)
    set_lang(os.environ.get("ZHILU_LANG", "auto"))
    name = args.name or args.model.resolve().name
    try:
        adapters = _adapters(args.lora, name)
        check_speculate(args.speculate)
    except ZhiluError as error:
        print(error.message.say(), error.fix or "", file=sys.stderr)
        return error.exit_code
    options = EngineOptions(
        model=args.model,
        threads=args.threads,
        max_len=args.max_len,
        max_num_seqs=args.max_num_seqs,
        kv_tokens=args.kv_tokens,
        max_batch_tokens=args.max_batch_tokens,
        prefix_caching=not args.no_prefix_caching,
        speculate=args.speculate,
        adapters=adapters,
        runner=args.runner,
        device=args.device,
        dtype=args.dtype,
        precision=args.precision,
        cache=args.cache,
    )
    failures: list[ZhiluError] = []

    def on_failure(error: ZhiluError) -> None:
        failures.append(error)
        server.should_exit = True

    gate = Intake(create_app(options, name, args.host, on_failure))
    server: DrainingServer = DrainingServer(
        uvicorn.Config(
            gate,
            host=args.host,
            port=args.port,
            http="h11",
            ws="none",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=5,
            timeout_keep_alive=75,
        ),
        gate,
        args.drain_seconds,
    )
    if args.parent_watch:
        threading.Thread(target=_exit_with_parent, args=(server,), name="parent-watch", daemon=True).start()
    with giving_back_freed():
        server.run()
    for failure in failures:
        print(failure.message.say(), failure.fix or "", file=sys.stderr)
    return failures[0].exit_code if failures else 0


def _adapters(stated: list[str], model: str) -> dict[str, Path]:
    """``NAME=PATH`` as a mapping; InputError for anything else and for a name given twice."""
    adapters: dict[str, Path] = {}
    for text in stated:
        name, equals, path = text.partition("=")
        if not (name and equals and path) or name in (*adapters, model):
            raise InputError(
                T(
                    f"--lora {text!r}: give NAME=PATH, each name once and not the model's own",
                    f"--lora {text!r}：格式为 NAME=PATH，名称不能重复，也不能与模型同名",
                ),
                param="lora",
            )
        adapters[name] = Path(path)
    return adapters


def _exit_with_parent(server: uvicorn.Server, grace_seconds: float = 10.0) -> None:
    """The pipe on standard input closes when the parent dies, even by kill -9: then nobody needs this process."""
    # Not sys.stdin: its lock would be held by this thread when the interpreter ends, which then aborts.
    while os.read(0, 4096):
        pass
    server.should_exit = True
    time.sleep(grace_seconds)
    os._exit(1)
