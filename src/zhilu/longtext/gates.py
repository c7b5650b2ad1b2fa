"""Gate 5.4: a needle made on the spot lies deep in a text longer than the running model's context, and is found."""

from __future__ import annotations

import asyncio
import secrets

from zhilu.client import connect
from zhilu.context import Context
from zhilu.gate import Artefact, Figure, Gate, Verdict
from zhilu.longtext.asking import Asker
from zhilu.longtext.methods import METHODS
from zhilu.longtext.needle import NeedleCell, make_haystack, try_cell
from zhilu.longtext.room import Room, measure_room
from zhilu.messages import T, current_lang
from zhilu.models.chosen import default_model

__all__ = ["GATES"]

_LONGER = 1.25  # times the context
_DEPTH = 0.7
_TRIED = ("retrieval", "sliding", "map-reduce")
_CONTROL = "beginning"
_LENGTHS, _DEPTHS = (0.5, 1.25, 2.0), (0.1, 0.5, 0.9)  # of the heat map, by the way that takes one call


def check_longtext(context: Context) -> Verdict:
    """5.4: at least one way finds it, the one that reads only the beginning does not, and no prompt was cut in silence."""
    seed, lang = secrets.randbelow(2**31), current_lang()
    room, tried, heat = asyncio.run(_look(context, seed))
    by = {cell.method: cell for cell in tried}
    found = [name for name in _TRIED if by[name].found]
    hay = make_haystack(int(_LONGER * room.context / room.rate), _DEPTH, seed, lang)
    figures = [
        Figure(T("model", "模型"), room.model),
        Figure(T("context of the model", "模型的上下文"), room.context, "tokens"),
        Figure(T("length of the text", "文本长度"), by[_CONTROL].tokens, "tokens"),
        Figure(T("depth of the needle", "针的深度"), f"{_DEPTH:.0%}"),
        *(_figure(by[name]) for name in (*_TRIED, _CONTROL)),
        *_heat_figures(heat),
    ]
    kept = [Artefact.of_bytes("text", hay.text.encode())]
    cells = [*tried, *heat]
    if any(cell.cut for cell in cells) or all(cell.unsure == cell.calls for cell in cells):
        why = T(
            "A prompt was cut in silence, or the server does not say how much it read: nothing follows from an answer then.",
            "有提示词被悄悄截断，或服务器没有说明读了多少 token：这样的回答说明不了什么。",
        )
        return Verdict.failed(why, *figures, artefacts=kept, fix="zhilu engine list")
    if by[_CONTROL].found:
        why = T(
            "The beginning alone already gave the answer: the text was not longer than what the model reads.",
            "只读开头就得到了答案：文本没有超出模型能读的长度。",
        )
        return Verdict.failed(why, *figures, artefacts=kept, fix="zhilu check 5.4")
    if not found:
        why = T(
            f"No way found {hay.answer!r}, {_DEPTH:.0%} deep in the text.",
            f"没有一种方法找到位于全文 {_DEPTH:.0%} 处的 {hay.answer!r}。",
        )
        return Verdict.failed(why, *figures, artefacts=kept, fix="zhilu longtext needle --method sliding")
    names = ", ".join(found)
    why = T(
        f"{hay.answer!r}, {_DEPTH:.0%} deep in a text of {by[_CONTROL].tokens} tokens, was found by {names}; the model reads {room.context}.",
        f"{hay.answer!r} 位于 {by[_CONTROL].tokens} 个 token 的文本的 {_DEPTH:.0%} 处，{names} 找到了它；模型一次只能读 {room.context} 个。",
    )
    return Verdict.passed(why, *figures, artefacts=kept)


async def _look(context: Context, seed: int) -> tuple[Room, list[NeedleCell], list[NeedleCell]]:
    lang, model = current_lang(), default_model(context).name
    async with connect(context) as client:
        room = await measure_room(client, model, make_haystack(2000, 0.5, seed, lang).text)
        asker = Asker(client, room, {}, lambda step: None)
        length = round(_LONGER * room.context)
        tried = [
            (await try_cell(METHODS[name], room, asker, length, _DEPTH, seed, lang))[0] for name in (*_TRIED, _CONTROL)
        ]
        heat = [
            (await try_cell(METHODS["retrieval"], room, asker, round(share * room.context), depth, seed + n, lang))[0]
            for n, (share, depth) in enumerate(((s, d) for s in _LENGTHS for d in _DEPTHS), start=1)
        ]
    return room, tried, heat


def _figure(cell: NeedleCell) -> Figure:
    said = "✓" if cell.found else "✗"
    title = METHODS[cell.method].title
    calls = f"{cell.calls} calls, {cell.prompt_tokens} tokens"
    return Figure(T(f"{title.en}: found, cost", f"{title.zh}：找到与否、开销"), f"{said} {calls}")


def _heat_figures(heat: list[NeedleCell]) -> list[Figure]:
    """One row a length: found or not at each depth."""
    rows = []
    for tokens in dict.fromkeys(cell.length for cell in heat):
        row = " ".join(f"{cell.depth:.0%} {'✓' if cell.found else '✗'}" for cell in heat if cell.length == tokens)
        rows.append(Figure(T(f"retrieval at {tokens} tokens, by depth", f"检索，{tokens} 个 token，按深度"), row))
    return rows


GATES = [Gate("5.4", T("a needle deep in a long text", "长文深处的一根针"), check_longtext, slow=True)]
