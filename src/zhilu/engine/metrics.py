"""Counters of one engine, in Prometheus' text format, under vLLM's names where vLLM has them.

Dashboards and autoscalers written for vLLM (``vllm/v1/metrics/loggers.py``) then read our engine as well.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from collections.abc import Sequence as SequenceOf

from zhilu.engine.scheduler import Scheduler, Work
from zhilu.engine.sequence import Sequence

__all__ = ["Metrics", "prometheus_text"]

_STEP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_COUNTS = tuple(digit * 10**power for power in range(6) for digit in (1, 2, 5))
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Histogram:
    def __init__(self, bounds: SequenceOf[float] = _SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def lines(self, name: str, labels: str) -> Iterator[str]:
        running = 0
        for bound, count in zip([*map(str, self.bounds), "+Inf"], self.counts, strict=True):
            running += count
            yield f'{name}_bucket{{{labels},le="{bound}"}} {running}'
        yield f"{name}_sum{{{labels}}} {self.total}"
        yield f"{name}_count{{{labels}}} {running}"


class Metrics:
    """Written by the engine's thread, read by any: single numbers, so a reader is at most one step behind."""

    def __init__(self) -> None:
        self.num_steps = 0
        self.num_prompt_tokens = 0
        self.num_generated_tokens = 0
        self.num_computed_tokens = 0
        self.num_prefix_queries = 0  # prompt tokens looked up in the prefix cache
        self.num_prefix_hits = 0
        self.num_drafts = 0
        self.num_drafted_tokens = 0
        self.num_accepted_tokens = 0  # of those drafted
        self.finished: Counter[str] = Counter()
        self.first_token_seconds = Histogram()
        self.request_seconds = Histogram()
        self.token_gap_seconds = Histogram(_STEP_SECONDS)
        self.queue_seconds = Histogram()
        self.prefill_seconds = Histogram()
        self.decode_seconds = Histogram()
        self.inference_seconds = Histogram()
        self.step_tokens = Histogram(_COUNTS)
        self.request_prompt_tokens = Histogram(_COUNTS)
        self.request_generated_tokens = Histogram(_COUNTS)
        self.request_n = Histogram(_COUNTS)
        self.request_max_tokens = Histogram(_COUNTS)
        self.request_preemptions = Histogram((0, *_COUNTS))

    def note_start(self, work: SequenceOf[Work]) -> None:
        """A step begins: those who are in one for the first time have waited until now."""
        for item in work:
            if item.sequence.admitted_at is None:
                item.sequence.admitted_at = time.monotonic()
                self.queue_seconds.add(item.sequence.admitted_at - item.sequence.request.arrived)

    def count_step(self, work: SequenceOf[Work], num_tokens: int) -> None:
        """``num_tokens``: of prompts that were read, and those generated."""
        self.num_steps += 1
        self.step_tokens.add(num_tokens)
        self.num_computed_tokens += sum(item.num_tokens + len(item.draft) for item in work)

    def count_draft(self, num_drafted: int, num_accepted: int) -> None:
        self.num_drafts += 1
        self.num_drafted_tokens += num_drafted
        self.num_accepted_tokens += num_accepted

    def count_token(self, sequence: Sequence) -> None:
        self.num_generated_tokens += 1
        now = time.monotonic()
        if sequence.last_token_at is None:
            sequence.first_token_at = now
            self.first_token_seconds.add(now - sequence.request.arrived)
            self.prefill_seconds.add(now - (sequence.admitted_at or now))
            self.num_prefix_queries += sequence.num_prompt
            self.num_prefix_hits += sequence.num_cached
        else:
            self.token_gap_seconds.add(now - sequence.last_token_at)
        sequence.last_token_at = now

    def count_finish(self, sequence: Sequence, reason: str) -> None:
        self.finished[reason] += 1
        now, request = time.monotonic(), sequence.request
        self.request_seconds.add(now - request.arrived)
        self.decode_seconds.add(now - (sequence.first_token_at or now))
        self.inference_seconds.add(now - (sequence.admitted_at or now))
        self.request_generated_tokens.add(sequence.num_output)
        self.request_preemptions.add(sequence.num_preemptions)
        if sequence.index == 0:  # what is the request's own counts once
            self.request_prompt_tokens.add(sequence.num_prompt)
            self.request_n.add(request.n)
            self.request_max_tokens.add(request.params.max_tokens)


def prometheus_text(metrics: Metrics, scheduler: Scheduler, max_len: int, model: str) -> str:
    """The body of ``GET /metrics``. ``max_len``: tokens of the longest sequence; ``model``: the name it is served under."""
    labels = f'model_name="{_escaped(model)}"'
    lines: list[str] = []

    def single(name: str, kind: str, help: str, value: float) -> None:
        lines.extend([f"# HELP {name} {help}", f"# TYPE {name} {kind}", f"{name}{{{labels}}} {value}"])

    single("vllm:num_requests_running", "gauge", "Sequences being computed.", len(scheduler.running))
    single("vllm:num_requests_waiting", "gauge", "Sequences waiting for room.", len(scheduler.waiting))
    single("vllm:kv_cache_usage_perc", "gauge", "Used share of the key-value memory, 0 to 1.", kv_usage(scheduler))
    single("vllm:num_preemptions_total", "counter", "Sequences put back to waiting.", scheduler.num_preemptions)
    single("vllm:prompt_tokens_total", "counter", "Prompt tokens received.", metrics.num_prompt_tokens)
    single("vllm:generation_tokens_total", "counter", "Tokens generated.", metrics.num_generated_tokens)
    single("vllm:prefix_cache_queries_total", "counter", "Prompt tokens looked up.", metrics.num_prefix_queries)
    single("vllm:prefix_cache_hits_total", "counter", "Prompt tokens found computed.", metrics.num_prefix_hits)
    for what, value in (
        ("drafts", metrics.num_drafts),
        ("draft_tokens", metrics.num_drafted_tokens),
        ("accepted_tokens", metrics.num_accepted_tokens),
    ):
        single(f"vllm:spec_decode_num_{what}_total", "counter", f"N-gram speculation: {what.replace('_', ' ')}.", value)
    single("zhilu:engine_steps_total", "counter", "Steps of the engine.", metrics.num_steps)
    single(
        "zhilu:computed_tokens_total", "counter", "Tokens computed, recomputed ones too.", metrics.num_computed_tokens
    )
    lines += ["# HELP vllm:request_success_total Answers finished.", "# TYPE vllm:request_success_total counter"]
    for reason in ("stop", "length"):
        lines.append(
            f'vllm:request_success_total{{{labels},finished_reason="{reason}"}} {metrics.finished[reason]}'
        )  # fmt: skip
    lines += _cache_info(scheduler, max_len, labels)
    for name, histogram, help in (
        ("vllm:time_to_first_token_seconds", metrics.first_token_seconds, "From arrival to the first token."),
        ("vllm:e2e_request_latency_seconds", metrics.request_seconds, "From arrival to the last token."),
        ("vllm:inter_token_latency_seconds", metrics.token_gap_seconds, "From one token to the next."),
        ("vllm:request_queue_time_seconds", metrics.queue_seconds, "From arrival to the first step."),
        ("vllm:request_prefill_time_seconds", metrics.prefill_seconds, "From the first step to the first token."),
        ("vllm:request_decode_time_seconds", metrics.decode_seconds, "From the first token to the last."),
        ("vllm:request_inference_time_seconds", metrics.inference_seconds, "From the first step to the last token."),
        ("vllm:iteration_tokens_total", metrics.step_tokens, "Prompt tokens read and tokens generated in a step."),
        ("vllm:request_prompt_tokens", metrics.request_prompt_tokens, "Prompt tokens of a request."),
        ("vllm:request_generation_tokens", metrics.request_generated_tokens, "Tokens of an answer."),
        ("vllm:request_params_n", metrics.request_n, "Answers asked for."),
        ("vllm:request_params_max_tokens", metrics.request_max_tokens, "The limit of tokens of a request."),
        ("vllm:request_num_preemptions", metrics.request_preemptions, "How often an answer had to wait again."),
    ):
        lines += [f"# HELP {name} {help}", f"# TYPE {name} histogram", *histogram.lines(name, labels)]
    return "\n".join(lines) + "\n"


def _cache_info(scheduler: Scheduler, max_len: int, labels: str) -> list[str]:
    """Why sequences wait, and the size of the key-value memory, as labels: that is how vLLM tells it."""
    pool = scheduler.pool
    num_tokens = pool.num_blocks * pool.block_size
    size = {
        "block_size": pool.block_size,
        "num_gpu_blocks": pool.num_blocks,
        "kv_cache_size_tokens": num_tokens,
        "kv_cache_max_concurrency": round(num_tokens / max_len, 2),
        "enable_prefix_caching": pool.prefix_caching,
    }
    waiting, config = "vllm:num_requests_waiting_by_reason", "vllm:cache_config_info"
    return [
        f"# HELP {waiting} Sequences waiting, by what they wait for.",
        f"# TYPE {waiting} gauge",
        f'{waiting}{{{labels},reason="capacity"}} {len(scheduler.waiting)}',
        f"# HELP {config} The key-value memory.",
        f"# TYPE {config} gauge",
        f"{config}{{{labels}," + ",".join(f'{key}="{value}"' for key, value in size.items()) + "} 1.0",
    ]


def kv_usage(scheduler: Scheduler) -> float:
    return 1 - scheduler.pool.num_free / scheduler.pool.num_blocks


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
