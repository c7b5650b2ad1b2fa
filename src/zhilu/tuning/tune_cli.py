"""``zhilu tune``."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj, table
from zhilu.context import Context
from zhilu.messages import T
from zhilu.tuning.after.cli import compare, export_log, launchers

if TYPE_CHECKING:
    from zhilu.tuning.estimate import Planned
    from zhilu.tuning.runs import RunInfo

__all__ = ["tune"]


_OPTIONS = (
    click.option("--data", required=True, help=T("a dataset's name, or a file", "数据集名称或文件").say()),
    click.option(
        "--model",
        help=T(
            "the base: of the store, or a GGUF file (default: what runs)",
            "基座：库中的模型或 GGUF 文件（默认当前模型）",
        ).say(),
    ),
    click.option(
        "--held-out",
        help=T("dataset to measure with (default: a tenth of the data)", "用于评测的数据集（默认留出十分之一）").say(),
    ),
    click.option(
        "--objective",
        type=click.Choice(["sft", "dpo", "kto", "reward", "grpo", "ppo"]),
        help=T("what is learned (default: by the data)", "训练目标（默认由数据决定）").say(),
    ),
    click.option(
        "--beta",
        type=click.FloatRange(0, 10, min_open=True),
        help=T("how strongly the model is held to its base (not sft)", "与基座保持接近的强度（sft 除外）").say(),
    ),
    click.option(
        "--reward",
        help=T(
            "grpo, ppo: exact, contains, number, json, brief, run:NAME (of --objective reward), or FILE.py with reward(prompt, answer, wanted)",
            "grpo、ppo：exact、contains、number、json、brief、run:NAME（--objective reward 的训练），或含 reward(prompt, answer, wanted) 的 FILE.py",
        ).say(),
    ),
    click.option("--max-answer", type=click.IntRange(1, 2048), default=32, show_default=True),
    click.option(
        "--method",
        type=click.Choice(["lora", "qlora", "full"]),
        default="lora",
        show_default=True,
        help=T("an adapter; one on a base in 4 bits; or all weights", "适配器；4 位基座上的适配器；或全部权重").say(),
    ),
    click.option("--rank", type=click.IntRange(1, 512)),
    click.option("--alpha", type=click.FloatRange(min=0, min_open=True)),
    click.option("--dropout", type=click.FloatRange(0, 1, max_open=True), default=0.0, show_default=True),
    click.option(
        "--rslora", is_flag=True, help=T("scale the adapter by 1 / sqrt(rank)", "适配器按 1 / sqrt(秩) 缩放").say()
    ),
    click.option(
        "--dora",
        is_flag=True,
        help=T(
            "learn lengths and directions apart; served after zhilu tune merge",
            "长度与方向分开学习；需 zhilu tune merge 后部署",
        ).say(),
    ),
    click.option(
        "--optimizer",
        type=click.Choice(["adamw", "lion", "adamw8bit"]),
        default="adamw",
        show_default=True,
        help=T(
            "lion and adamw8bit keep less beside each trained weight", "lion 与 adamw8bit 为每个训练权重保存的状态更少"
        ).say(),
    ),
    click.option(
        "--checkpointing",
        is_flag=True,
        help=T(
            "compute layers again on the way back: less memory, more time", "反向时重新计算各层：省内存，更慢"
        ).say(),
    ),
    click.option(
        "--precision",
        type=click.Choice(["float32", "bfloat16"]),
        help=T(
            "qlora: what the base is multiplied in (default: measured)", "qlora：基座矩阵乘法的精度（默认实测选择）"
        ).say(),
    ),
    click.option("--learning-rate", type=click.FloatRange(0, 1, min_open=True, max_open=True)),
    click.option("--epochs", type=click.FloatRange(0, 1000, min_open=True)),
    click.option("--max-len", type=click.IntRange(min=16)),
    click.option("--batch-tokens", type=click.IntRange(min=16)),
    click.option("--seed", type=int, default=7, show_default=True),
    click.option(
        "--launch",
        type=click.Choice(["one", "ddp", "fsdp2", "zero1", "zero2", "zero3", "ray", "colossalai"]),
        default="one",
        show_default=True,
        help=T("one process or several (zhilu tune launchers)", "单进程或多进程（zhilu tune launchers）").say(),
    ),
    click.option("--nproc", type=click.IntRange(1, 1024), help=T("processes (default: 2)", "进程数（默认 2）").say()),
    click.option(
        "--ray-address", help=T("of a Ray cluster (default: one for this run)", "Ray 集群地址（默认临时启动）").say()
    ),
)


def _with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What a run is made of, as options: of ``run`` and of ``estimate``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _own_reward(reward: str | None) -> Path | None:
    """A person's own reward function, where a file is named."""
    return Path(reward) if reward and Path(reward).suffix == ".py" and Path(reward).is_file() else None


@click.group()
def tune() -> None:
    """Fine-tune a model on your own data, and see that what is served is what was trained.
    用自己的数据微调模型，并确认部署的就是训练出来的。"""


@tune.command()
@_with_options
@click.option("--name", help=T("of the run and its adapter", "训练及其适配器的名称").say())
@json_option
@pass_context_obj
def run(
    context: Context, data: str, model: str | None, name: str | None, reward: str | None, as_json: bool, **rest: Any
) -> None:
    """Train on --data; whatever is not given is chosen, with its reason.
    用 --data 训练；没有给出的参数会自动选择并说明原因。"""
    from zhilu.jobs import JobStore
    from zhilu.jobs.follow import follow, raise_unless_done
    from zhilu.tuning.base_model import name_of_base
    from zhilu.tuning.config import TuneConfig
    from zhilu.tuning.data.library import DatasetLibrary
    from zhilu.tuning.job import submit_tuning
    from zhilu.tuning.rewards import FILE
    from zhilu.tuning.runs import RunLibrary

    if Path(data).is_file():
        data = DatasetLibrary(context).keep(Path(data)).name
    own = _own_reward(reward)
    config = TuneConfig.of(model=name_of_base(context, model), data=data, reward=FILE if own else reward, **rest)
    info, job = submit_tuning(context, config, name, own)
    done = follow(JobStore(context), job.id, quiet=as_json)
    if not done.ended:
        return
    raise_unless_done(done)
    info = RunLibrary(context).get(info.name).info()
    echo_json(info.model_dump(mode="json")) if as_json else _print(info)


@tune.command()
@_with_options
@json_option
@pass_context_obj
def estimate(context: Context, data: str, model: str | None, reward: str | None, as_json: bool, **rest: Any) -> None:
    """What a run would take: memory by its parts, and time by three of its steps, which are not kept.
    一次训练需要什么：各部分内存，以及由三步实测得出的时间（不保留结果）。"""
    from zhilu.jobs import JobStore
    from zhilu.jobs.follow import follow, raise_unless_done
    from zhilu.tuning.base_model import name_of_base
    from zhilu.tuning.config import TuneConfig
    from zhilu.tuning.data.library import DatasetLibrary
    from zhilu.tuning.estimate import Planned
    from zhilu.tuning.recipes.probe import submit_probe
    from zhilu.tuning.rewards import FILE

    if Path(data).is_file():
        data = DatasetLibrary(context).keep(Path(data)).name
    own = _own_reward(reward)
    config = TuneConfig.of(model=name_of_base(context, model), data=data, reward=FILE if own else reward, **rest)
    done = follow(JobStore(context), submit_probe(context, config, own).id, quiet=as_json)
    if not done.ended:
        return
    planned = Planned.model_validate(raise_unless_done(done).result)
    echo_json(planned.model_dump(mode="json")) if as_json else _print_planned(planned)
    if planned.memory.total > planned.free:
        sys.exit(1)


@tune.command("list")
@json_option
@pass_context_obj
def list_(context: Context, as_json: bool) -> None:
    """Runs, the newest first.
    训练记录，最新的在前。"""
    from zhilu.tuning.runs import RunLibrary

    found = RunLibrary(context).list()
    if as_json:
        echo_json([info.model_dump(mode="json") for info in found])
        return
    columns = (
        T("name", "名称"),
        T("base", "基座"),
        T("data", "数据"),
        T("held-out loss", "留出损失"),
        T("steps", "步数"),
    )
    rows = []
    for info in found:
        out = info.outcome
        if info.error:
            rows.append((info.name, "", "", info.error.say(), ""))
            continue
        loss = f"{out.held_out_before:.3f} → {out.held_out_after:.3f}" if out else T("not finished", "未完成").say()
        rows.append((info.name, info.config.model, info.config.data, loss, str(out.steps) if out else ""))
    table(columns, rows, empty=T("No runs yet: zhilu tune run --data FILE", "还没有训练：zhilu tune run --data FILE"))


@tune.command()
@click.argument("name")
@json_option
@pass_context_obj
def show(context: Context, name: str, as_json: bool) -> None:
    """One run: what was chosen and why, the losses, and answers before and after.
    一次训练：所选参数及原因、损失，以及训练前后的回答。"""
    from zhilu.tuning.runs import RunLibrary

    folder = RunLibrary(context).get(name)
    if as_json:
        echo_json({**folder.info().model_dump(mode="json"), "metrics": list(folder.measured())})
    else:
        _print(folder.info())


@tune.command()
@click.argument("name")
@pass_context_obj
def remove(context: Context, name: str) -> None:
    """Delete what a run measured; the adapter that came of it stays.
    删除一次训练的记录；由它得到的适配器保留。"""
    from zhilu.tuning.runs import RunLibrary

    RunLibrary(context).remove(name)
    click.echo(T(f"{name} is deleted.", f"{name} 已删除。").say())


@tune.command()
@click.argument("name")
@json_option
@pass_context_obj
def parity(context: Context, name: str, as_json: bool) -> None:
    """Whether the served adapter is the trained one: prompt ids and greedy tokens of trainer and server.
    部署的适配器是否就是训练出来的：比较训练器与服务端的提示 id 和贪心 token。"""
    import asyncio

    from zhilu.tuning.after.parity import check_parity

    found = asyncio.run(check_parity(context, name))
    if as_json:
        echo_json(found.model_dump(mode="json"))
    else:
        click.secho(found.said.say(), fg="green" if found.equal else "red")
    if not found.equal:
        sys.exit(1)


@tune.command()
@click.argument("name")
@click.option(
    "--rule",
    type=click.Choice(["exact", "contains", "number", "json", "brief"]),
    default="exact",
    show_default=True,
    help=T("what a right answer is", "怎样算回答正确").say(),
)
@click.option(
    "--data", help=T("a dataset to ask from (default: the held-out rows)", "提问用的数据集（默认留出的行）").say()
)
@click.option("--most", type=click.IntRange(1, 2000), default=100, show_default=True, help=T("prompts", "提示数").say())
@json_option
@pass_context_obj
def ask(context: Context, name: str, rule: str, data: str | None, most: int, as_json: bool) -> None:
    """How often the served model shows the new behaviour: held-out prompts, asked of the base and of what was trained.
    部署的模型有多少次表现出新的行为：用留出的提示分别询问基座和训练结果。"""
    import asyncio

    from zhilu.tuning.after.behaviour import ask_held_out

    found = asyncio.run(ask_held_out(context, name, rule=rule, data=data, most=most))
    if as_json:
        echo_json(found.model_dump(mode="json"))
        return
    for row in found.rows[:3]:
        click.echo(f"{row.prompt.strip()}\n  {T('base', '基座').say()}: {row.base.strip()}")
        click.echo(f"  {found.model}: {row.tuned.strip()}\n  {T('wanted', '期望').say()}: {row.wanted.strip()}")
    said = T(
        f"{found.prompts} held-out prompts, {rule}: base {found.base:.0%}, {found.model} {found.tuned:.0%}",
        f"{found.prompts} 个留出的提示，{rule}：基座 {found.base:.0%}，{found.model} {found.tuned:.0%}",
    )
    click.secho(said.say(), bold=True)


@tune.command()
@click.argument("name")
@click.option("--model", help=T("its name in the store", "在模型库中的名称").say())
@click.option("--dtype", type=click.Choice(["float32", "bfloat16", "float16"]))
@json_option
@pass_context_obj
def merge(context: Context, name: str, model: str | None, dtype: Any, as_json: bool) -> None:
    """Merge the adapter of a run into its base: a model of the store, proven to be the two together.
    把一次训练的适配器合并进基座：得到模型库中的一个模型，并证明它等于二者之和。"""
    from zhilu.jobs import JobStore
    from zhilu.jobs.follow import follow, raise_unless_done
    from zhilu.tuning.after.jobs import submit_merge

    done = follow(JobStore(context), submit_merge(context, name, model, dtype).id, quiet=as_json)
    if not done.ended:
        return
    made = raise_unless_done(done).result or {}
    if as_json:
        echo_json(made)
        return
    said = T(
        f"{made['model']}: logits differ by at most {made['apart']:.1e} of the largest ({made['tolerance']:g} may be), "
        f"{made['equal_tokens']} of {made['positions']} greedy tokens are equal. Next: zhilu serve {made['model']}",
        f"{made['model']}：logits 最多相差最大值的 {made['apart']:.1e}（允许 {made['tolerance']:g}），"
        f"{made['positions']} 个贪心 token 中有 {made['equal_tokens']} 个相同。下一步：zhilu serve {made['model']}",
    )
    click.echo(said.say())


@tune.command()
@click.argument("name")
@click.option("--format", "form", type=click.Choice(["safetensors", "gguf", "ollama"]), required=True)
@click.option("--precision", type=click.Choice(["f32", "f16", "bf16", "q8_0"]), default="f16", show_default=True)
@click.option("--to", type=click.Path(path_type=Path), help=T("a new folder", "新的文件夹").say())
@json_option
@pass_context_obj
def export(context: Context, name: str, form: Any, precision: Any, to: Path | None, as_json: bool) -> None:
    """Write the tuned model for other programs; a GGUF file is proven in llama.cpp first.
    把训练结果写成其他程序可用的文件；GGUF 文件会先在 llama.cpp 中验证。"""
    from zhilu.jobs import JobStore
    from zhilu.jobs.follow import follow, raise_unless_done
    from zhilu.tuning.after.jobs import submit_export

    done = follow(JobStore(context), submit_export(context, name, form, precision, to).id, quiet=as_json)
    if not done.ended:
        return
    made = raise_unless_done(done).result or {}
    if as_json:
        echo_json(made)
        return
    click.echo(made["folder"])
    if made["tokens"] is not None:
        said = T(
            f"llama.cpp reads it: {made['equal_tokens']} of {made['tokens']} greedy tokens are the merged model's.",
            f"llama.cpp 可以读取：{made['tokens']} 个贪心 token 中有 {made['equal_tokens']} 个与合并后的模型相同。",
        )
        click.echo(said.say())
    if form == "ollama":
        click.echo(T(f"Next: cd {made['folder']} && ollama create {name} -f Modelfile",
                     f"下一步：cd {made['folder']} && ollama create {name} -f Modelfile").say())  # fmt: skip
        if not made["templated"]:
            click.echo(T("Its chat template cannot be written in Ollama's language: ask it by plain prompts there.",
                         "它的对话模板无法用 Ollama 的语言表达：在那里请使用纯文本提示。").say())  # fmt: skip


@tune.group()
def recipe() -> None:
    """Recipes to copy and own.
    可复制并归你所有的配方。"""


@recipe.command("list")
@json_option
def list_recipes(as_json: bool) -> None:
    """The recipes that can be copied.
    可复制的配方。"""
    from zhilu.tuning.recipes.own import own_recipes

    echo_json(own_recipes()) if as_json else click.echo("\n".join(own_recipes()))


@recipe.command("copy")
@click.argument("name")
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), default=".", show_default=True)
def copy_(name: str, to: Path) -> None:
    """Write a recipe (a Python file) and its configuration, which run as they are: python sft.py sft.yaml
    写出一个配方（Python 文件）及其配置，可直接运行：python sft.py sft.yaml"""
    from zhilu.tuning.recipes.own import copy_recipe

    for file in copy_recipe(name, to):
        click.echo(file)
    said = T(f"Next: cd {to} && python {name}.py {name}.yaml", f"下一步：cd {to} && python {name}.py {name}.yaml")
    click.echo(said.say())


def _print_planned(planned: Planned) -> None:
    parts = planned.memory
    columns = (T("memory for", "内存用途"), T("GB", "GB"))
    names = {
        "weights": T("weights of the base", "基座权重"), "trained": T("trained tensors, gradients, moments", "训练张量、梯度与动量"),
        "sequence": T(f"a sequence of {parts.max_len:,} tokens", f"{parts.max_len:,} 个 token 的序列"), "logits": T("logits", "logits"),
        "total": T("in all, with the program", "合计（含程序）"),
    }  # fmt: skip
    table(columns, [(name.say(), f"{getattr(parts, key) / 1e9:.2f}") for key, name in names.items()])
    free = f"{planned.free / 1e9:.1f}"
    if parts.total > planned.free:
        click.secho(T(f"It does not fit: {free} GB are free.", f"装不下：空闲内存 {free} GB。").say(), fg="red")
        if (near := planned.fits) is not None:
            size, again = f"{near.total / 1e9:.1f} GB", " --checkpointing" if near.checkpointing else ""
            click.echo(T(f"The nearest that fits ({size}): --method {near.method}{again} --max-len {near.max_len}",
                         f"装得下的最接近配置（{size}）：--method {near.method}{again} --max-len {near.max_len}").say())  # fmt: skip
        return
    said = T(
        f"{planned.steps} steps of {planned.step_seconds:.1f} s: about {planned.seconds / 60:.1f} minutes, without the evaluations "
        f"(measured: {planned.peak_mb:,} MB at most; {free} GB are free)",
        f"{planned.steps} 步，每步 {planned.step_seconds:.1f} 秒：约 {planned.seconds / 60:.1f} 分钟，不含评测"
        f"（实测内存最多 {planned.peak_mb:,} MB；空闲 {free} GB）",
    )
    click.secho(said.say(), bold=True)
    if planned.processes > 1:
        click.echo(T(f"Measured in one process; {planned.processes} share the steps, the cores and the memory of this machine.",
                     f"以上由单进程实测；{planned.processes} 个进程将分担各步，并共用本机的核心与内存。").say())  # fmt: skip


def _print(info: RunInfo) -> None:
    for key, value in info.chosen.items():
        shown = f"{value:g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value).lower()
        click.echo(f"{key} = {shown}  ({info.reasons[key].say()})")
    out = info.outcome
    if out is None:
        click.echo(T("The run is not finished: zhilu jobs list", "训练尚未完成：zhilu jobs list").say())
        return
    said = T(
        f"Held-out loss {out.held_out_before:.3f} → {out.held_out_after:.3f} (best at step {out.best_step} of {out.steps}); "
        f"{out.tokens:,} tokens, {out.tokens_per_second:,.0f} a second; {out.peak_mb:,} MB",
        f"留出损失 {out.held_out_before:.3f} → {out.held_out_after:.3f}（最佳在第 {out.best_step} 步，共 {out.steps} 步）；"
        f"{out.tokens:,} 个 token，每秒 {out.tokens_per_second:,.0f}；{out.peak_mb:,} MB",
    )
    click.secho(said.say(), bold=True)
    if (weights := out.weights) is not None:
        size, rest, count = weights.quantized_bytes / 1e6, weights.other_bytes / 1e6, weights.quantized_parameters / 1e6
        bits = 8 * size / count
        said = T(
            f"Base in 4 bits: {count:,.1f} M weights in {size:,.1f} MB ({bits:.2f} bits each), {rest:,.1f} MB in float32",
            f"4 位基座：{count:,.1f} M 权重占 {size:,.1f} MB（每个 {bits:.2f} 位），另有 float32 {rest:,.1f} MB",
        )
        click.echo(said.say())
    if out.served is not None:
        first, last = out.served
        said = T(
            f"on the base as it is served: {first:.3f} → {last:.3f}", f"在部署时的基座上：{first:.3f} → {last:.3f}"
        )
        click.echo(said.say())
    for key, (first, last) in out.measures.items():
        click.echo(f"{key}: {first:.3f} → {last:.3f}")
    for answer in out.answers[:3]:
        click.echo(f"\n{_plain(answer.prompt)}")
        click.echo(click.style(T("before: ", "之前：").say(), fg="yellow") + answer.before.strip())
        click.echo(click.style(T("after:  ", "之后：").say(), fg="green") + answer.after.strip())
        click.echo(click.style(T("wanted: ", "期望：").say(), fg="cyan") + answer.wanted.strip())
    if info.config.objective == "reward":
        fix = f"zhilu tune run --data CHATS --model {info.config.model} --objective grpo --reward run:{info.name}"
        click.echo(T(f"Next: {fix}", f"下一步：{fix}").say())
    if out.adapter:
        click.echo(T(f"\nNext: zhilu tune parity {info.name}", f"\n下一步：zhilu tune parity {info.name}").say())


def _plain(prompt: str) -> str:
    """A rendered prompt for the eye: without its special tokens."""
    return re.sub(r"<\|[a-z_]{1,30}\|>", "", prompt).strip()


tune.add_command(compare)
tune.add_command(export_log)
tune.add_command(launchers)
