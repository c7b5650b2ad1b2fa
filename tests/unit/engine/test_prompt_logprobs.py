"""Log-probabilities of a prompt's own tokens: whole, in pieces, behind a warm cache, and after a preemption."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from zhilu.engine.choose.sampler import SampledToken
from zhilu.engine.choose.sampling import SamplingParams
from zhilu.engine.engine import Engine
from zhilu.engine.sequence import Output

GREEDY = SamplingParams(20, temperature=0, ignore_eos=True, num_top_logprobs=2)
READ = SamplingParams(1, temperature=0, ignore_eos=True, num_prompt_logprobs=2)


def run(engine: Engine, *requests: tuple[list[int], SamplingParams], n: int = 1) -> list[list[Output]]:
    for number, (prompt, wish) in enumerate(requests):
        engine.add(str(number), prompt, wish, n)
    outputs: list[list[Output]] = [[] for _ in requests]
    while engine.requests:
        for output in engine.step():
            assert output.error is None
            outputs[int(output.request_id)].append(output)
    return outputs


def reported(outputs: list[Output]) -> list[SampledToken]:
    """The one report of a request, which comes with its first output."""
    assert [bool(output.prompt_logprobs) for output in outputs] == [True] + [False] * (len(outputs) - 1)
    return list(outputs[0].prompt_logprobs)


def test_what_was_generated_reads_the_same_as_a_prompt(make_engine: Callable[..., Engine]) -> None:
    prompt = [7, 8, 9] * 20
    engine = make_engine()
    (written,) = run(engine, (prompt, GREEDY))
    tokens = [output.token for output in written if output.token]
    text = prompt + [token.id for token in tokens]
    # The second time the prompt's beginning is in the prefix cache, which must not shorten the report.
    for again in (engine, make_engine(max_batch_tokens=16)):
        for n in (1, 2):
            (outputs,) = run(again, (text, READ), n=n)
            entries = reported(outputs)
            assert [entry.id for entry in entries] == text[1:]
            for entry, token in zip(entries[-len(tokens) :], tokens, strict=True):
                assert entry.logprob == pytest.approx(token.logprob, abs=2e-3)
                assert entry.rank == 1 and entry.top[0][0] == entry.id and len(entry.top) == 2


def test_reports_survive_being_put_back(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(kv_tokens=128, max_len=128)
    wishes = [([start, 5, 6] * 8, replace(READ, max_tokens=60)) for start in (10, 20, 30, 40)]
    outputs = run(engine, *wishes)
    assert engine.scheduler.num_preemptions > 0
    alone = [run(make_engine(), wish)[0] for wish in wishes]
    for together, single in zip(outputs, alone, strict=True):
        first, second = reported(together), reported(single)
        assert [entry.id for entry in first] == [entry.id for entry in second]
        assert [entry.logprob for entry in first] == pytest.approx([entry.logprob for entry in second], abs=2e-3)


def test_nobody_else_is_reported(make_engine: Callable[..., Engine]) -> None:
    quiet = replace(READ, num_prompt_logprobs=None)
    first, second = run(make_engine(), ([1, 2, 3], READ), ([1, 2, 3], quiet))
    assert len(reported(first)) == 2 and not any(output.prompt_logprobs for output in second)
