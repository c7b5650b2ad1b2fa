"""1.6, the second half: a prompt of the learner's own against a plain one, on a small set with known answers.

The model is asked through the wire like everything that answers people, so any engine or API can be measured.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from zhilu.client import connect
from zhilu.errors import InputError
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.client import ModelClient
    from zhilu.context import Context

__all__ = ["BASELINE", "ITEMS", "Answer", "PromptGuess", "ScoreOut", "is_right", "measure"]

BASELINE = "{question}"
_MOST_TOKENS = 48
_AT_ONCE = 4


class Item(NamedTuple):
    passage: str
    question: str
    answers: tuple[str, ...]  # any of them counts


# Invented facts, so that no model knows them from its training: whoever answers has read the passage.
ITEMS: tuple[Item, ...] = (
    Item("The Brevik library opens at 9:30 and closes at 17:00.", "When does the Brevik library open?", ("9:30",)),
    Item("A day ticket for the Lundal ferry costs 14 euros.", "How much does a day ticket for the Lundal ferry cost?", ("14",)),
    Item("The Orlo heater has a warranty of four years.", "How long is the warranty of the Orlo heater?", ("four", "4 ")),
    Item("The meeting room Cedar is on the third floor.", "On which floor is the meeting room Cedar?", ("third", "3rd")),
    Item("云溪图书馆每天上午九点半开门。", "云溪图书馆几点开门？", ("九点半",)),
    Item("青石渡轮的日票是十四元。", "青石渡轮的日票多少钱？", ("十四",)),
    Item("白桦电暖器保修四年。", "白桦电暖器保修几年？", ("四年",)),
    Item("松涛会议室在三楼。", "松涛会议室在几楼？", ("三楼",)),
)  # fmt: skip


class PromptGuess(BaseModel):
    """``prompt``: with ``{question}`` and, where it is wanted, ``{passage}`` in it; both are filled in for each item."""

    model_config = ConfigDict(extra="forbid")
    prompt: str = Field(max_length=4_000)
    model: str | None = None


class Answer(BaseModel):
    question: str
    wanted: str
    baseline: str
    baseline_right: bool
    own: str
    own_right: bool


class ScoreOut(BaseModel):
    model: str
    prompt: str
    items: int
    baseline: int
    own: int
    answers: list[Answer]
    passed: bool


async def measure(context: Context, model: str, prompt: str, items: Sequence[Item] = ITEMS) -> ScoreOut:
    """Ask every question with both prompts, greedily; passed where the own one has more right.

    Raises:
        InputError: the prompt has no place for the question.
        UnreachableError, UpstreamError: as ``client.connect`` and the model's server.
    """
    if "{question}" not in prompt:
        raise InputError(
            T("the prompt needs {question} where the question goes", "提示里要有 {question}，问题会填在那里"),
            param="prompt",
        )
    gate = asyncio.Semaphore(_AT_ONCE)

    async def ask(client: ModelClient, template: str, item: Item) -> str:
        filled = template.replace("{question}", item.question).replace("{passage}", item.passage)
        async with gate:
            answer = await client.chat(
                [{"role": "user", "content": filled}], model=model, temperature=0, max_tokens=_MOST_TOKENS
            )
        return str(answer["choices"][0]["message"]["content"] or "")

    async with connect(context) as client:
        baseline = await asyncio.gather(*(ask(client, BASELINE, item) for item in items))
        own = await asyncio.gather(*(ask(client, prompt, item) for item in items))
    answers = [
        Answer(
            question=item.question,
            wanted=item.answers[0].strip(),
            baseline=plain,
            baseline_right=is_right(plain, item),
            own=better,
            own_right=is_right(better, item),
        )
        for item, plain, better in zip(items, baseline, own, strict=True)
    ]
    plain_right, own_right = (sum(getattr(a, name) for a in answers) for name in ("baseline_right", "own_right"))
    return ScoreOut(
        model=model,
        prompt=prompt,
        items=len(items),
        baseline=plain_right,
        own=own_right,
        answers=answers,
        passed=own_right > plain_right,
    )


def is_right(answer: str, item: Item) -> bool:
    """One of the known answers stands in it."""
    said = answer.lower()
    return any(wanted.strip().lower() in said for wanted in item.answers)
