"""The engine's own thread, and the way in for asynchronous callers.

Exactly one thread uses the engine. Callers put functions into an inbox, and the thread runs them before each step. Outputs go
back to the event loop once per step, into one queue per request.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from zhilu.engine.choose.sampling import SamplingParams
from zhilu.engine.engine import Engine
from zhilu.engine.sequence import Output, Request
from zhilu.errors import BusyError, CancelledByUser, InputError, UpstreamError, ZhiluError
from zhilu.logs import get_logger
from zhilu.messages import T

__all__ = ["Answer", "EngineService"]

log = get_logger(__name__)
V = TypeVar("V")


class Answer:
    """The outputs of one call as they come: an asynchronous iterator of ``(choice, Output)``.

    Several prompts with ``n`` answers each make ``len(prompts) * n`` choices, numbered prompt by prompt. Raises what
    ended the request, UpstreamError where a step failed.
    """

    def __init__(self, service: EngineService, ids: list[str], n: int) -> None:
        self._service = service
        self._first_choice = {id: position * n for position, id in enumerate(ids)}
        self._num_open = len(ids) * n
        # Not an asyncio.Queue: with one reader and no limit, half of what it does for each token is for nobody.
        self._outputs: deque[Output] = deque()
        self._reader: asyncio.Future[None] | None = None  # where it waits

    def put(self, output: Output) -> None:
        """To be called in the event loop."""
        self._outputs.append(output)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    @property
    def has_more(self) -> bool:
        """The next output is there already: who writes may wait for it and write once."""
        return bool(self._outputs)

    def __aiter__(self) -> Answer:
        return self

    async def __anext__(self) -> tuple[int, Output]:
        if not self._num_open:
            raise StopAsyncIteration
        if not self._outputs:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        output = self._outputs.popleft()
        if output.error is not None:
            self.abort()
            raise output.error
        self._num_open -= output.finish_reason is not None
        return self._first_choice[output.request_id] + output.index, output

    def cancel(self) -> None:
        """Somebody else wants it to end: who reads it gets CancelledByUser next, and aborts."""
        first = next(iter(self._first_choice))
        self.put(Output(first, 0, error=CancelledByUser(T("the request was cancelled", "请求已被取消"))))

    def abort(self) -> None:
        """Stop what still runs and free its blocks. Call it in a ``finally``: nothing happens to a finished answer."""
        self._service.forget(list(self._first_choice), abort=self._num_open > 0)
        self._num_open = 0


class _Backlog:
    """The prompts of one call that the engine does not have yet, and those that it has. Of the engine's thread."""

    def __init__(self, adds: deque[tuple[str, Callable[[], Request]]], at_once: int) -> None:
        self.adds = adds
        self.at_once = at_once
        self.open: set[str] = set()


class EngineService:
    """
    A call of many prompts gets three quarters of the places at most, and the next prompt follows when one has ended: so
    whoever comes after it waits for one of them, never for all.

    Args:
        engine: from now on owned by this service's thread.
        max_waiting: sequences in the queue beyond which new requests are refused (BusyError).
    """

    def __init__(self, engine: Engine, max_waiting: int = 512) -> None:
        self.engine = engine
        self.max_waiting = max_waiting
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._answers: dict[str, Answer] = {}
        # Grammars may take seconds each: in threads of their own, so that none keeps conversations from being read.
        self.compiling = ThreadPoolExecutor(2, thread_name_prefix="grammar")
        self._backlogs: dict[str, _Backlog] = {}  # by the first id of the call
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    async def submit(
        self,
        id: str,
        prompts: list[list[int]],
        params: list[SamplingParams],
        n: int = 1,
        adapter: str | None = None,
    ) -> Answer:
        """Queue one request per prompt, with its parameters, under one answer; with a loaded LoRA adapter, or none.

        Raises:
            NotFoundError: the adapter is not loaded.
            InputError: a request cannot be run (see ``Engine.add``); then none of them is.
            BusyError: too many are waiting.
        """
        at_once = max(1, self.engine.scheduler.share // n)
        waiting = len(self.engine.scheduler.waiting)
        if waiting and waiting + min(len(prompts), at_once) * n > self.max_waiting:
            raise BusyError(T(f"{waiting} requests are waiting already", f"已有 {waiting} 个请求在排队"), retry_after=5)
        ids = [f"{id}-{position}" for position in range(len(prompts))]
        answer = Answer(self, ids, n)
        self._answers.update(dict.fromkeys(ids, answer))

        def check() -> None:
            for prompt, wish in zip(prompts, params, strict=True):
                self.engine.check(prompt, wish)

        def add() -> None:
            for own_id, prompt, wish in zip(ids[:at_once], prompts, params, strict=False):
                self.engine.add(own_id, prompt, wish, n, adapter)
            rest = zip(ids[at_once:], prompts[at_once:], params[at_once:], strict=True)
            adds: deque[tuple[str, Callable[[], Request]]] = deque(
                (i, partial(self.engine.add, i, prompt, wish, n, adapter)) for i, prompt, wish in rest
            )
            if adds:
                self._backlogs[ids[0]] = backlog = _Backlog(adds, at_once)
                backlog.open.update(ids[:at_once])

        try:
            if len(prompts) > 1:
                await asyncio.to_thread(check)  # all before any: the engine does not wait for it
            for grammar in {wish.grammar for wish in params if wish.grammar is not None}:
                await self._loop.run_in_executor(self.compiling, self._check_grammar, grammar)
            await self.call(add)
        except BaseException:
            answer.abort()
            raise
        return answer

    def _check_grammar(self, grammar: str) -> None:
        """InputError that names the field which the grammar was written from, where the grammar knows it."""
        try:
            self.engine.guides.check(grammar)
        except InputError as error:
            field = getattr(grammar, "field", None)
            if field is None:
                raise
            en, zh = error.message
            raise InputError(T(f"{field}: {en}", f"{field}：{zh}"), param=field, code=error.code) from None

    def forget(self, ids: list[str], abort: bool) -> None:
        """Deliver nothing more for these requests; with ``abort`` also stop computing them."""

        def abort_all() -> None:
            self._backlogs.pop(ids[0], None)
            for id in ids:
                self.engine.abort(id)

        for id in ids:
            self._answers.pop(id, None)
        if abort:
            self._inbox.put(abort_all)

    async def call(self, function: Callable[[], V]) -> V:
        """Run ``function`` on the engine's thread between two steps and return what it returns or raises."""
        done: Future[V] = Future()

        def run() -> None:
            if not done.set_running_or_notify_cancel():
                return  # the caller has gone
            try:
                done.set_result(function())
            except BaseException as error:
                done.set_exception(error)

        self._inbox.put(run)
        return await asyncio.wrap_future(done)

    def stop(self) -> None:
        """End the thread after the step in progress; open requests get no more outputs."""
        self.compiling.shutdown(wait=False, cancel_futures=True)
        self._inbox.put(None)
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while self._work_off_inbox():
            try:
                outputs = self.engine.step()
            except Exception as error:
                log.exception("engine_step_failed")
                outputs = self.engine.fail_all(_as_zhilu_error(error))
            outputs += self._feed()
            if outputs and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._deliver, outputs)

    def _feed(self) -> list[Output]:
        """Give the engine the next prompts of calls that have places again; those that it refuses are told."""
        failed: list[Output] = []
        for call, backlog in list(self._backlogs.items()):
            backlog.open = {id for id in backlog.open if id in self.engine.requests}
            while backlog.adds and len(backlog.open) < backlog.at_once:
                id, add = backlog.adds.popleft()
                try:
                    add()
                    backlog.open.add(id)
                except ZhiluError as error:  # its adapter was unloaded meanwhile
                    failed.append(Output(id, 0, error=error))
                    backlog.adds.clear()
            if not backlog.adds:
                del self._backlogs[call]
        return failed

    def _work_off_inbox(self) -> bool:
        """Run what callers have left; wait for something if there is nothing to compute. False: stop."""
        while True:
            try:
                task = self._inbox.get(block=not self.engine.requests)
            except queue.Empty:
                return True
            if task is None:
                return False
            task()

    def _deliver(self, outputs: list[Output]) -> None:
        for output in outputs:
            if output.request_id in self._answers:
                self._answers[output.request_id].put(output)


def _as_zhilu_error(error: Exception) -> ZhiluError:
    if isinstance(error, ZhiluError):
        return error
    name = type(error).__name__
    return UpstreamError(T(f"the engine failed in a step: {name}: {error}", f"引擎计算出错：{name}: {error}"))
