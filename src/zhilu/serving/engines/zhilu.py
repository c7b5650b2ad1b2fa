"""Our own engine: ``python -m zhilu.engine.server``, started like any other."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from pathlib import Path

from zhilu import wire
from zhilu.errors import InputError, UnsupportedError, ZhiluError
from zhilu.messages import T
from zhilu.serving.facts import EngineFacts, Launch, LaunchOptions, MemoryFacts, Preference, ServedModel

__all__ = ["ENGINE", "ZhiluEngine"]


# As the runner multiplies them: codes of 4 or 8 bits, and for each group of 16 or 32 a scale and, where the format has minima,
# a zero of 32 bits (a test compares them with ``engine/model/quants.py``).
_BLOCK_BITS = {
    "Q4_0": 5, "Q4_1": 6, "Q5_0": 9, "Q5_1": 10, "Q8_0": 9, "Q2_K": 8, "Q3_K": 10, "Q4_K": 6, "Q5_K": 10, "Q6_K": 10,
    "IQ4_NL": 9, "IQ4_XS": 9,
}  # fmt: skip


class ZhiluEngine:
    facts = EngineFacts(
        name="zhilu",
        title=T("Zhilu engine", "指路引擎"),
        status="alive",
        status_note=T("part of this program; needs no GPU", "程序自带；不需要 GPU"),
        description=T(
            "The embedded engine: paged attention and continuous batching on the CPU, readable from end to end.",
            "内置引擎：在 CPU 上做分页注意力与连续批处理，代码从头到尾都能读懂。",
        ),
        source="docs/en/models.md#the-engine",
        checked="2026-11-24",
        can=wire.OWN_ENGINE,
        formats=frozenset({"safetensors", "gguf"}),
        takes=frozenset({"max_len", "concurrency", "precision", "loras", "speculate"}),
        memory=MemoryFacts(
            200_000_000,
            {"auto": 0, "full": 32, "int8": 8, "bf16": 32, "int8-bf16": 8},
            twice_up_to=128 * 2**20,  # the runner's second graph, for the step of a single stream
            kv_bits=32,
            block_bits=_BLOCK_BITS,
            bytes_per_word=800,  # measured: the tokenizer of 152,000 tokens, and what it was made from
        ),
        rank={"cpu": 100, "gpu": 80},
        start_seconds=300.0,
        preferences=(
            Preference(
                100,
                T("the fastest one for many requests at a time", "同时处理多个请求时以它为快"),
                place="cpu",
                format="gguf",
                many=True,
            ),
            Preference(
                100,
                T(
                    "with AVX-512, VNNI or AMX it is the fastest one with a GGUF file",
                    "处理器有 AVX-512、VNNI 或 AMX 时，用 GGUF 文件以它为快",
                ),
                place="cpu",
                format="gguf",
                wide=True,
            ),
        ),
    )

    def installed(self, home: Path | None = None) -> tuple[bool, T]:
        return True, T("part of Zhilu", "指路自带")

    def launch(self, model: ServedModel, options: LaunchOptions, port: int) -> Launch:
        if model.path is None:
            raise InputError(
                T(f"The model {model.name!r} has no folder here.", f"模型 {model.name!r} 在这里没有目录。"),
                param="model",
                fix="zhilu model list",
            )
        if model.not_ours is not None:
            raise UnsupportedError(
                T(
                    f"The model {model.name!r} cannot be run by the embedded engine: {model.not_ours.en}",
                    f"内置引擎无法运行模型 {model.name!r}：{model.not_ours.zh}",
                ),
                param="model",
                fix=f"zhilu engine install vllm && zhilu serve {model.name} --engine vllm",
            )
        if model.format == "gguf":
            _refuse_unread(model.path)
        argv = [sys.executable, "-m", "zhilu.engine.server", "--model", str(model.path), "--name", model.name]
        argv += ["--host", "127.0.0.1", "--port", str(port), "--parent-watch"]
        threads = options.threads or os.cpu_count() or 1
        argv += ["--threads", str(threads)]
        if options.max_len is not None:
            argv += ["--max-len", str(options.max_len)]
        if options.concurrency is not None:
            argv += ["--max-num-seqs", str(options.concurrency)]
        if options.precision is not None:
            argv += _PRECISIONS.get(options.precision, ["--precision", options.precision])
        if options.speculate is not None:
            argv += ["--speculate", str(options.speculate)]
        if options.home is not None:
            argv += ["--cache", str(options.home / "cache" / "engine")]
        for name, path in options.loras:
            argv += ["--lora", f"{name}={path}"]
        # The tokenizer's own thread pool and OpenMP's must not fight over the cores with the engine's.
        env = {"TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"}
        return Launch(url=f"http://127.0.0.1:{port}", ready_path="/health", model=model.name, argv=tuple(argv), env=env)

    def check_adapter(self, model: ServedModel, name: str, folder: Path) -> None:
        """As the engine itself reads it; a model that it cannot run is ``launch``'s to refuse."""
        if model.path is None or model.not_ours is not None:
            return
        from zhilu.engine.model.adapters import read_adapter
        from zhilu.engine.model.config import read_config

        read_adapter(name, folder, read_config(model.path), model.path)


def _refuse_unread(file: Path) -> None:
    """Raise what the engine would say of a GGUF file once it is started: architecture, block formats, tokenizer."""
    stat = file.stat() if file.is_file() else None
    refusal = _look_once(str(file), stat and stat.st_mtime_ns, stat and stat.st_size)
    if refusal is not None:
        raise refusal


@lru_cache(maxsize=64)
def _look_once(path: str, changed: int | None, size: int | None) -> ZhiluError | None:
    """A look at a vocabulary of 150,000 tokens takes half a second."""
    from zhilu.engine.model.config import read_config
    from zhilu.engine.model.gguf import read_gguf
    from zhilu.engine.text.gguf_tokenizer import refuse_unknown_tokenizer

    try:
        gguf = read_gguf(Path(path))  # held here, so that it is read once
        read_config(Path(path))
        refuse_unknown_tokenizer(gguf)
    except ZhiluError as error:
        return error
    return None


# Words for the weights and the arithmetic at once: bfloat16 products are twice as fast where the processor has them.
_PRECISIONS = {
    "bf16": ["--precision", "full", "--dtype", "bfloat16"],
    "int8-bf16": ["--precision", "int8", "--dtype", "bfloat16"],
}

ENGINE = ZhiluEngine()
