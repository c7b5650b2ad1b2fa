"""What a running model is doing right now, read from figures that the gateway collects anyway."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Literal

__all__ = ["LiveFigures", "read_live"]

_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\{(.*)\} (\S+)(?: \d+)?")
_LABEL = re.compile(r'(?<![a-zA-Z0-9_])([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class LiveFigures:
    """Counts since the engine started; a rate is the difference of two readings over that of ``at``.

    Attributes:
        at: seconds on a clock that only grows.
        source: ``engine`` where the engine counts tokens itself, as they come; ``gateway`` where only finished requests
            are known.
        running, waiting: requests being computed and waiting for room; waiting is None where the engine does not tell.
        kv_usage: used share of the key-value memory, 0 to 1.
    """

    at: float
    source: Literal["engine", "gateway"]
    prompt_tokens: int
    generated_tokens: int
    num_answered: int
    running: int
    waiting: int | None
    kv_usage: float | None


def read_live(exposition: str, model: str) -> LiveFigures:
    """The figures of ``model`` in the gateway's Prometheus text, where every engine's samples bear its ``model`` label.

    Engines are read under vLLM's names. A model that was asked nothing yet has zeros.
    """
    mine = _samples(exposition, model)

    def total(name: str, **wanted: str) -> float | None:
        values = [
            value for labels, value in mine.get(name, ()) if all(labels.get(key) == one for key, one in wanted.items())
        ]
        return sum(values) if values else None

    generated = total("vllm:generation_tokens_total")
    prompt = total("vllm:prompt_tokens_total")
    running = total("vllm:num_requests_running")
    waiting = total("vllm:num_requests_waiting")
    gateway = "zhilu_gateway_tokens_total"
    return LiveFigures(
        at=time.monotonic(),
        source="gateway" if generated is None else "engine",
        prompt_tokens=int((total(gateway, kind="prompt") or 0) if prompt is None else prompt),
        generated_tokens=int((total(gateway, kind="completion") or 0) if generated is None else generated),
        num_answered=int(total("zhilu_gateway_requests_total") or 0),
        running=int((total("zhilu_gateway_in_flight") or 0) if running is None else running),
        waiting=None if waiting is None else int(waiting),
        kv_usage=total("vllm:kv_cache_usage_perc"),
    )


def _samples(exposition: str, model: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for line in exposition.splitlines():
        match = _SAMPLE.fullmatch(line)
        if match is None:
            continue
        labels = {key: _plain(value) for key, value in _LABEL.findall(match[2])}
        if labels.get("model") == model:
            found.setdefault(match[1], []).append((labels, float(match[3])))
    return found


def _plain(value: str) -> str:
    return re.sub(r"\\(.)", lambda escaped: "\n" if escaped[1] == "n" else escaped[1], value)
