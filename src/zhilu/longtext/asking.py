"""Drives a method: makes its calls, keeps each with what it cost, and says whether the server read all of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from zhilu.client import ModelClient
from zhilu.jobs.base import Text
from zhilu.longtext.methods import Call, Method, Problem
from zhilu.longtext.room import ANSWER_TOKENS, Room, was_cut
from zhilu.text.sentences import sentences
from zhilu.text.terms import content_terms

__all__ = ["Asker", "LongtextStep", "MethodResult", "TextPlace", "place_of", "run_method"]


class LongtextStep(BaseModel):
    """One call: which parts of the text stood in it, what was said, what it cost. ``cut`` None: the server does not say."""

    key: str
    method: str
    what: Text
    pieces: list[tuple[int, int]]
    said: str
    prompt_tokens: int
    completion_tokens: int
    cut: bool | None


class TextPlace(BaseModel):
    """A sentence of the text; ``coverage``: the share of the words in question that stand in it."""

    start: int
    end: int
    quote: str
    coverage: float


class MethodResult(BaseModel):
    """``right``: whether a known answer stands in it; None where none is known. ``answer`` empty: none was found.

    ``read``: the share of the text that stood in a call.
    """

    method: str
    answer: str
    right: bool | None
    place: TextPlace | None
    calls: int
    prompt_tokens: int
    completion_tokens: int
    read: float
    cut: int
    steps: list[LongtextStep]


class Asker:
    """Asks a model, and asks nothing twice: a call that is known is answered from what was kept.

    Args:
        known: steps of before, by their key.
        keep: is given each new step.
    """

    def __init__(
        self, client: ModelClient, room: Room, known: Mapping[str, LongtextStep], keep: Callable[[LongtextStep], None],
        before: Callable[[Call], None] = lambda call: None,
    ) -> None:  # fmt: skip
        self._client, self.room, self._known, self._keep, self._before = client, room, dict(known), keep, before

    async def ask(self, method: str, calls: Sequence[Call]) -> list[LongtextStep]:
        """The calls at the same time; each is kept as it comes, whatever becomes of the others."""
        tasks = [asyncio.create_task(self._one(method, call)) for call in calls]
        try:
            return [await task for task in tasks]
        finally:
            for task in tasks:
                task.cancel()

    async def _one(self, method: str, call: Call) -> LongtextStep:
        told = json.dumps([method, self.room.model, call.messages], ensure_ascii=False)
        key = hashlib.sha256(told.encode()).hexdigest()[:24]
        if key in self._known:
            return self._known[key]
        self._before(call)
        reply = await self._client.chat(call.messages, model=self.room.model, temperature=0, max_tokens=ANSWER_TOKENS)
        usage: dict[str, Any] = reply.get("usage") or {}
        step = LongtextStep(
            key=key, method=method, what=call.what, pieces=[(p.start, p.end) for p in call.pieces],
            said=str(reply["choices"][0]["message"].get("content") or "").rpartition("</think>")[2].strip(),
            prompt_tokens=int(usage.get("prompt_tokens") or 0), completion_tokens=int(usage.get("completion_tokens") or 0),
            cut=was_cut(self.room, call.messages, usage),
        )  # fmt: skip
        self._known[key] = step
        self._keep(step)
        return step


async def run_method(method: Method, problem: Problem, asker: Asker, known: Sequence[str] = ()) -> MethodResult:
    """
    Args:
        known: any of these is a right answer.

    Raises:
        InputError: nothing fits. ZhiluError: of the model's server.
    """
    steps: list[LongtextStep] = []

    async def replies(calls: Sequence[Call]) -> list[str]:
        done = await asker.ask(method.name, calls)
        steps.extend(done)
        return [step.said for step in done]

    answer = await _drive(method, problem, replies)
    return MethodResult(
        method=method.name, answer=answer, right=_holds(answer, known) if known else None,
        place=place_of(problem.text, answer, problem.question) if answer else None, calls=len(steps),
        prompt_tokens=sum(s.prompt_tokens for s in steps), completion_tokens=sum(s.completion_tokens for s in steps),
        read=_share([span for s in steps for span in s.pieces], len(problem.text)),
        cut=sum(s.cut is True for s in steps), steps=steps,
    )  # fmt: skip


def place_of(text: str, answer: str, question: str = "") -> TextPlace | None:
    """The sentence of ``text`` in which most of the answer stands, where its words are in one at all; rare words weigh more."""
    said = set(content_terms(answer))
    told = (said - set(content_terms(question))) or said
    best: tuple[float, int, int] | None = None
    for start, end in sentences(text):
        here = set(content_terms(text[start:end]))
        # What the answer adds counts most; the question's words tell two such sentences apart.
        score = len(told & here) / max(len(told), 1) + 0.1 * len(said & here) / max(len(said), 1)
        if told & here and (best is None or score > best[0]):
            best = (score, start, end)
    if best is None:
        return None
    _, start, end = best
    coverage = len(told & set(content_terms(text[start:end]))) / max(len(told), 1)
    return TextPlace(start=start, end=end, quote=text[start:end], coverage=round(coverage, 3))


async def _drive(method: Method, problem: Problem, replies: Callable[[Sequence[Call]], Awaitable[list[str]]]) -> str:
    work = method.run(problem)
    try:
        calls = next(work)
        while True:
            calls = work.send(await replies(calls))
    except StopIteration as end:
        return str(end.value or "").strip()


def _holds(answer: str, known: Sequence[str]) -> bool:
    said = " ".join(answer.casefold().split())
    return any(" ".join(one.casefold().split()) in said for one in known if one.strip())


def _share(spans: Sequence[tuple[int, int]], whole: int) -> float:
    read, at = 0, 0
    for start, end in sorted(spans):
        read += max(0, end - max(start, at))
        at = max(at, end)
    return round(read / max(whole, 1), 4)
