"""A sentence hidden in a text made on the spot: found or not, by how long the text is and how deep it lies.

Nothing of it was ever written before, so that no model knows it, and no file with the answers can be looked up.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from pydantic import BaseModel

from zhilu.longtext.asking import Asker, MethodResult, run_method
from zhilu.longtext.methods import Method, Problem
from zhilu.longtext.pieces import own_tokens
from zhilu.longtext.room import Room
from zhilu.messages import Lang

__all__ = ["Haystack", "NeedleCell", "make_haystack", "try_cell"]

_EN_PLACES = (
    "the mill",
    "the harbour",
    "the north gate",
    "the old pier",
    "the greenhouse",
    "the depot",
    "the lighthouse",
    "the orchard",
)
_EN_PEOPLE = ("Anna", "Bertil", "Clara", "Dorian", "Elsa", "Farid", "Greta", "Hugo", "Ines", "Jonas")
_EN_DEEDS = (
    "counted {n} crates at {place} and wrote the number down twice",
    "repaired the fence near {place} with {n} new boards",
    "waited {n} minutes at {place} because of the rain",
    "carried {n} lamps from {place} to the storeroom",
    "painted a door at {place} and used {n} litres of green paint",
    "read the meter at {place}, which stood at {n}",
)
_ZH_PLACES = ("磨坊", "码头", "北门", "旧栈桥", "温室", "车库", "灯塔", "果园")
_ZH_PEOPLE = ("阿兰", "小白", "陈叔", "丁姨", "方青", "高远", "何苗", "江舟", "林夏", "孟舒")
_ZH_DEEDS = (
    "在{place}清点了{n}个箱子，并把数字记了两遍",
    "用{n}块新木板修好了{place}旁边的围栏",
    "因为下雨在{place}等了{n}分钟",
    "把{n}盏灯从{place}搬到了储藏室",
    "给{place}的一扇门刷漆，用掉了{n}升绿漆",
    "读了{place}的电表，读数是{n}",
)
_THINGS = (
    ("the copper chest", "铜箱"),
    ("the blue archive", "蓝色档案室"),
    ("the observatory", "观星台"),
    ("the wine cellar", "酒窖"),
)
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


class Haystack(NamedTuple):
    """``text[start:end]`` is the needle; ``answer`` stands in it and nowhere else."""

    text: str
    question: str
    answer: str
    start: int
    end: int


class NeedleCell(BaseModel):
    """One try: ``tokens`` by the model's count, where about ``length`` were wanted, ``depth`` 0 (beginning) to 1 (end)."""

    method: str
    length: int
    tokens: int
    depth: float
    found: bool
    answer: str
    wanted: str
    calls: int
    prompt_tokens: int
    cut: int
    unsure: int  # calls of which the server does not say how much it read


def make_haystack(size: int, depth: float, seed: int, lang: Lang = "en") -> Haystack:
    """A diary of about ``size`` own tokens with one sentence that does not belong, ``depth`` of the way through."""
    chance = random.Random(seed)
    lines: list[str] = []
    held = 0
    while held < size:
        lines.append(_line(chance, len(lines) + 1, lang))
        held += own_tokens(lines[-1])
    thing = chance.choice(_THINGS)
    code = "".join(chance.choice(_LETTERS) for _ in range(3)) + str(chance.randrange(1000, 10000))
    if lang == "zh":
        needle, question = f"{thing[1]}的开门暗号是{code}。", f"{thing[1]}的开门暗号是什么？"
    else:
        needle, question = f"The pass code of {thing[0]} is {code}.", f"What is the pass code of {thing[0]}?"
    at = min(round(depth * len(lines)), len(lines))
    before = "\n".join(lines[:at]) + ("\n" if at else "")
    text = before + needle + "\n" + "\n".join(lines[at:])
    return Haystack(text, question, code, len(before), len(before) + len(needle))


async def try_cell(
    method: Method,
    room: Room,
    asker: Asker,
    tokens: int,
    depth: float,
    seed: int,
    lang: Lang = "en",
    most: int | None = None,
) -> tuple[NeedleCell, MethodResult]:
    """Hide a needle and look for it."""
    hay = make_haystack(int(tokens / room.rate), depth, seed, lang)
    found = await run_method(method, Problem(hay.text, hay.question, room, most), asker, [hay.answer])
    cell = NeedleCell(
        method=method.name, length=tokens, tokens=round(room.tokens(hay.text)), depth=depth, found=bool(found.right), answer=found.answer,
        wanted=hay.answer, calls=found.calls, prompt_tokens=found.prompt_tokens, cut=found.cut,
        unsure=sum(step.cut is None for step in found.steps),
    )  # fmt: skip
    return cell, found


def _line(chance: random.Random, day: int, lang: Lang) -> str:
    places, people, deeds = (_ZH_PLACES, _ZH_PEOPLE, _ZH_DEEDS) if lang == "zh" else (_EN_PLACES, _EN_PEOPLE, _EN_DEEDS)
    done = chance.choice(deeds).format(place=chance.choice(places), n=chance.randrange(2, 90))
    return (
        f"第{day}天，{chance.choice(people)}{done}。"
        if lang == "zh"
        else f"On day {day}, {chance.choice(people)} {done}."
    )
