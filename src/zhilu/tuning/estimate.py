"""What a run will take, before a step is spent: memory from the shapes of the model and the configuration.

The formula counts what the recipes keep: weights, trained tensors with their gradients and AdamW's two moments, what a packed
sequence leaves behind for the way back (no layer is computed twice), and the logits of the learned tokens. Time depends on the
machine, so it is not calculated but measured: by three steps of the run itself (see ``probe``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from zhilu.engine.model.config import ModelConfig, read_config, tensor_shapes
from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.tuning.base_model import TARGETS
from zhilu.tuning.config import REWARDED, ROUND, Chosen, Method, Optimizer, TuneConfig
from zhilu.tuning.four_bit import BITS, can_4_bits

__all__ = ["Estimate", "Planned", "at_once", "estimate", "nearest_that_fits", "processes_here", "refuse_memory"]

_PROGRAM = 450_000_000  # PyTorch, Transformers and the program itself
_SPARE = 1.2  # what an allocator holds beyond what is asked of it
_SHORTEST = 128  # tokens of a sequence below which nobody is advised to go
_MOMENTS: dict[Optimizer, int] = {"adamw": 8, "lion": 4, "adamw8bit": 2}  # bytes a trained weight
_CHUNK = 512  # learned tokens whose logits are in memory at once (recipes/sft.py)


class Estimate(BaseModel):
    """Bytes by what they are for, and ``total`` with the program and an allowance for the allocator."""

    method: Method
    max_len: int
    weights: int
    trained: int
    sequence: int
    logits: int
    total: int
    checkpointing: bool = False


class Planned(BaseModel):
    """What a run would take.

    Attributes:
        memory: by the formula; ``free``: bytes of memory that are free now for each of the run's ``processes`` on this machine.
        fits: the nearest configuration that does, where this one does not.
        steps, tokens: of the whole run. step_seconds, peak_mb: measured by the probe's steps; seconds: of all steps.
    """

    memory: Estimate
    free: int
    fits: Estimate | None = None
    steps: int
    tokens: int
    step_seconds: float
    seconds: float
    peak_mb: int
    processes: int = 1


def estimate(
    folder: Path, method: Method, rank: int, max_len: int, rows: int = 1, *, optimizer: Optimizer = "adamw", checkpointing: bool = False
) -> Estimate:  # fmt: skip
    """
    Args:
        folder: of the base. rank: of the adapter. max_len: tokens of a packed sequence.
        rows: sequences whose way back is in memory at once.
        checkpointing: of each layer only its input is kept, and one layer at a time is computed again.
    """
    config = read_config(folder)
    shapes = dict(tensor_shapes(config))
    count = sum(math.prod(shape) for shape in shapes.values())
    inside = {name: shape for name, shape in shapes.items() if name.split(".")[-2] in TARGETS and len(shape) == 2}
    in_blocks = sum(math.prod(shape) for shape in inside.values())
    weights = 4.0 * count
    if method == "qlora":
        weights = 4 * (count - in_blocks) + BITS / 8 * in_blocks
    tuned = count if method == "full" else sum(rank * sum(shape) for shape in inside.values())
    trained = tuned * (
        4 + _MOMENTS[optimizer] + (0 if method == "full" else 4)
    )  # gradient, moments; an adapter's own weights as well
    layers = config.num_layers * _kept(config, max_len, method)
    if checkpointing:
        layers = config.num_layers * config.hidden_size + _kept(config, max_len, method)
    sequence = 4 * max_len * rows * layers
    logits = 3 * 4 * min(max_len, _CHUNK) * config.vocab_size
    total = _PROGRAM + _SPARE * (weights + trained + sequence + logits)
    return Estimate(
        method=method, max_len=max_len, weights=round(weights), trained=round(trained), sequence=round(sequence),
        logits=logits, total=round(total), checkpointing=checkpointing,
    )  # fmt: skip


def _kept(config: ModelConfig, max_len: int, method: Method) -> int:
    """Values that a layer keeps of one token: its inputs and norms, queries, keys and values before and after they are turned, the
    gate's four, the attention's row; and the inputs of adapters, which are the layer's own."""
    heads = config.head_dim * (3 * config.num_heads + 4 * config.num_kv_heads)
    return 8 * config.hidden_size + heads + 4 * config.intermediate_size + config.num_heads * max_len


def nearest_that_fits(
    folder: Path, asked: Estimate, rank: int, free: int, longest: int, optimizer: Optimizer = "adamw"
) -> Estimate | None:
    """Of shorter sequences, layers that are computed twice, and smaller bases, the first that fits into ``free`` bytes; a sequence holds
    the ``longest`` row.

    Shorter sequences and checkpointing change nothing but speed, so they are tried before another method.
    """
    methods: dict[Method, tuple[Method, ...]] = {
        "full": ("full", "lora", "qlora"), "lora": ("lora", "qlora"), "qlora": ("qlora",),
    }  # fmt: skip
    for method in methods[asked.method]:
        if method == "qlora" and not can_4_bits():
            continue
        for again in (False, True):
            for length in _lengths(asked.max_len, longest):
                found = estimate(folder, method, rank, length, optimizer=optimizer, checkpointing=again)
                if found.total <= free:
                    return found
    return None


def _lengths(most: int, longest: int) -> Iterator[int]:
    length = most
    while length > max(longest, _SHORTEST):
        yield length
        length //= 2
    yield min(most, max(longest, _SHORTEST))


def at_once(config: TuneConfig, chosen: Chosen, longest: int) -> int:
    """Sequences whose way back is in memory at once: all answers of a round where a reward is learned from, one otherwise."""
    if config.objective not in REWARDED:
        return 1
    return math.ceil(ROUND * (longest + config.max_answer) / chosen.max_len)


def processes_here(config: TuneConfig) -> int:
    """Processes of a run among which this machine's memory is divided: each reads the whole base before it keeps a part of it. What
    those of a Ray cluster have is Ray's to know."""
    return 1 if config.ray_address else config.num_processes


def refuse_memory(folder: Path, config: TuneConfig, chosen: Chosen, longest: int) -> Estimate:
    """
    Raises:
        InputError: the run does not fit into the free memory; says what it takes, what is free, and the nearest that fits.
    """
    import psutil

    asked = estimate(
        folder, config.method, chosen.rank, chosen.max_len, at_once(config, chosen, longest),
        optimizer=config.optimizer, checkpointing=config.checkpointing,
    )  # fmt: skip
    here = processes_here(config)
    available = psutil.virtual_memory().available
    free = available // here
    if asked.total <= free:
        return asked
    near = nearest_that_fits(folder, asked, chosen.rank, free, longest, config.optimizer)
    parts = f"{asked.weights / 1e9:.1f} + {asked.trained / 1e9:.1f} + {(asked.sequence + asked.logits) / 1e9:.1f}"
    en = (
        f"{config.method} of {config.model} with sequences of {asked.max_len:,} tokens takes about {asked.total / 1e9:.1f} GB (weights, "
        f"trained tensors and sequences: {parts}); {free / 1e9:.1f} GB are free{f' for each of {here} processes' if here > 1 else ''}."
    )
    zh = (
        f"用 {config.method} 微调 {config.model}（序列 {asked.max_len:,} 个 token）约需 {asked.total / 1e9:.1f} GB（权重、训练张量、序列："
        f"{parts}）；{f'{here} 个进程各有' if here > 1 else ''}空闲内存 {free / 1e9:.1f} GB。"
    )
    if here > 1 and (several := available // asked.total):
        fewer = f"--launch {config.launch} --nproc {several}" if several > 1 else "--launch one"
        en += f" Memory is enough for {several} of them."
        zh += f"内存足够 {several} 个进程使用。"
        fix = f"zhilu tune run --data {config.data} --model {config.model} --method {config.method} {fewer}"
    elif near is not None:
        size = f"{near.total / 1e9:.1f} GB"
        again = " --checkpointing" if near.checkpointing else ""
        en += f" The nearest that fits: {near.method}{again} with sequences of {near.max_len:,} tokens ({size})."
        zh += f"装得下的最接近配置：{near.method}{again}，序列 {near.max_len:,} 个 token（{size}）。"
        fix = f"zhilu tune run --data {config.data} --model {config.model} --method {near.method}{again} --max-len {near.max_len}"
    else:
        en, zh = f"{en} No method fits with this base and data.", f"{zh}这个基座和数据没有装得下的方法。"
        fix = f"zhilu tune run --data {config.data} --model zhilu-nano"
    raise InputError(T(en, zh), param="method", code="out_of_memory", fix=fix)
