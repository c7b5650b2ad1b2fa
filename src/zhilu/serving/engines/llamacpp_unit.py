"""llama.cpp's own HTTP server inside this process, by the package ``xllamacpp``: one GGUF file on one port of loopback.

    python -m zhilu.serving.engines.llamacpp_unit --model FILE.gguf --name NAME --port 8000 [--context 8192] [--requests 4]

``/health`` answers 503 while it loads and 200 once it can be used. ``tether.py`` ends it when the gateway is gone: while the model
loads, the interpreter is blocked, so no code in this process could watch for that.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

__all__: list[str] = []


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--context", type=int, required=True, help="tokens a request")
    parser.add_argument("--requests", type=int, required=True, help="computed at the same time")
    parser.add_argument("--lora", action="append", default=[], type=Path, help="GGUF adapter; numbered in this order")
    given = parser.parse_args()

    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(given.model)
    params.model_alias = {given.name}
    # Loopback only, behind the gateway, which asks for the key. It fetches nothing, shows no pages, and tells nobody who is
    # not the gateway what others ask (a page in a browser may send to it, but not read).
    params.hostnames, params.port = ["127.0.0.1"], given.port
    params.cors_origins, params.cors_origins_explicit, params.cors_credentials = "", True, False
    params.offline, params.ui, params.endpoint_slots = True, False, False
    params.endpoint_metrics = params.use_jinja = True
    for pool in (params.cpuparams, params.cpuparams_batch):
        pool.n_threads = given.threads
    # Each request has its own part of the cache: one that runs never loses its place to another.
    params.n_parallel, params.n_ctx, params.kv_unified = given.requests, given.context * given.requests, False
    # Memory is what was stated before the start: no second cache of finished conversations, no fitting to the machine, and
    # not mapped: weights that are laid out anew for the processor would be there twice (2.7 GB, not 2.1, of 1.5 B at 4 bits).
    params.cache_ram_mib, params.fit_params = 0, False
    params.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_NONE
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(path), 0.0) for path in given.lora]
    # The first request warms it up as well, 4 CPU seconds later.
    params.warmup = False
    params.verbosity = 2  # warnings; what is asked is never in the log
    said = f"context {given.context} x {given.requests}, {given.threads} threads"
    print(f"llama.cpp by xllamacpp {xllamacpp.__version__}: {given.model}, {said}", file=sys.stderr, flush=True)
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        sys.exit(f"{given.model}: {error}")
    # llama.cpp has taken the signals and would only end its own loop.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    print(f"ready at {server.listening_address}", file=sys.stderr, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
