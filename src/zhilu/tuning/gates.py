"""The gates of stage 3: 3.1 training data, 3.2 a base in 4 bits, 3.3 what is served is what was trained, 3.4 the merged model,
3.5 preferences and rewards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from zhilu.context import Context
from zhilu.errors import MissingComponentError
from zhilu.gate import Artefact, Because, Figure, Gate, Verdict
from zhilu.messages import T
from zhilu.models.chosen import default_model
from zhilu.tuning.after.parity import check_parity
from zhilu.tuning.data.checking import check_dataset
from zhilu.tuning.data.library import DatasetLibrary
from zhilu.tuning.runs import RunInfo, RunLibrary

__all__ = ["GATES"]

_FAR = 1.0  # nats a token from the base; beyond it a reward was bought with the language
_LEAST = 20  # rows; fewer say nothing about a behaviour


def check_training_data(context: Context) -> Verdict:
    """3.1: the newest dataset, rendered for the model that runs: no error, and enough rows."""
    library = DatasetLibrary(context)
    datasets = library.list()
    if not datasets:
        why = T("There is no training data yet.", "还没有训练数据。")
        return Verdict.not_yet(why, fix="zhilu data add FILE")
    name, model = datasets[0].name, default_model(context).name
    report = check_dataset(context, name, model=model)
    figures = [
        Figure(T("dataset", "数据集"), name),
        Figure(T("format", "格式"), report.format or "-"),
        Figure(T("rows", "行数"), report.rows),
        Figure(T("rows that can be learned", "可学习的行"), report.usable),
        Figure(T(f"tokens for {model}", f"{model} 的 token 数"), report.tokens.total if report.tokens else 0),
        Figure(T("tokens that carry loss", "计入损失的 token"), report.learned.total if report.learned else 0),
        Figure(T("longest row", "最长的一行"), report.tokens.most if report.tokens else 0, "tokens"),
        Figure(T("warnings", "警告"), sum(f.count for f in report.findings if f.severity == "warning")),
    ]
    artefacts = [Artefact.of(library.path_of(name), name)]
    worst = next((finding for finding in report.findings if finding.severity == "error"), None)
    if worst is not None:
        lines = ", ".join(map(str, worst.lines[:5]))
        why = T(
            f"{name}: {worst.title.en} in {worst.count} rows (line {lines}): {worst.message.en}",
            f"{name}：{worst.title.zh}，共 {worst.count} 行（第 {lines} 行）：{worst.message.zh}",
        )
        return Verdict.failed(why, *figures, fix=f"zhilu data check {name}", artefacts=artefacts)
    if report.usable < _LEAST:
        why = T(
            f"{name} has {report.usable} rows; a behaviour is learned from {_LEAST} and more.",
            f"{name} 只有 {report.usable} 行；要学会一种行为至少需要 {_LEAST} 行。",
        )
        return Verdict.failed(why, *figures, fix=f"zhilu data remove {name}", artefacts=artefacts)
    why = T(
        f"{name}: every row can be rendered for {model}, carries loss, ends, and fits the context.",
        f"{name}：每一行都能按 {model} 渲染、计入损失、学到结束、装得进上下文，且没有错误。",
    )
    return Verdict.passed(why, *figures, artefacts=artefacts)


def check_four_bits(context: Context) -> Verdict:
    """3.2: the newest run on a base in 4 bits: finished, and its held-out loss, measured anew on the base as it is served with
    the adapter on the disk, is below the base's."""
    from zhilu.tuning.after.again import measure_again
    from zhilu.tuning.four_bit import require_4_bits

    info = _newest(
        context, lambda i: i.config.method == "qlora" and i.outcome is not None and i.outcome.adapter is not None
    )
    if info is None or info.outcome is None:
        try:
            require_4_bits()
        except MissingComponentError as error:
            because = Because.COMPONENT if error.fix else Because.MACHINE
            return Verdict.cannot_run_here(error.message, fix=error.fix, because=because)
        why = T("No run on a base in 4 bits has finished yet.", "还没有完成过 4 位基座的训练。")
        return Verdict.not_yet(why, fix="zhilu tune run --data FILE --method qlora")
    run, out, weights = RunLibrary(context).get(info.name), info.outcome, info.outcome.weights
    assert weights is not None
    first, last = measure_again(context, run)["held_out"]
    curve = [f"{values['step']}: {values['held_out']:.3f}" for values in run.measured() if "held_out" in values]
    bits = 8 * weights.quantized_bytes / weights.quantized_parameters
    figures = [
        Figure(T("run", "训练"), info.name),
        Figure(T("held-out loss of the base", "基座的留出损失"), round(first, 4)),
        Figure(T("held-out loss with the adapter", "加上适配器的留出损失"), round(last, 4)),
        Figure(T("on the base in 4 bits", "在 4 位基座上"), f"{out.held_out_before:.4f} → {out.held_out_after:.4f}"),
        Figure(T("loss curve (held-out, by step)", "损失曲线（留出数据，按步）"), ", ".join(curve)),
        Figure(T("training speed", "训练速度"), round(out.tokens_per_second, 1), "tokens/s"),
        Figure(T("peak memory", "峰值内存"), out.peak_mb, "MB"),
        Figure(T("weights in 4 bits", "4 位权重"), weights.quantized_bytes, "bytes"),
        Figure(T("bits a weight", "每个权重的位数"), round(bits, 3)),
        Figure(T("weights in float32", "float32 权重"), weights.other_bytes, "bytes"),
        Figure(T("steps", "步数"), out.steps),
    ]
    artefacts = [
        Artefact.of(context.home.adapters / info.name / "adapter_model.safetensors", info.name),
        Artefact.of(run.metrics),
    ]
    said = T(f"{info.name}: held-out loss {first:.3f} → {last:.3f}", f"{info.name}：留出损失 {first:.3f} → {last:.3f}")
    if last < first:
        return Verdict.passed(T(f"{said.en}.", f"{said.zh}。"), *figures, artefacts=artefacts)
    fix = f"zhilu tune run --data {info.config.data} --model {info.config.model} --method qlora --epochs 5"
    why = T(f"{said.en}: not below the base's.", f"{said.zh}：没有低于基座。")
    return Verdict.failed(why, *figures, fix=fix, artefacts=artefacts)


def check_served(context: Context) -> Verdict:
    """3.3: the newest run's adapter, served by the running engine, answers token by token as the trainer did."""
    info = _newest(context, lambda info: info.outcome is not None and info.outcome.adapter is not None)
    if info is None:
        why = T("No run has made an adapter yet.", "还没有训练出适配器。")
        return Verdict.not_yet(why, fix="zhilu tune run --data FILE")
    found = asyncio.run(check_parity(context, info.name))
    figures = [
        Figure(T("run", "训练"), info.name),
        Figure(T("prompts with equal token ids", "token id 相同的提示"), f"{found.equal_prompts}/{found.prompts}"),
        Figure(T("equal greedy answers", "相同的贪心回答"), f"{found.equal_answers}/{found.prompts}"),
        Figure(T("tokens compared", "对照的 token"), found.tokens),
        Figure(T("answers that are not the base's", "与基座不同的回答"), found.changed),
    ]
    artefacts = [Artefact.of(context.home.adapters / info.name / "adapter_model.safetensors", info.name)]
    if found.equal:
        return Verdict.passed(found.said, *figures, artefacts=artefacts)
    return Verdict.failed(found.said, *figures, fix=f"zhilu tune parity {info.name}", artefacts=artefacts)


def check_merged(context: Context) -> Verdict:
    """3.4: the newest merged model, read from the store, has the logits of base and adapter."""
    from zhilu.models import ModelStore
    from zhilu.tuning.after.merge import compare_merged
    from zhilu.tuning.base_model import require_trainer

    info = _newest(context, lambda info: info.merged is not None)
    if info is None or info.merged is None:
        why = T("No adapter has been merged yet.", "还没有合并过适配器。")
        return Verdict.not_yet(why, fix="zhilu tune merge RUN")
    require_trainer()
    apart, positions, equal = compare_merged(context, info)
    merged = info.merged
    figures = [
        Figure(T("merged model", "合并后的模型"), merged.model),
        Figure(T("weights", "权重精度"), merged.dtype),
        Figure(T("largest difference of a logit over the largest logit", "logit 最大差 / 最大 logit"), f"{apart:.1e}"),
        Figure(T("tolerance", "容差"), merged.tolerance),
        Figure(T("equal greedy tokens", "相同的贪心 token"), f"{equal}/{positions}"),
    ]
    artefacts = [Artefact.of(path) for path in ModelStore(context).files(merged.model) if path.suffix == ".safetensors"]
    if apart <= merged.tolerance:
        why = T(
            f"{merged.model} was read from the store and is {info.config.model} with {info.name}.",
            f"{merged.model} 从模型库读取，等于 {info.config.model} 加 {info.name}。",
        )
        return Verdict.passed(why, *figures, artefacts=artefacts)
    why = T(f"{merged.model} is not base and adapter any more.", f"{merged.model} 已不再等于“基座 + 适配器”。")
    return Verdict.failed(why, *figures, fix=f"zhilu tune merge {info.name} --model OTHER", artefacts=artefacts)


def check_judged(context: Context) -> Verdict:
    """3.5: the newest run on preferences or rewards, its held-out figures measured anew with the adapter on the disk."""
    from zhilu.tuning.after.again import measure_again

    judged = ("dpo", "kto", "grpo", "ppo")
    info = _newest(
        context, lambda i: i.config.objective in judged and i.outcome is not None and i.outcome.adapter is not None
    )
    if info is None:
        why = T("No run has learned from preferences or rewards yet.", "还没有用偏好或奖励训练过。")
        return Verdict.not_yet(why, fix="zhilu tune run --data PAIRS.jsonl")
    found = measure_again(context, RunLibrary(context).get(info.name))
    key = "margin" if "margin" in found else "reward"
    first, last = found[key]
    figures = [Figure(T("run", "训练"), info.name), Figure(T("objective", "目标"), str(info.config.objective))]
    figures += [
        Figure(T(f"{name} before", f"{name}（之前）"), round(pair[0], 4))
        for name, pair in found.items()
        if name != "held_out"
    ]
    figures += [
        Figure(T(f"{name} after", f"{name}（之后）"), round(pair[1], 4))
        for name, pair in found.items()
        if name != "held_out"
    ]
    artefacts = [Artefact.of(context.home.adapters / info.name / "adapter_model.safetensors", info.name)]
    near = key == "margin" or found["kl"][1] < _FAR
    en = f"{info.name}: held-out {key} {first:.3f} → {last:.3f}"
    zh = f"{info.name}：留出数据的 {key} {first:.3f} → {last:.3f}"
    if key == "reward":
        en, zh = (
            f"{en}, {found['kl'][1]:.3f} nats a token from the base",
            f"{zh}，每个 token 与基座相距 {found['kl'][1]:.3f} nat",
        )
    if last > first and near:
        return Verdict.passed(T(f"{en}.", f"{zh}。"), *figures, artefacts=artefacts)
    fix = f"zhilu tune run --data {info.config.data} --objective {info.config.objective} --beta 0.2"
    return Verdict.failed(T(f"{en}: no gain.", f"{zh}：没有提高。"), *figures, fix=fix, artefacts=artefacts)


def _newest(context: Context, fits: Callable[[RunInfo], bool]) -> RunInfo | None:
    return next((info for info in RunLibrary(context).list() if info.error is None and fits(info)), None)


GATES = [
    Gate("3.1", T("your own training data", "自己的训练数据"), check_training_data),
    Gate("3.2", T("one run on a base in 4 bits", "一次 4 位基座的训练"), check_four_bits, needs=("3.1",), slow=True),
    Gate("3.3", T("what is served is what was trained", "部署的就是训练出来的"), check_served, slow=True),
    Gate("3.4", T("the merged model is base and adapter", "合并后的模型等于基座加适配器"), check_merged, slow=True),
    Gate("3.5", T("preferences or rewards were learned", "学会了偏好或奖励"), check_judged, slow=True),
]
