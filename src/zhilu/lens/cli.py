"""``zhilu lens``: the views of stage 1 in the terminal. Every view takes a prediction, which the gate looks at later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj, table
from zhilu.context import Context
from zhilu.errors import InputError
from zhilu.messages import T

if TYPE_CHECKING:
    from pydantic import BaseModel

    from zhilu.lens.subject import Subject

__all__ = ["lens"]

_MODEL = T("model that is looked at (default: the one that runs)", "要查看的模型（默认当前模型）")
_GUESS = T("a prediction; kept for the gate", "你的预测；会保存下来供关卡检查")
_RIGHT, _WRONG = T("as you expected", "和你的预测一致"), T("not as you expected", "和你的预测不同")


def _model_option(command: Any) -> Any:
    return click.option("--model", help=_MODEL.say())(command)


@click.group()
def lens() -> None:
    """What a model sees: tokens, attention, positions, parts, next words, a step of training.
    模型看到的世界：token、注意力、位置、结构、下一个词、训练一步。"""


@lens.command()
@click.argument("text")
@click.option(
    "--guess", is_flag=True, help=T("the | in TEXT are where you expect cuts", "TEXT 中的 | 是你预测的切分处").say()
)
@click.option("--steps", is_flag=True, help=T("show every merge", "显示每一步合并").say())
@click.option("--against", metavar="MODEL", help=T("another tokenizer beside it", "并列比较的另一个分词器").say())
@_model_option
@json_option
@pass_context_obj
def tokens(
    context: Context, text: str, guess: bool, steps: bool, against: str | None, model: str | None, as_json: bool
) -> None:
    """The tokens of TEXT: boundaries, ids, bytes.
    TEXT 的 token：边界、编号、字节。"""
    from zhilu.lens.attempts import keep
    from zhilu.lens.views.tokens import judge, look

    subject = _subject(context, model)
    cuts = _cuts(text) if guess else []
    text = text.replace("|", "") if guess else text
    seen = look(subject, text)
    judged = judge(seen, cuts) if guess else None
    if judged:
        kept = {"text": text, "model": subject.name, "cuts": cuts, "count": len(cuts) + 1}
        keep(context, "1.1", kept, once=("text", "model"))
    other = look(_subject(context, against), text) if against else None
    if as_json:
        parts = {"seen": seen, "guess": judged, "against": other}
        echo_json({name: part.model_dump() for name, part in parts.items() if part})
        return
    for one in filter(None, (seen, other)):
        said = T(
            f"{one.model}: {one.characters} characters, {one.bytes} bytes, {len(one.tokens)} tokens "
            f"({one.characters / len(one.tokens):.2f} characters each)",
            f"{one.model}：{one.characters} 个字符，{one.bytes} 字节，{len(one.tokens)} 个 token"
            f"（每个 {one.characters / len(one.tokens):.2f} 个字符）",
        )
        click.secho(said.say(), bold=True)
        rows = [(index, token.text.replace("\n", "⏎"), token.id, token.hex) for index, token in enumerate(one.tokens)]
        table((T("#", "#"), T("token", "token"), T("id", "编号"), T("bytes", "字节")), rows)
    if steps:
        for merge in seen.merges:
            click.echo("\n".join("·".join(parts).replace("\n", "⏎") for parts in merge.steps) + "\n")
    if judged:
        said = T(
            f"{judged.right} of {len(judged.true_cuts)} boundaries right, {judged.truth} tokens where you expected "
            f"{judged.count}. Next: zhilu check 1.1",
            f"{len(judged.true_cuts)} 处边界猜对 {judged.right} 处；你预测 {judged.count} 个 token，实际 {judged.truth} 个。"
            "下一步：zhilu check 1.1",
        )
        click.secho(said.say(), fg="green" if judged.passed else "yellow")


@lens.command()
@click.argument("text")
@click.option("--layer", default=0, show_default=True)
@click.option("--head", type=int, help=T("default: the average of all", "默认为所有头的平均").say())
@click.option("--token", type=int, help=T("number of the token that looks", "发出关注的 token 编号").say())
@click.option("--guess", type=int, help=_GUESS.say())
@click.option("--chat", is_flag=True, help=T("render TEXT with the chat template", "用对话模板渲染 TEXT").say())
@_model_option
@json_option
@pass_context_obj
def attention(context: Context, text: str, guess: int | None, model: str | None, as_json: bool, **where: Any) -> None:
    """Which tokens each token looks at most, and what the heads do.
    每个 token 最关注哪些 token，以及各个头在做什么。"""
    from zhilu.lens.attempts import keep
    from zhilu.lens.views.attention import AttentionIn, LookIn, heads, look, looked_at, strongest, weights_of

    subject = _subject(context, model)
    token = where.pop("token")
    if guess is not None:
        if token is None or where["head"] is None:
            raise InputError(
                T("a guess needs --head and --token", "预测需要同时给出 --head 和 --token"),
                param="guess",
                fix=f'zhilu lens attention "{text}" --head 0 --token 5 --guess {guess}',
            )
        prediction = LookIn(text=text, token=token, guess=guess, **where)
        judged = looked_at(subject, prediction)
        keep(context, "1.2", {**prediction.model_dump(), "model": subject.name})
        word, truth = judged.tokens[token], judged.tokens[judged.truth]
        said = T(
            f"{word!r} looks most at {truth!r} (token {judged.truth}): {(_RIGHT if judged.passed else _WRONG).en}",
            f"{word!r} 最关注 {truth!r}（第 {judged.truth} 个）：{(_RIGHT if judged.passed else _WRONG).zh}",
        )
        _say(judged, said, judged.passed, as_json)
        return
    asked = AttentionIn(text=text, **where)
    seen = look(subject, asked)
    if as_json:
        echo_json({**seen.model_dump(), "scores": heads(subject, asked).model_dump()["scores"]})
        return
    weights = weights_of(seen)
    rows = [
        (i, word.replace("\n", "⏎"), int(weights[i].argmax()), seen.tokens[int(weights[i].argmax())].replace("\n", "⏎"),
         f"{weights[i].max():.3f}")
        for i, word in enumerate(seen.tokens)
    ]  # fmt: skip
    table((T("#", "#"), T("token", "token"), T("#", "#"), T("looks most at", "最关注"), T("weight", "权重")), rows)
    for kind, best in strongest(heads(subject, asked).scores).items():
        click.echo(f"{kind}: layer {best.layer}, head {best.head} ({getattr(best, kind):.2f})")


@lens.command()
@click.argument("text")
@click.option("--head", default=0, show_default=True)
@click.option("--query", type=int, required=True, help=T("token that looks back", "回看的 token").say())
@click.option("--key", type=int, required=True, help=T("token that is looked at", "被看的 token").say())
@click.option("--to", type=int, required=True, help=T("token it changes places with", "与它交换位置的 token").say())
@click.option("--higher", type=click.Choice(["first", "second"]), help=_GUESS.say())
@click.option("--without", type=click.Choice(["same", "changes"]), help=_GUESS.say())
@_model_option
@json_option
@pass_context_obj
def positions(
    context: Context, higher: str | None, without: str | None, model: str | None, as_json: bool, **where: Any
) -> None:
    """The same words in another order: what the position does to the score of two of them.
    同样的词换个顺序：位置如何改变其中两个词的得分。"""
    from zhilu.lens.attempts import keep
    from zhilu.lens.views.positions import OrderGuess, OrderIn, compare, judge

    subject = _subject(context, model)
    if higher and without:
        asked = OrderGuess.model_validate({**where, "higher": higher, "without": without})
        judged = judge(subject, asked)
        question = ("text", "model", "query", "key", "to", "head")
        keep(context, "1.3", {**asked.model_dump(), "model": subject.name}, once=question)
        seen = judged.seen
    else:
        judged, seen = None, compare(subject, OrderIn(**where))
    if as_json:
        echo_json((judged or seen).model_dump())
        return
    columns = (
        T("order", "顺序"),
        T("distance", "距离"),
        T("RoPE", "RoPE"),
        T("without", "不用位置"),
        T("sinusoidal", "正弦"),
    )
    table(columns, [("".join(o.words), o.distance, f"{o.rope:.3f}", f"{o.without:.3f}", f"{o.sinusoidal:.3f}") for o in seen.orders])  # fmt: skip
    if judged:
        _say(judged, _RIGHT if judged.passed else _WRONG, judged.passed, False)


@lens.command()
@click.option("--guess", multiple=True, metavar="PART=PERCENT", help=_GUESS.say())
@_model_option
@json_option
@pass_context_obj
def architecture(context: Context, guess: tuple[str, ...], model: str | None, as_json: bool) -> None:
    """The parts of the model, counted from its weights.
    从权重数出的模型各部分。"""
    from zhilu.lens.attempts import keep
    from zhilu.lens.views.architecture import KINDS, ShareGuess, judge, look

    subject = _subject(context, model)
    if guess:
        asked = ShareGuess.model_validate({"shares": _shares(guess, KINDS)})
        judged = judge(subject, asked)
        keep(context, "1.4", {**asked.model_dump(), "model": subject.name})
        said = T(
            ", ".join(f"{kind} {share:g} %" for kind, share in judged.shares.items()),
            "，".join(f"{kind} {share:g}%" for kind, share in judged.shares.items()),
        )
        _say(judged, said, judged.passed, as_json)
        return
    seen = look(subject)
    if as_json:
        echo_json(seen.model_dump())
        return
    columns = (T("part", "部分"), T("parameters", "参数"), T("share", "占比"), T("bytes", "字节"), T("FLOPs a token", "每 token 运算量"))  # fmt: skip
    table(columns, [(p.kind, f"{p.parameters:,}", f"{p.share:.2f} %", f"{p.bytes:,}", f"{p.flops:,}") for p in seen.parts])  # fmt: skip


@lens.command()
@click.argument("text")
@click.option("--temperature", default=1.0, show_default=True)
@click.option("--top-k", default=0, show_default=True)
@click.option("--top-p", default=1.0, show_default=True)
@click.option("--min-p", default=0.0, show_default=True)
@click.option("--presence-penalty", default=0.0, show_default=True)
@click.option("--frequency-penalty", default=0.0, show_default=True)
@click.option("--repetition-penalty", default=1.0, show_default=True)
@click.option("--chat", is_flag=True, help=T("render TEXT with the chat template", "用对话模板渲染 TEXT").say())
@_model_option
@json_option
@pass_context_obj
def logits(context: Context, model: str | None, as_json: bool, **asked: Any) -> None:
    """What comes next after TEXT, and what the sampling parameters make of it.
    TEXT 之后会出现什么，以及采样参数如何改变它。"""
    from zhilu.lens.views.logits import LogitsIn, look

    seen = look(_subject(context, model), LogitsIn.model_validate(asked))
    if as_json:
        echo_json(seen.model_dump())
        return
    columns = (
        T("token", "token"),
        T("logit", "logit"),
        T("probability", "概率"),
        T("after sampling parameters", "采样参数之后"),
    )
    rows = [(repr(n.text)[1:-1], f"{n.logit:.2f}", f"{n.probability:.2%}", f"{n.after:.2%}") for n in seen.next[:12]]
    table(columns, rows)


@lens.command()
@click.argument("text")
@click.option("--rate", default=0.05, show_default=True, help=T("step size", "步长").say())
@click.option("--steps", default=1, show_default=True)
@click.option("--loss", type=click.Choice(["falls", "stays", "rises"]), help=_GUESS.say())
@click.option("--changes", type=click.Choice(["training", "inference", "both", "neither"]), help=_GUESS.say())
@_model_option
@json_option
@pass_context_obj
def step(
    context: Context, loss: str | None, changes: str | None, model: str | None, as_json: bool, **asked: Any
) -> None:
    """One step of training on a copy: loss and weights, before and after.
    在副本上训练一步：前后的损失与权重。"""
    from zhilu.lens.attempts import keep
    from zhilu.lens.views.step import StepGuess, StepIn, judge, take

    subject = _subject(context, model)
    if loss and changes:
        guess = StepGuess.model_validate({**asked, "loss": loss, "changes": changes})
        judged = judge(subject, guess)
        keep(context, "1.5", {**guess.model_dump(), "model": subject.name})
        seen = judged.seen
    else:
        judged, seen = None, take(subject, StepIn.model_validate(asked))
    if as_json:
        echo_json((judged or seen).model_dump())
        return
    rows = [
        (T("loss", "损失").say(), " → ".join(f"{value:.4f}" for value in seen.losses)),
        (T("weights before", "权重（之前）").say(), seen.hash_before[:16]),
        (T("after inference", "推理之后").say(), seen.hash_after_inference[:16]),
        (T("after training", "训练之后").say(), seen.hash_after_training[:16]),
        (T("tensors that moved", "移动了的张量").say(), f"{seen.changed} / {seen.tensors}"),
    ]
    table((T("what", "项目"), T("value", "值")), rows)
    if judged:
        _say(judged, _RIGHT if judged.passed else _WRONG, judged.passed, False)


@lens.command()
@click.argument("text")
@_model_option
@json_option
@pass_context_obj
def chat(context: Context, text: str, model: str | None, as_json: bool) -> None:
    """TEXT as the chat template hands it to the model, and without it.
    对话模板交给模型的 TEXT，以及没有模板时的样子。"""
    from zhilu.lens.views.templates import ChatIn, Turn, render

    seen = render(_subject(context, model), ChatIn(messages=[Turn(role="user", content=text)]))
    if as_json:
        echo_json(seen.model_dump())
        return
    for title, one in ((T("with the template", "有模板"), seen.rendered), (T("without", "没有模板"), seen.bare)):
        click.secho(title.say(), bold=True)
        click.echo("".join(click.style(p.text, fg="green", bold=True) if p.special else p.text for p in one.pieces))
        click.echo("→ " + ", ".join(f"{n.text!r} {n.probability:.1%}" for n in one.next) + "\n")


@lens.command()
@click.argument("prompt")
@_model_option
@json_option
@pass_context_obj
def prompt(context: Context, prompt: str, model: str | None, as_json: bool) -> None:
    """Measure PROMPT, with {question} and {passage} in it, against the plain question.
    把含有 {question} 和 {passage} 的 PROMPT 与直接提问比较。"""
    import asyncio

    from zhilu.lens.attempts import keep
    from zhilu.lens.views.scored import measure
    from zhilu.models.chosen import named_model

    name = named_model(context, model)
    measured = asyncio.run(measure(context, name, prompt))
    keep(context, "1.6", {"prompt": prompt, "model": name})
    if as_json:
        echo_json(measured.model_dump())
        return
    marks = {True: "✓", False: "✗"}
    columns = (T("question", "问题"), T("plain", "基线"), T("yours", "你的"), T("your answer", "你的提示得到的回答"))
    table(columns, [(a.question, marks[a.baseline_right], marks[a.own_right], a.own) for a in measured.answers])
    said = T(
        f"plain {measured.baseline}, yours {measured.own} of {measured.items}. Next: zhilu check 1.6",
        f"基线 {measured.baseline}，你的 {measured.own}，共 {measured.items} 题。下一步：zhilu check 1.6",
    )
    _say(measured, said, measured.passed, False)


def _subject(context: Context, model: str | None) -> Subject:
    from zhilu.lens.subject import find_subject

    return find_subject(context, model)


def _say(judged: BaseModel, said: T, passed: bool, as_json: bool) -> None:
    if as_json:
        echo_json(judged.model_dump())
    else:
        click.secho(said.say(), fg="green" if passed else "yellow")


def _cuts(text: str) -> list[int]:
    """The places of the marks in the text without them."""
    cuts, at = [], 0
    for letter in text:
        if letter == "|":
            cuts.append(at)
        else:
            at += 1
    return sorted(set(cuts) - {0, at})


def _shares(pairs: tuple[str, ...], kinds: tuple[str, ...]) -> dict[str, float]:
    shares = {}
    for pair in pairs:
        kind, _, percent = pair.partition("=")
        try:
            shares[kind] = float(percent.rstrip("%"))
        except ValueError:
            kind = ""
        if kind not in kinds:
            raise InputError(
                T(
                    f"{pair!r} is no share; write PART=PERCENT with a part of {', '.join(kinds)}",
                    f"{pair!r} 不是占比；请写 部分=百分数，部分可以是 {'、'.join(kinds)}",
                ),
                param="guess",
                fix="zhilu lens architecture --guess embedding=40 --guess attention=20 --guess feedforward=40",
            )
    return shares
