"""The record of an engine's steps: it is what the engine did, of a real one that runs short of memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from zhilu.engine.choose.sampling import SamplingParams
from zhilu.engine.engine import Engine
from zhilu.engine.steps import StepLog

MakeEngine = Callable[..., Engine]
PROMPTS = [list(range(5, 5 + length)) for length in (3, 40, 17, 90, 1)]
NEW = 24


def test_the_record_is_what_the_engine_did(make_engine: MakeEngine) -> None:
    engine = make_engine(max_len=128, kv_tokens=160, max_batch_tokens=64)
    for number, prompt in enumerate(PROMPTS):
        engine.add(str(number), prompt, SamplingParams(max_tokens=NEW, temperature=0.0, ignore_eos=True))
    told, last, waited = [], 0, False
    while engine.requests:
        waiting_before = len(engine.scheduler.waiting)
        engine.step()
        seen = engine.steps.after(last, engine.scheduler)
        assert len(seen["steps"]) == 1 and seen["last"] == last + 1
        (step,) = seen["steps"]
        assert sum(s["prompt"] + s["guessed"] for s in step["shares"]) <= seen["max_batch_tokens"] == 64
        assert step["end"] >= step["start"] >= (told[-1]["end"] if told else 0)
        assert step["num_waiting"] == len(step["waiting"])
        waited = waited or (waiting_before > 0 and step["num_waiting"] > 0)
        assert {t["request"] for t in seen["tables"]} == {s.request.id for s in engine.scheduler.running}
        assert all(len(t["blocks"]) * seen["block_size"] >= t["tokens"] for t in seen["tables"])
        told, last = [*told, step], seen["last"]
    written = Counter[str]()
    for step in told:
        for share in step["shares"]:
            written[share["request"]] += share["written"]
    assert written == {str(number): NEW for number in range(len(PROMPTS))}
    ended = [share["request"] for step in told for share in step["shares"] if share["ended"]]
    assert sorted(ended) == ["0", "1", "2", "3", "4"]
    preempted = sum(len(step["preempted"]) for step in told)
    assert waited and preempted == engine.scheduler.num_preemptions > 0
    # Who was preempted reads its prompt again: without that, each is read once.
    read = sum(share["prompt"] for step in told for share in step["shares"])
    assert read >= sum(map(len, PROMPTS)) - 3 * 16


def test_only_the_newest_are_kept_and_only_what_is_new_is_told(make_engine: MakeEngine) -> None:
    engine = make_engine(max_len=128)
    engine.steps = StepLog(most=5)
    engine.add("0", PROMPTS[0], SamplingParams(max_tokens=NEW, temperature=0.0, ignore_eos=True), n=2)
    while engine.requests:
        engine.step()
    numbers = [step["number"] for step in engine.steps.after(0, engine.scheduler)["steps"]]
    last = engine.metrics.num_steps
    assert numbers == list(range(last - 4, last + 1))
    assert [step["number"] for step in engine.steps.after(last - 2, engine.scheduler)["steps"]] == [last - 1, last]
    kept = engine.steps.after(0, engine.scheduler)["steps"]
    assert {(share["request"], share["index"]) for step in kept for share in step["shares"]} == {("0", 0), ("0", 1)}
