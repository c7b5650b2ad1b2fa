"""The engine's figures, under the names that dashboards for vLLM ask for."""

from __future__ import annotations

from collections.abc import Callable

from zhilu.engine.choose.sampling import SamplingParams
from zhilu.engine.engine import Engine
from zhilu.engine.metrics import prometheus_text


def figures(engine: Engine) -> dict[str, float]:
    """Samples without buckets; of several labels the last."""
    lines = [
        line
        for line in prometheus_text(engine.metrics, engine.scheduler, engine.max_len, "m").splitlines()
        if not line.startswith("#") and "_bucket" not in line
    ]
    return {line.partition("{")[0].removeprefix("vllm:"): float(line.rpartition(" ")[2]) for line in lines}


def test_requests_are_counted_in_every_histogram(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    num_requests, prompt, max_tokens = 3, list(range(20, 31)), 10
    for number in range(num_requests):  # one after the other: a step is then a token of one answer
        engine.add(str(number), prompt, SamplingParams(max_tokens, 0.0, ignore_eos=True))
        while engine.requests:
            engine.step()
    seen = figures(engine)
    once = (
        *("time_to_first_token_seconds", "e2e_request_latency_seconds", "request_queue_time_seconds"),
        *("request_inference_time_seconds", "request_prefill_time_seconds", "request_decode_time_seconds"),
        *("request_num_preemptions", "request_prompt_tokens", "request_generation_tokens", "request_params_n"),
        "request_params_max_tokens",
    )
    assert {name: seen[f"{name}_count"] for name in once} == dict.fromkeys(once, num_requests)
    assert seen["inter_token_latency_seconds_count"] == num_requests * (max_tokens - 1)
    assert seen["request_prompt_tokens_sum"] == num_requests * len(prompt)
    assert seen["request_generation_tokens_sum"] == seen["request_params_max_tokens_sum"] == num_requests * max_tokens
    assert seen["iteration_tokens_total_count"] == num_requests * max_tokens
    assert seen["iteration_tokens_total_sum"] == num_requests * (len(prompt) + max_tokens)
    parts = ("request_queue_time_seconds", "request_prefill_time_seconds", "request_decode_time_seconds")
    assert sum(seen[f"{name}_sum"] for name in parts) <= seen["e2e_request_latency_seconds_sum"]


def test_what_belongs_to_a_request_counts_once_for_all_its_answers(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    engine.add("a", [5, 6, 7], SamplingParams(4, 1.0, ignore_eos=True), n=3)
    while engine.requests:
        engine.step()
    seen = figures(engine)
    assert (seen["request_params_n_count"], seen["request_params_n_sum"]) == (1, 3)
    assert (seen["request_generation_tokens_count"], seen["request_generation_tokens_sum"]) == (3, 12)
    assert seen["request_prompt_tokens_sum"] == 3


def test_the_cache_tells_its_size(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    pool = engine.scheduler.pool
    (line,) = [
        line
        for line in prometheus_text(engine.metrics, engine.scheduler, engine.max_len, "m").splitlines()
        if line.startswith("vllm:cache_config_info")
    ]
    assert f'kv_cache_size_tokens="{pool.num_blocks * pool.block_size}"' in line
    assert f'kv_cache_max_concurrency="{round(pool.num_blocks * pool.block_size / engine.max_len, 2)}"' in line
    assert 'vllm:num_requests_waiting_by_reason{model_name="m",reason="capacity"} 0' in prometheus_text(
        engine.metrics, engine.scheduler, engine.max_len, "m"
    )
