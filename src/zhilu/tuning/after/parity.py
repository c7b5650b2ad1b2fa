"""Train-to-serve parity: the endpoint that people use, asked what the trainer was asked, must say the same.

The classic silent failures are a template that differs, an adapter that is not applied, another base. So the served adapter is
given the trainer's own prompts: its token ids and its greedy tokens are compared, and the first difference is named.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from zhilu.client import connect
from zhilu.engine.model.weights import weights_sha256
from zhilu.errors import ConflictError, InputError
from zhilu.jobs.base import Text
from zhilu.messages import T
from zhilu.models import ModelStore
from zhilu.tuning.after.exports import prove_gguf
from zhilu.tuning.after.merge import refuse_judge
from zhilu.tuning.after.served import name_to_ask
from zhilu.tuning.runs import Answer, RunInfo, RunLibrary

if TYPE_CHECKING:
    from zhilu.client import ModelClient
    from zhilu.context import Context

__all__ = ["Parity", "check_parity"]

# Of a natural logarithm: how near the likeliest a token is that the trainer chose. Rounded to 8 bits, a 4-bit file of 0.5
# billion parameters has another likeliest token at 3.7 % of the places (benchmarks/gguf_parity.py --precision int8).
_TIE = 0.3


class Also(BaseModel):
    """Another form of the tuned model: ``equal`` of ``compared`` answers or tokens are the trainer's."""

    name: str
    compared: int
    equal: int
    same: bool


class Parity(BaseModel):
    """
    Attributes:
        prompts: compared; ``equal_prompts`` of them were tokenized alike, ``equal_answers`` answered alike.
        ties: equal answers that part, and only where two tokens are nearly equally likely (see ``_tied``).
        tokens: compared in all answers.
        changed: answers that differ from the base's: an adapter that is not applied changes none.
        merged: the merged model in the running engine, and how many of its answers are the trainer's; None: not merged.
        llamacpp: the newest GGUF file in llama.cpp, by tokens of its answers; None: not exported.
    """

    run: str
    prompts: int
    equal_prompts: int
    equal_answers: int
    ties: int = 0
    tokens: int
    changed: int
    merged: Also | None = None
    llamacpp: Also | None = None
    equal: bool
    said: Text


async def check_parity(context: Context, name: str) -> Parity:
    """Ask the served adapter of a finished run; it is loaded into the running engine where it is not.

    Raises:
        NotFoundError: no such run.
        InputError: it is not finished, or made a model of its own.
        ConflictError: the base in the store is not the one that was trained.
        UnsupportedError: a DoRA adapter that is not merged; what is merged is asked.
        UnreachableError, UpstreamError: nothing serves the base.
    """
    info = RunLibrary(context).get(name).info()
    out = info.outcome
    if out is not None:
        refuse_judge(info)
    if out is None or out.adapter is None:
        raise InputError(
            T(f"The run {name!r} has no adapter yet.", f"训练 {name!r} 还没有适配器。"),
            param="name",
            fix=f"zhilu tune show {name}",
        )
    if weights_sha256(ModelStore(context).path_of(info.config.model)) != out.base_sha256:
        raise ConflictError(
            T(f"The weights of {info.config.model!r} are not those that {name!r} was trained on.",
              f"{info.config.model!r} 的权重不是训练 {name!r} 时所用的权重。"),
            code="other_base",
            fix=f"zhilu tune run --data {info.config.data} --model {info.config.model}",
        )  # fmt: skip
    served, is_adapter = name_to_ask(context, info)
    async with connect(context) as client:
        if is_adapter:
            await client.load_adapter(served, base=info.config.model)
        asked = [await _ask(client, info.config.model, served, answer) for answer in out.answers]
        merged = await _merged(context, client, info) if is_adapter else None
        tied = await _tied(client, served, out.answers, [tokens for _, tokens in asked])
    llamacpp = await asyncio.to_thread(_llamacpp, context, info)
    equal_prompts = sum(same for same, _ in asked)
    # Answers of the rounded base part ways with those of the whole one that is served, but not at their first token.
    # So do those of a merged model whose weights are rounded to 16 bits.
    exact = is_adapter or (info.merged is not None and info.merged.dtype == "float32")
    most = None if out.answered_on == "served" and exact else 1
    asked = [(same, tokens[:most]) for same, tokens in asked]
    wanted = [answer.after_ids[:most] for answer in out.answers]
    tied = tied if most is None else set()
    equal_answers = len(tied) + sum(tokens == ids for (_, tokens), ids in zip(asked, wanted, strict=True))
    changed = sum(answer.before != answer.after for answer in out.answers)
    difference = next(
        (
            (number, place)
            for number, ((_, tokens), ids) in enumerate(zip(asked, wanted, strict=True), start=1)
            if number - 1 not in tied and (place := _first_difference(tokens, ids)) is not None
        ),
        None,
    )
    others = [other for other in (merged, llamacpp) if other is not None]
    equal = equal_prompts == equal_answers == len(out.answers) and changed > 0
    said = _said(served, len(out.answers), equal_prompts, changed, difference)
    if equal and tied:
        said = T(
            f"{said.en} In {len(tied)} of them the server would choose another token where both are nearly equally likely.",
            f"{said.zh} 其中 {len(tied)} 个回答里，服务端会在两个 token 概率几乎相等处选择另一个。",
        )
    if equal and others:
        said, equal = _also(said, others), all(other.same for other in others)
    return Parity(
        run=name, prompts=len(out.answers), equal_prompts=equal_prompts, equal_answers=equal_answers,
        ties=len(tied), tokens=sum(map(len, wanted)), changed=changed, equal=equal,
        merged=merged, llamacpp=llamacpp, said=said,
    )  # fmt: skip


async def _ask(client: ModelClient, base: str, adapter: str, answer: Answer) -> tuple[bool, list[int]]:
    """Whether the prompt is tokenized as the trainer did, and the served greedy tokens."""
    read = await client.tokenize(model=base, prompt=answer.prompt, add_special_tokens=False)
    same = read is not None and list(read.get("tokens") or ()) == answer.prompt_ids
    most = len(answer.after_ids) + answer.ended
    done = await client.completions(
        answer.prompt_ids, model=adapter, temperature=0, max_tokens=most, return_token_ids=True
    )
    choice = done["choices"][0]
    tokens = list(choice.get("token_ids") or ())
    return same, tokens if (choice["finish_reason"] == "stop") == answer.ended else [*tokens, -1]


async def _tied(client: ModelClient, adapter: str, answers: Sequence[Answer], served: Sequence[list[int]]) -> set[int]:
    """Which of the answers that part do so only where the server holds two tokens for nearly equally likely.

    Weights that are served in 8 bits choose otherwise there, and from there on the answers are different texts. Another
    template, another base or a missing adapter is told by far more.
    """
    tied = set()
    for number, (answer, tokens) in enumerate(zip(answers, served, strict=True)):
        if tokens != answer.after_ids:
            gap = await client.worst_tie(answer.prompt_ids, answer.after_ids, model=adapter, ended=answer.ended)
            tied |= {number} if gap is not None and gap <= _TIE else set()
    return tied


async def _merged(context: Context, client: ModelClient, info: RunInfo) -> Also | None:
    """The merged model's answers; where its weights are rounded to 16 bits, an answer may part ways after its first token."""
    made, out = info.merged, info.outcome
    if made is None or out is None or not (context.home.models / made.model).is_dir():
        return None
    exact = made.dtype == "float32" and out.answered_on == "served"
    equal = 0
    for answer in out.answers:
        _, tokens = await _ask(client, made.model, made.model, answer)
        equal += tokens == answer.after_ids if exact else tokens[:1] == answer.after_ids[:1]
    return Also(name=made.model, compared=len(out.answers), equal=equal, same=equal == len(out.answers))


def _llamacpp(context: Context, info: RunInfo) -> Also | None:
    """The newest GGUF file, proven again as when it was written."""
    made = next((e for e in reversed(info.exports) if e.format in ("gguf", "ollama") and Path(e.folder).is_dir()), None)
    tuned = info.merged.model if info.merged else info.outcome.model if info.outcome else None
    if made is None or tuned is None or not (context.home.models / tuned).is_dir():
        return None
    file = next(Path(made.folder).glob("*.gguf"))
    try:
        tokens, equal = prove_gguf(ModelStore(context).path_of(tuned), file, info, made.precision)
    except ConflictError:
        return Also(name=file.name, compared=0, equal=0, same=False)
    return Also(name=file.name, compared=tokens, equal=equal, same=True)


def _also(said: T, others: list[Also]) -> T:
    shown = [f"{other.name} ({other.equal}/{other.compared})" for other in others if other.same]
    wrong = [other.name for other in others if not other.same]
    if wrong:
        names = ", ".join(wrong)
        return T(f"{said.en} But {names} answers otherwise.", f"{said.zh} 但 {names} 的回答不同。")
    return T(f"{said.en} So are {', '.join(shown)}.", f"{said.zh} {'、'.join(shown)} 也一致。")


def _first_difference(one: list[int], other: list[int]) -> int | None:
    if one == other:
        return None
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _said(adapter: str, prompts: int, equal_prompts: int, changed: int, difference: tuple[int, int] | None) -> T:
    if equal_prompts < prompts:
        return T(
            f"{prompts - equal_prompts} of {prompts} prompts become other tokens in the server: another tokenizer or template.",
            f"{prompts} 个提示中有 {prompts - equal_prompts} 个在服务端变成了不同的 token：分词器或模板不同。",
        )
    if difference is not None:
        number, place = difference
        cause = (
            ("the adapter is not applied, or another base answers", "适配器没有生效，或回答的是另一个基座")
            if place == 0
            else ("the arithmetic differs (precision of the served weights)", "计算精度不同（服务端权重的精度）")
        )
        return T(
            f"Answer {number} differs at token {place + 1}; probable cause: {cause[0]}.",
            f"第 {number} 个回答在第 {place + 1} 个 token 处不同；可能的原因：{cause[1]}。",
        )
    if not changed:
        return T(
            f"{adapter} says what its base says in every answer: nothing was learned that these prompts show.",
            f"{adapter} 的每个回答都与基座相同：这些提示看不出学到了什么。",
        )
    return T(
        f"The served {adapter} is the trained one: {prompts} prompts and their greedy answers are equal token by token, and "
        f"{changed} of them are not what the base says.",
        f"部署的 {adapter} 就是训练出来的：{prompts} 个提示及其贪心回答逐 token 相同，其中 {changed} 个与基座不同。",
    )
