"""The gates of stage 1. Each takes the learner's newest prediction and computes the truth again, from the model that is here.

Before a prediction is judged, the instrument is: what Lens computes must agree with something that does not share its code
(the served engine, a replay, a closed form, a second count). A prediction that agrees with a broken instrument does not pass.
"""

from __future__ import annotations

import asyncio
from typing import Any

from zhilu.context import Context
from zhilu.gate import Artefact, Figure, Gate, Verdict
from zhilu.lens.attempts import latest
from zhilu.lens.prompt import read_prompt
from zhilu.lens.proof import NEAR, prove
from zhilu.lens.subject import Subject, find_subject
from zhilu.lens.views import architecture, attention, positions, scored, step, templates, tokens
from zhilu.messages import T
from zhilu.models.chosen import named_model

__all__ = ["GATES"]

_NO_PREDICTION = T("No prediction yet: look at a text of your own first.", "还没有预测：先看一段自己写的文本。")
_MODEL = T("model", "模型")
_TEXT = T("your text", "你的文本")
_DIFFERENCE = T("difference to the served engine (log-probability)", "与所服务引擎的差（对数概率）")
_EXACT = 1e-3  # of a score in the closed form
_LEAST_TOKENS = 4


def check_tokens(context: Context) -> Verdict:
    """1.1: the boundaries and the number of tokens of the learner's text were foreseen."""
    attempt = latest(context, "1.1")
    if attempt is None:
        return Verdict.not_yet(_NO_PREDICTION, fix='zhilu lens tokens "YOUR|TEXT" --guess')
    subject = find_subject(context, attempt["model"])
    seen = tokens.look(subject, attempt["text"])
    judged = tokens.judge(seen, attempt["cuts"], attempt["count"])
    figures = [
        *_about(subject, attempt["text"]),
        Figure(T("tokens you expected", "你预测的 token 数"), judged.count),
        Figure(T("tokens", "token 数"), judged.truth),
        Figure(T("boundaries right", "猜对的边界"), f"{judged.right} / {len(judged.true_cuts)}"),
        Figure(T("score of the boundaries", "边界得分"), judged.score),
        Figure(T("characters a token", "每个 token 的字符数"), round(seen.characters / judged.truth, 2)),
    ]
    if not (seen.lossless and seen.replayed):
        why = T(
            "The tokens do not give the text back, or the merges replayed by hand end elsewhere: the tokenizer is not read right.",
            "token 拼不回原文，或逐步合并的结果不同：分词器没有被正确读取。",
        )
        return Verdict.failed(why, *figures, fix="zhilu doctor")
    if judged.truth < _LEAST_TOKENS:
        why = T("A text of at least four tokens says something.", "至少要四个 token 的文本才能说明问题。")
        return Verdict.failed(why, *figures, fix='zhilu lens tokens "YOUR|LONGER|TEXT" --guess')
    if not judged.passed:
        why = T(
            f"{judged.right} of {len(judged.true_cuts)} boundaries were where you expected them, and {judged.truth} tokens "
            f"instead of {judged.count}. Look at the merges, then try another text.",
            f"{len(judged.true_cuts)} 处边界猜对 {judged.right} 处，token 有 {judged.truth} 个而不是 {judged.count} 个。"
            "看看合并过程，再换一段文本试试。",
        )
        return Verdict.failed(why, *figures, fix='zhilu lens tokens "ANOTHER|TEXT" --guess')
    why = T(
        f"You foresaw {judged.right} of {len(judged.true_cuts)} boundaries of your own text.",
        f"自己写的文本有 {len(judged.true_cuts)} 处边界，你预测对了 {judged.right} 处。",
    )
    return Verdict.passed(why, *figures, artefacts=[_text(attempt["text"])])


def check_attention(context: Context) -> Verdict:
    """1.2: the learner found the token that a token looks at most, in a map that is the served model's own."""
    attempt = latest(context, "1.2")
    if attempt is None:
        return Verdict.not_yet(
            _NO_PREDICTION, fix='zhilu lens attention "YOUR TEXT" --layer 0 --head 0 --token 5 --guess 4'
        )
    subject = find_subject(context, attempt["model"])
    asked = attention.LookIn.model_validate(_asked(attempt))
    ids = read_prompt(subject, asked).ids
    proof = prove(context, subject, ids)
    judged = attention.looked_at(subject, asked)
    words = judged.tokens
    figures = [
        *_about(subject, attempt["text"]),
        Figure(T("layer and head", "层与头"), f"{asked.layer} / {asked.head}"),
        Figure(T("token that looks", "发出关注的 token"), words[asked.token]),
        Figure(T("you said it looks at", "你说它最关注"), words[asked.guess]),
        Figure(T("it looks most at", "它最关注"), words[judged.truth]),
        Figure(T("weight", "权重"), judged.weights[judged.truth]),
        Figure(_DIFFERENCE, round(proof.difference, 5)),
    ]
    if not proof.holds or judged.ahead > 0:
        return _apart(figures)
    if asked.token < _LEAST_TOKENS:
        why = T(
            "Choose a token with at least four before it, so that there is something to find.",
            "请选一个前面至少有四个 token 的 token，这样才有得找。",
        )
        return Verdict.failed(why, *figures, fix="zhilu lens attention --help")
    if not judged.passed:
        why = T(
            f"In layer {asked.layer}, head {asked.head}, {words[asked.token]!r} looks most at {words[judged.truth]!r}.",
            f"在第 {asked.layer} 层第 {asked.head} 个头里，{words[asked.token]!r} 最关注的是 {words[judged.truth]!r}。",
        )
        return Verdict.failed(why, *figures, fix='zhilu lens attention "YOUR TEXT"')
    why = T(
        f"You found it: {words[asked.token]!r} looks most at {words[judged.truth]!r}.",
        f"你找到了：{words[asked.token]!r} 最关注的是 {words[judged.truth]!r}。",
    )
    return Verdict.passed(why, *figures, artefacts=[_text(attempt["text"])])


def check_positions(context: Context) -> Verdict:
    """1.3: same words, other order: the learner foresaw which order scores higher, and that without positions none does."""
    attempt = latest(context, "1.3")
    if attempt is None:
        return Verdict.not_yet(_NO_PREDICTION, fix="zhilu lens positions --help")
    subject = find_subject(context, attempt["model"])
    asked = positions.OrderGuess.model_validate(_asked(attempt))
    proof = prove(context, subject, read_prompt(subject, asked).ids)
    judged = positions.judge(subject, asked)
    first, second = judged.seen.orders
    closed = [positions.closed_form(subject, asked, order.distance) for order in (first, second)]
    off = max(abs(closed[0] - first.rope), abs(closed[1] - second.rope))
    figures = [
        *_about(subject, attempt["text"]),
        Figure(T("score in the first order", "第一种顺序的得分"), round(first.rope, 4)),
        Figure(T("score in the second order", "第二种顺序的得分"), round(second.rope, 4)),
        Figure(T("without positions", "不用位置时"), f"{first.without:.4f} / {second.without:.4f}"),
        Figure(T("sinusoidal likeness", "正弦编码的相似度"), f"{first.sinusoidal:.4f} / {second.sinusoidal:.4f}"),
        Figure(T("difference to the closed form", "与闭式解的差"), round(off, 6)),
        Figure(_DIFFERENCE, round(proof.difference, 5)),
    ]
    if not proof.holds or off > _EXACT:
        return _apart(figures)
    if not judged.passed:
        why = T(
            f"The {judged.higher} order scores higher; without positions the score {_say(judged.without).en}.",
            f"{'第一' if judged.higher == 'first' else '第二'}种顺序得分更高；不用位置时，得分{_say(judged.without).zh}。",
        )
        return Verdict.failed(why, *figures, fix="zhilu lens positions --help")
    why = T(
        "You read off what the order does, and that without positions the two orders are one and the same.",
        "你读出了顺序的作用，也看到了没有位置信息时两种顺序毫无区别。",
    )
    return Verdict.passed(why, *figures, artefacts=[_text(attempt["text"])])


def check_architecture(context: Context) -> Verdict:
    """1.4: the shares of the parts in the parameters, as counted from the weights."""
    attempt = latest(context, "1.4")
    if attempt is None:
        return Verdict.not_yet(_NO_PREDICTION, fix="zhilu lens architecture --help")
    subject = find_subject(context, attempt["model"])
    judged = architecture.judge(subject, architecture.ShareGuess.model_validate(_asked(attempt)))
    counted, stated = architecture.look(subject).parameters, architecture.stated_parameters(subject)
    figures = [
        Figure(_MODEL, subject.name),
        Figure(T("parameters, counted from the weights", "从权重数出的参数"), counted),
        *(
            Figure(T(f"{kind}: yours / counted", f"{kind}：你的 / 数出的"), f"{attempt['shares'].get(kind, 0):g} / {share:g}", "%")
            for kind, share in judged.shares.items()
        ),
    ]  # fmt: skip
    if counted != stated:
        why = T(
            f"The weights hold {counted:,} numbers, the configuration says {stated:,}.",
            f"权重里有 {counted:,} 个数，而配置说是 {stated:,} 个。",
        )
        return Verdict.failed(why, *figures, fix=f"zhilu model show {subject.name}")
    if not judged.passed:
        worst = max(judged.off, key=lambda kind: judged.off[kind])
        why = T(
            f"{worst} is off by {judged.off[worst]:g} points; three are allowed.",
            f"{worst} 差了 {judged.off[worst]:g} 个百分点；允许三个。",
        )
        return Verdict.failed(why, *figures, fix=f"zhilu lens architecture --model {subject.name}")
    why = T("You know where the parameters sit.", "你知道参数都在哪里了。")
    return Verdict.passed(why, *figures, artefacts=[Artefact.of_bytes("shares", repr(judged.shares).encode())])


def check_training(context: Context) -> Verdict:
    """1.5: a step of training moves loss and weights, inference neither; and the learner said so before."""
    attempt = latest(context, "1.5")
    if attempt is None:
        fix = 'zhilu lens step "YOUR TEXT" --loss falls --changes training'
        return Verdict.not_yet(_NO_PREDICTION, fix=fix)
    subject = find_subject(context, attempt["model"])
    judged = step.judge(subject, step.StepGuess.model_validate(_asked(attempt)))
    seen = judged.seen
    figures = [
        *_about(subject, attempt["text"]),
        Figure(T("loss before", "训练前损失"), seen.losses[0]),
        Figure(T("loss after", "训练后损失"), seen.losses[1]),
        Figure(T("hash of the weights before", "权重哈希（之前）"), seen.hash_before[:16]),
        Figure(T("after inference", "推理之后"), seen.hash_after_inference[:16]),
        Figure(T("after training", "训练之后"), seen.hash_after_training[:16]),
        Figure(T("tensors that moved", "移动了的张量"), f"{seen.changed} / {seen.tensors}"),
        Figure(T("gradient, measured over computed", "梯度：实测 / 计算"), seen.slope),
    ]
    if not 0.9 <= seen.slope <= 1.1 or seen.hash_after_inference != seen.hash_before:
        why = T(
            "The gradient does not say how the loss changes, or inference touched the weights: this step proves nothing.",
            "梯度与损失的实际变化不符，或推理动了权重：这一步不能说明问题。",
        )
        return Verdict.failed(why, *figures, fix="zhilu doctor")
    if seen.losses[1] >= seen.losses[0] or seen.hash_after_training == seen.hash_before:
        why = T("The step did not lower the loss. Try a smaller rate.", "这一步没有降低损失。请用更小的学习率。")
        return Verdict.failed(why, *figures, fix='zhilu lens step "YOUR TEXT" --rate 0.01')
    if not judged.passed:
        why = T(
            f"The loss {judged.loss}, and the weights are others after: {judged.changes}.",
            f"损失的变化是 {judged.loss}；改变权重的是 {judged.changes}。",
        )
        return Verdict.failed(why, *figures, fix='zhilu lens step "YOUR TEXT" --loss falls --changes training')
    why = T(
        f"One step took the loss from {seen.losses[0]:.3f} to {seen.losses[1]:.3f}; answering changed no weight.",
        f"训练一步让损失从 {seen.losses[0]:.3f} 变为 {seen.losses[1]:.3f}；回答问题没有改变任何权重。",
    )
    return Verdict.passed(why, *figures, artefacts=[Artefact.of_bytes("weights", seen.hash_after_training.encode())])


def check_prompt(context: Context) -> Verdict:
    """1.6: the template renders a chat with its marks and loses nothing; the learner's prompt beats the plain one."""
    attempt = latest(context, "1.6")
    if attempt is None:
        return Verdict.not_yet(_NO_PREDICTION, fix='zhilu lens prompt "… {passage} … {question}"')
    model = named_model(context, attempt["model"])
    subject = find_subject(context)
    item = scored.ITEMS[0]
    chat = templates.ChatIn(messages=[templates.Turn(role="user", content=item.question)])
    rendered = templates.render(subject, chat).rendered
    marks = sum(piece.special for piece in rendered.pieces)
    whole = any(item.question in turn for turn in templates.turns_of(rendered))
    measured = asyncio.run(scored.measure(context, model, attempt["prompt"]))
    figures = [
        Figure(_MODEL, model),
        Figure(T("marks in a rendered question", "渲染后的标记数"), marks),
        Figure(T("right with the plain prompt", "基线提示答对"), f"{measured.baseline} / {measured.items}"),
        Figure(T("right with yours", "你的提示答对"), f"{measured.own} / {measured.items}"),
    ]
    if not marks or not whole:
        why = T("The chat template has no marks, or loses the question.", "对话模板没有标记，或丢失了问题。")
        return Verdict.failed(why, *figures, fix=f"zhilu model show {subject.name}")
    if not measured.passed:
        why = T(
            f"Your prompt has {measured.own} right, the plain one {measured.baseline}. Does it give the model the passage?",
            f"你的提示答对 {measured.own} 题，基线答对 {measured.baseline} 题。你把段落给模型了吗？",
        )
        return Verdict.failed(why, *figures, fix='zhilu lens prompt "{passage} {question}"')
    why = T(
        f"Your prompt has {measured.own} of {measured.items} right; the plain one {measured.baseline}.",
        f"你的提示在 {measured.items} 题里答对 {measured.own} 题，基线答对 {measured.baseline} 题。",
    )
    return Verdict.passed(why, *figures, artefacts=[_text(attempt["prompt"])])


def _asked(attempt: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in attempt.items() if key != "at"}


def _about(subject: Subject, text: str) -> list[Figure]:
    return [Figure(_MODEL, subject.name), Figure(_TEXT, text if len(text) <= 80 else f"{text[:79]}…")]


def _text(text: str) -> Artefact:
    return Artefact.of_bytes("text", text.encode())


def _say(without: str) -> T:
    return T("stays the same", "不变") if without == "same" else T("changes", "改变")


def _apart(figures: list[Figure]) -> Verdict:
    why = T(
        f"What Lens computes is not what the engine answers (more than {NEAR:g} apart): this map proves nothing.",
        f"透视算出的与引擎的回答不一致（相差超过 {NEAR:g}）：这张图不能说明问题。",
    )
    return Verdict.failed(why, *figures, fix="zhilu doctor")


GATES = [
    Gate("1.1", T("tokens foreseen", "预测 token"), check_tokens),
    Gate("1.2", T("where a token looks", "token 在看哪里"), check_attention, slow=True),
    Gate("1.3", T("what the order does", "顺序的作用"), check_positions, slow=True),
    Gate("1.4", T("where the parameters sit", "参数都在哪里"), check_architecture),
    Gate("1.5", T("training against inference", "训练与推理"), check_training),
    Gate("1.6", T("template and prompt", "模板与提示"), check_prompt, slow=True),
]
