"""The options an engine is started with, and what it decides itself. Every automatic choice has a reason."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from zhilu.engine.model.config import ModelConfig
from zhilu.errors import InputError
from zhilu.messages import T

__all__ = ["SPECULATE", "EngineOptions", "check_speculate", "choose_kv_tokens", "choose_max_len", "choose_threads"]

# What a server guesses at once unless told otherwise: it backs off by itself where guessing does not pay.
_LEAST_LEN = 512  # tokens; of a shorter context nobody has anything
SPECULATE = 8
_MOST_SPECULATE = 64


@dataclass(frozen=True)
class EngineOptions:
    """Zero, ``None`` and ``"auto"`` leave the choice to the engine.

    Attributes:
        max_len: prompt plus answer, in tokens.
        max_num_seqs: sequences computed together in one step.
        kv_tokens: size of the key-value memory over all sequences.
        max_batch_tokens: tokens per step; longer prompts are computed in pieces.
        runner: openvino or torch.
        device: cpu, cuda; the latter for torch only.
        dtype: of the arithmetic: float32, bfloat16, float16.
        speculate: tokens guessed at once from the text so far and checked in one step (``speculate.py``); 0 for none.
        adapters: LoRA adapters loaded at the start, PEFT folders by name.
        precision: full computes with the weights as stored; int8 rounds them (OpenVINO only).
        cache: folder for what a second start of the same model need not make again; None: nothing is kept.
    """

    model: Path
    threads: int = 0
    max_len: int | None = None
    max_num_seqs: int = 32
    kv_tokens: int | None = None
    max_batch_tokens: int = 512
    prefix_caching: bool = True
    runner: str = "auto"
    device: str = "auto"
    dtype: str = "auto"
    precision: str = "auto"
    speculate: int = 0
    adapters: Mapping[str, Path] = field(default_factory=dict)
    cache: Path | None = None


def check_speculate(asked: int) -> None:
    """InputError for a number of guesses that cannot be."""
    if not 0 <= asked <= _MOST_SPECULATE:
        raise InputError(
            T(
                f"speculate {asked} is out of range: 0 (off) to {_MOST_SPECULATE} tokens",
                f"speculate {asked} 超出范围：0（关闭）到 {_MOST_SPECULATE} 个 token",
            ),
            param="speculate",
            fix=f"--speculate {SPECULATE}",
        )


def choose_threads(asked: int) -> tuple[int, str]:
    if asked:
        return asked, "asked for"
    if (os.environ.get("OMP_NUM_THREADS") or "").isdecimal():
        return int(os.environ["OMP_NUM_THREADS"]), "OMP_NUM_THREADS"
    import psutil

    physical = psutil.cpu_count(logical=False) or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else physical
    return max(1, min(physical, allowed)), "one per physical core that this process may use"


def choose_max_len(asked: int | None, config: ModelConfig) -> tuple[int, str]:
    """InputError if more is asked for than the model has positions."""
    if asked is None and config.rope.long_factors:
        return (
            config.rope.original_max_positions,
            "the length up to which the model's short positions (LongRoPE) are exact",
        )
    if asked is None:
        return config.max_positions, "the model's max_position_embeddings"
    if not 2 <= asked <= config.max_positions:
        raise InputError(
            T(
                f"max-len {asked} is out of range: the model has {config.max_positions} positions",
                f"max-len {asked} 超出范围：该模型只有 {config.max_positions} 个位置",
            ),
            param="max_len",
        )
    return asked, "asked for"


def choose_kv_tokens(
    asked: int | None,
    max_len: int,
    max_num_seqs: int,
    bytes_per_token: int,
    free_bytes: int,
    may_shorten: bool = False,
) -> tuple[int, str]:
    """Tokens of key-value memory: enough for every sequence at full length, within a quarter of the free memory.

    InputError if not even one sequence of ``max_len`` fits; with ``may_shorten``, where nobody asked for that length, only
    if fewer than 512 tokens do: models state 131,072 positions, and that can be more than the machine.
    """
    if asked is not None:
        chosen, reason = asked, "asked for"
    else:
        wanted, fits = max_len * max_num_seqs, free_bytes // 4 // bytes_per_token
        chosen, reason = min((wanted, f"{max_num_seqs} sequences of {max_len}"), (fits, "a quarter of the free memory"))
    if may_shorten and _LEAST_LEN <= chosen < max_len:
        return chosen, f"{reason}; the model could read {max_len}"
    if chosen < max_len:
        raise InputError(
            T(
                f"key-value memory for {chosen} tokens ({reason}) cannot hold one sequence of {max_len}",
                f"{chosen} 个 token 的键值缓存（{reason}）放不下一个长度为 {max_len} 的序列",
            ),
            param="kv_tokens",
            fix=f"--max-len {chosen}",
        )
    return chosen, reason
