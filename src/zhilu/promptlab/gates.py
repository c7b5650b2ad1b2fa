"""Gate 5.1: two versions of the learner's own, compared on a scored set. All figures are worked out anew from the answers."""

from __future__ import annotations

from zhilu.context import Context
from zhilu.gate import Artefact, Figure, Gate, Verdict
from zhilu.messages import T
from zhilu.promptlab.compare import LEVEL, PromptComparison, compare_runs
from zhilu.promptlab.runs import PromptRun, Runs

__all__ = ["GATES", "LEAST"]

LEAST = 10  # questions; with fewer even five against none may be chance
_TRY = "zhilu prompt new mine --user '… {{message}}'"


def check_prompts(context: Context) -> Verdict:
    """5.1: the newest two versions of one prompt that asked the same questions of the same model."""
    runs = Runs(context)
    whole = [run for run in runs.list() if run.whole]
    pair = _newest_pair([run for run in whole if not run.shipped])
    if pair is None:
        return Verdict.not_yet(_why_not(whole), fix=_fix(whole))
    found = compare_runs(context, pair[0].id, pair[1].id)
    better, other = (found.b, found.a) if found.only_b >= found.only_a else (found.a, found.b)
    figures = _figures(found, better, other)
    if found.questions < LEAST:
        why = T(
            f"{found.questions} questions say little: at least {LEAST} are needed.",
            f"{found.questions} 题说明不了什么：至少需要 {LEAST} 题。",
        )
        return Verdict.failed(why, *figures, fix=f"zhilu prompt sets {found.a.set_name}")
    compared = f"zhilu prompt compare {better.template} {other.version} {better.version} --set {better.set_name}"
    if found.verdict == "equal":
        why = T(
            f"Versions {found.a.version} and {found.b.version} are equally good: {better.score.right} of {better.score.all}.",
            f"版本 {found.a.version} 和 {found.b.version} 一样好：{better.score.all} 题都答对 {better.score.right} 题。",
        )
        return Verdict.failed(why, *figures, fix=compared)
    is_clear = found.p < LEVEL
    why = T(
        f"Version {better.version} has {better.score.right} of {better.score.all} right, version {other.version} "
        f"{other.score.right}; p = {found.p:.4g}, "
        + ("more than chance." if is_clear else "so that it may be chance: more questions would tell."),
        f"版本 {better.version} 在 {better.score.all} 题里答对 {better.score.right} 题，版本 {other.version} 答对 "
        f"{other.score.right} 题；p = {found.p:.4g}，"
        + ("不是偶然。" if is_clear else "可能是偶然：多加些题目才能看清。"),
    )
    files = [runs.folder / run.id / "answers.jsonl" for run in (other, better)]
    names = [f"{run.template}-{run.version}-answers.jsonl" for run in (other, better)]
    kept = [Artefact.of(path, name) for path, name in zip(files, names, strict=True)]
    return Verdict.passed(why, *figures, artefacts=kept)


def _newest_pair(own: list[PromptRun]) -> tuple[PromptRun, PromptRun] | None:
    """The older version first."""
    for place, new in enumerate(own):
        alike = (new.template, new.set_sha256, new.model, new.judge)
        for old in own[place + 1 :]:
            if old.sha256 != new.sha256 and (old.template, old.set_sha256, old.model, old.judge) == alike:
                first, second = sorted((old, new), key=lambda run: run.version)
                return first, second
    return None


def _why_not(whole: list[PromptRun]) -> T:
    if any(not run.shipped for run in whole):
        return T(
            "One version of your own was tried. Write a second one, and try it on the same questions.",
            "你已经测试了一个自己的版本。再写一个，用同样的题目测试。",
        )
    return T(
        "No two versions of your own were tried on the same questions. Those that came with Zhilu show how it is done.",
        "还没有在同样的题目上测试两个自己写的版本。随程序附带的版本可以作为示范。",
    )


def _fix(whole: list[PromptRun]) -> str:
    own = next((run for run in whole if not run.shipped), None)
    if own is None:
        return _TRY
    return f"zhilu prompt new {own.template} --user '…' && zhilu prompt run {own.template} --set {own.set_name}"


def _figures(found: PromptComparison, better: PromptRun, other: PromptRun) -> list[Figure]:
    sign = 1 if better is found.b else -1
    low, high = sorted((sign * found.low, sign * found.high))
    tokens = [f"{run.score.prompt_tokens} + {run.score.completion_tokens}" for run in (other, better)]
    shown = [
        Figure(T("model", "模型"), better.model),
        Figure(T("scored set", "评分集"), better.set_name),
        Figure(T("questions", "题数"), found.questions),
        Figure(T(f"right, version {other.version}", f"版本 {other.version} 答对"), other.score.right),
        Figure(T(f"right, version {better.version}", f"版本 {better.version} 答对"), better.score.right),
        Figure(T("lead of the better one", "较好者领先"), round(100 * sign * found.lead, 1), "%"),
        Figure(
            T("95 % of resamples (paired bootstrap)", "95% 区间（配对自助法）"),
            f"{100 * low:+.1f} … {100 * high:+.1f} %",
        ),
        Figure(T("p (McNemar, exact, two-sided)", "p 值（McNemar 精确双侧检验）"), found.p),
        Figure(
            T(f"tokens, version {other.version} (in + out)", f"版本 {other.version} 的 token（输入 + 输出）"), tokens[0]
        ),
        Figure(
            T(f"tokens, version {better.version} (in + out)", f"版本 {better.version} 的 token（输入 + 输出）"),
            tokens[1],
        ),
    ]
    for run in (other, better):
        if run.score.agreement is not None:
            said = f"{run.score.agreement.agreed} / {run.score.agreement.marked}"
            shown.append(
                Figure(T(f"grader agrees with you, version {run.version}", f"评分与你一致（版本 {run.version}）"), said)
            )
    return shown


GATES = [Gate("5.1", T("two prompts compared", "对比两个提示词"), check_prompts)]
