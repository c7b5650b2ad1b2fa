"""How often the served model shows the new behaviour: held-out prompts, asked of the base and of what was trained.

A loss that falls says that answers became likelier, not that they are given. So each held-out prompt is answered by the endpoint
that people use, greedily, and a rule (one of ``rewards.REWARDS``) says whether the answer is what the data asks for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from zhilu.client import connect
from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.tuning.after.merge import refuse_judge
from zhilu.tuning.after.served import name_to_ask
from zhilu.tuning.config import OBJECTIVES
from zhilu.tuning.data.preflight import Rendered
from zhilu.tuning.rewards import FILE, load_reward
from zhilu.tuning.runs import RunLibrary

if TYPE_CHECKING:
    from zhilu.client import ModelClient
    from zhilu.context import Context

__all__ = ["AskedRow", "Behaviour", "ask_held_out"]

_AT_ONCE = 8  # requests in flight: the engine answers them in one batch
_MORE = 16  # tokens that an answer may have beyond the wanted one


class AskedRow(BaseModel):
    """A held-out prompt, the data's answer, both answers as they were served, and what the rule says of each (0 to 1)."""

    prompt: str
    wanted: str
    base: str
    tuned: str
    base_score: float
    tuned_score: float


class Behaviour(BaseModel):
    """``base`` and ``tuned``: the mean of the rule over all ``prompts``, 0 to 1."""

    run: str
    model: str
    rule: str
    prompts: int
    base: float
    tuned: float
    rows: list[AskedRow]


async def ask_held_out(
    context: Context, name: str, *, rule: str = "exact", data: str | None = None, most: int = 100
) -> Behaviour:
    """Ask base and tuned model of a finished run; an adapter is loaded into the running engine where it is not.

    Args:
        rule: of ``rewards.REWARDS`` by name.
        data: a dataset to ask from (default: what the run held out).
        most: prompts.

    Raises:
        NotFoundError: no such run or dataset. InputError: it is not finished, the rule is unknown, or its rows have no
            prompts. UnsupportedError: a DoRA adapter that is not merged. UnreachableError, UpstreamError: nothing serves the base.
    """
    from zhilu.tuning.recipes.rows import read_units

    info = RunLibrary(context).get(name).info()
    if info.outcome is None:
        raise InputError(
            T(f"The run {name!r} is not finished.", f"训练 {name!r} 尚未完成。"),
            param="name",
            fix=f"zhilu tune show {name}",
        )
    refuse_judge(info)
    judge = load_reward("" if rule == FILE else rule, Path())
    config = info.config.model_copy(update={"held_out": data} if data else {})
    _, units, preflight, config = read_units(context, config)
    if config.objective not in OBJECTIVES["chat"]:
        raise InputError(
            T(f"{name!r} was trained on rows without a single right answer ({config.objective}).",
              f"{name!r} 的训练数据（{config.objective}）没有唯一的正确回答。"),
            param="name",
            fix="zhilu check 3.5",
        )  # fmt: skip
    rows = [unit.rows[0] for unit in units[:most] if unit.rows[0].learned.index(True)]
    if not rows:
        raise InputError(
            T(f"The held-out rows of {name!r} are plain texts, which ask nothing.", f"{name!r} 的留出数据是纯文本，没有提问。"),
            param="data",
        )  # fmt: skip
    base = info.config.model
    tuned, is_adapter = name_to_ask(context, info)
    async with connect(context) as client:
        if is_adapter:
            await client.load_adapter(tuned, base=base)
        answers = [await _answers(client, model, rows) for model in (base, tuned)]
    decode = preflight.tokenizer.decode
    asked = []
    for row, one, other in zip(rows, *answers, strict=True):
        prompt = decode(list(row.ids[: row.learned.index(True)]))
        wanted = decode([id for id, carries in zip(row.ids, row.learned, strict=True) if carries])
        scores = judge(prompt, one, wanted), judge(prompt, other, wanted)
        asked.append(AskedRow(prompt=prompt, wanted=wanted, base=one, tuned=other, base_score=scores[0], tuned_score=scores[1]))  # fmt: skip
    return Behaviour(
        run=name, model=tuned, rule=rule, prompts=len(asked), rows=asked,
        base=sum(row.base_score for row in asked) / len(asked), tuned=sum(row.tuned_score for row in asked) / len(asked),
    )  # fmt: skip


async def _answers(client: ModelClient, model: str, rows: Sequence[Rendered]) -> list[str]:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(row: Rendered) -> str:
        prompt = list(row.ids[: row.learned.index(True)])
        async with gate:
            done = await client.completions(prompt, model=model, temperature=0, max_tokens=row.num_learned + _MORE)
        return str(done["choices"][0]["text"])

    return await asyncio.gather(*(one(row) for row in rows))
