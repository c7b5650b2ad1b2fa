"""The engine behind its thread: cancellation frees blocks, a failed step does not end the service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from zhilu.engine.choose.sampling import SamplingParams
from zhilu.engine.engine import Engine
from zhilu.engine.server.service import EngineService
from zhilu.errors import BusyError, InputError, UpstreamError

LONG = SamplingParams(200, temperature=0, ignore_eos=True)
SHORT = SamplingParams(5, temperature=0, ignore_eos=True)


@asynccontextmanager
async def serving(engine: Engine, **options: Any) -> AsyncIterator[EngineService]:
    service = EngineService(engine, **options)
    try:
        yield service
    finally:
        service.stop()


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never became true"
        await asyncio.sleep(0.005)


def test_answers_of_several_prompts_come_in_one_stream(make_engine: Callable[..., Engine]) -> None:
    async def main() -> None:
        async with serving(make_engine()) as service:
            answer = await service.submit("a", [[5, 6], [7]], [SHORT, SHORT], n=2)
            seen = [choice async for choice, _ in answer]
            assert sorted(seen) == sorted([0, 1, 2, 3] * 5)

    asyncio.run(main())


def test_abort_stops_the_computation_and_frees_the_blocks(make_engine: Callable[..., Engine]) -> None:
    async def main() -> None:
        engine = make_engine()
        async with serving(engine) as service:
            answers = [await service.submit(str(i), [[5, 6, i]], [LONG]) for i in range(6)]
            await anext(aiter(answers[0]))
            for answer in answers:
                answer.abort()
                answer.abort()
            await until(lambda: not engine.requests)
            pool = engine.scheduler.pool
            assert pool.num_free == pool.num_blocks
            assert engine.metrics.finished.total() == 0

    asyncio.run(main())


def test_a_cancelled_caller_leaves_nothing_behind(make_engine: Callable[..., Engine]) -> None:
    async def main() -> None:
        engine = make_engine()
        async with serving(engine) as service:
            for delay in (0, 0.001, 0.01, 0.1):
                task = asyncio.create_task(service.submit("x", [[1, 2, 3]], [LONG]))
                await asyncio.sleep(delay)
                task.cancel()
                await asyncio.wait({task})
                if not task.cancelled():
                    task.result().abort()
            await until(lambda: not engine.requests)
            answer = await service.submit("y", [[1]], [SHORT])
            assert len([1 async for _ in answer]) == 5

    asyncio.run(main())


def test_one_bad_prompt_refuses_the_whole_call(make_engine: Callable[..., Engine]) -> None:
    async def main() -> None:
        engine = make_engine()
        async with serving(engine) as service:
            with pytest.raises(InputError, match="empty"):
                await service.submit("x", [[1], []], [SHORT, SHORT])
            assert await service.call(lambda: len(engine.requests)) == 0

    asyncio.run(main())


def test_a_failed_step_ends_its_requests_with_the_cause_and_the_service_goes_on(
    make_engine: Callable[..., Engine],
) -> None:
    async def main() -> None:
        engine = make_engine()
        run = engine.runner.run
        async with serving(engine) as service:

            def broken(chunks: Any) -> Any:
                raise RuntimeError("out of memory")

            engine.runner.run = broken  # type: ignore[method-assign]
            answer = await service.submit("x", [[1, 2]], [SHORT], n=2)
            with pytest.raises(UpstreamError, match="out of memory"):
                await anext(answer)
            engine.runner.run = run  # type: ignore[method-assign]
            assert engine.scheduler.pool.num_free == engine.scheduler.pool.num_blocks
            assert len([1 async for _ in await service.submit("y", [[1]], [SHORT])]) == 5

    asyncio.run(main())


def test_too_many_waiting_is_busy(make_engine: Callable[..., Engine]) -> None:
    async def main() -> None:
        async with serving(make_engine(max_num_seqs=1), max_waiting=2) as service:
            answers = []
            with pytest.raises(BusyError) as caught:
                for number in range(5):
                    answers.append(await service.submit(str(number), [[1, number]], [LONG]))
                    await anext(answers[0])
            assert caught.value.retry_after > 0
            for answer in answers:
                answer.abort()

    asyncio.run(main())


def test_a_call_of_many_prompts_leaves_places_for_those_who_come_after_it(make_engine: Callable[..., Engine]) -> None:
    async def main() -> None:
        engine = make_engine(max_num_seqs=4)
        async with serving(engine) as service:
            many = await service.submit("many", [[5, number] for number in range(2, 202)], [SHORT] * 200)
            late = await service.submit("late", [[9]], [SHORT])
            assert len([1 async for _ in late]) == 5
            held = await service.call(lambda: sum(len(b.adds) for b in service._backlogs.values()))
            assert held > 150  # who came later did not wait for those before it
            assert await service.call(lambda: len(engine.requests)) <= 3
            ended = [choice async for choice, output in many if output.finish_reason]
            assert sorted(ended) == list(range(200))
            assert not service._backlogs

    asyncio.run(main())


def test_a_call_of_many_prompts_that_nobody_reads_any_more_is_forgotten_whole(
    make_engine: Callable[..., Engine],
) -> None:
    async def main() -> None:
        engine = make_engine(max_num_seqs=4)
        async with serving(engine) as service:
            many = await service.submit("many", [[5, number] for number in range(2, 102)], [LONG] * 100)
            await anext(many)
            many.abort()
            await until(lambda: not engine.requests and not service._backlogs)
            with pytest.raises(InputError, match="out of vocabulary"):  # the last of many: none of them runs
                await service.submit("bad", [[5]] * 50 + [[10**9]], [SHORT] * 51)
            assert not engine.requests and not service._backlogs

    asyncio.run(main())
