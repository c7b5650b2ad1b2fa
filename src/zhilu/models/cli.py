"""``zhilu model``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj, table
from zhilu.context import Context
from zhilu.messages import T
from zhilu.models.apis.cli import api
from zhilu.models.chosen import default_model
from zhilu.models.store import EMBEDDED, ModelInfo, ModelStore
from zhilu.setup.require import require_torch

if TYPE_CHECKING:
    from zhilu.models.offers import Offer

__all__ = ["model"]

_STATES = {
    "ready": T("ready", "就绪"),
    "starting": T("starting", "启动中"),
    "failed": T("failed", "失败"),
    "stopped": T("stopped", "未运行"),
}


@click.group()
def model() -> None:
    """Models: list, catalog, show, pull, import, pack, remove, api. 模型：列出、目录、查看、拉取、导入、打包、删除、API。"""


model.add_command(api)


@model.command("list")
@json_option
@pass_context_obj
def list_models(context: Context, as_json: bool) -> None:
    """Models on this machine. 这台机器上的模型。"""
    models = ModelStore(context).list()
    if as_json:
        echo_json([info.model_dump(mode="json") for info in models])
        return
    columns = (
        T("name", "名称"),
        T("parameters", "参数量"),
        T("size", "大小"),
        T("context", "上下文"),
        T("state", "状态"),
        T("from", "来源"),
    )
    table(columns, [_row(info) for info in models])


def _row(info: ModelInfo) -> tuple[object, ...]:
    state = _STATES[info.state] if info.supported else T("cannot run in the embedded engine", "内置引擎无法运行")
    return info.name, _count(info.parameters), _size(info.size_bytes), info.context_length, state.say(), info.source


@model.command("show")
@click.argument("name")
@json_option
@pass_context_obj
def show_model(context: Context, name: str, as_json: bool) -> None:
    """What is in a model, what it needs to run, and its card. 模型的内容、运行需求与模型卡。"""
    from zhilu.models.inspect import card_markdown, estimate_memory

    store = ModelStore(context)
    if name in _OURS and name not in {info.name for info in store.list()}:
        name = _OURS[name]
    if name == "zhilu-embed":
        return _show_embedder(as_json)
    info = store.get(name)
    memory = estimate_memory(store.path_of(name)) if info.parameters else None
    cards = card_markdown(store.path_of(name))
    if as_json:
        said = {"memory_estimate": memory.model_dump() if memory else None, "card": cards or None}
        echo_json({**info.model_dump(mode="json"), **said})
        return None
    rows: list[tuple[T, object]] = [
        (T("architecture", "架构"), info.architecture),
        (T("parameters", "参数量"), f"{info.parameters:,} ({info.dtype})"),
        (T("weights", "权重"), _size(info.size_bytes)),
        (T("context", "上下文"), info.context_length),
        (T("vocabulary", "词表"), info.vocab_size),
        (T("license", "许可协议"), info.license),
        (T("state", "状态"), f"{_STATES[info.state].say()} {info.detail}".strip()),
        (T("folder", "目录"), info.path),
    ]
    if memory and memory.kv_bytes_per_token:
        rows.append((T("cache per token", "每个 token 的缓存"), _size(memory.kv_bytes_per_token)))
    if memory and memory.full_context_bytes:
        rows.append((T("memory at full context", "满上下文时的内存"), _size(memory.full_context_bytes)))
    if info.why_not:
        rows.append((T("cannot run here because", "无法运行的原因"), T.of(info.why_not).say()))
    click.echo(info.name)
    for title, value in rows:
        if value not in (None, ""):
            click.echo(f"  {title.say()}: {value}")
    if cards:
        click.echo("\n" + cards[T("en", "zh").say()].strip())
    return None


_OURS = {"nano": "zhilu-nano", "embed": "zhilu-embed"}  # what people call them


def _show_embedder(as_json: bool) -> None:
    """The embedder in the package: no chat model, so the store does not list it."""
    from zhilu.models.inspect import card_markdown
    from zhilu.models.shipped import EMBED

    cards = card_markdown(EMBED)
    size = sum(path.stat().st_size for path in EMBED.glob("*.safetensors"))
    if as_json:
        echo_json({"name": "zhilu-embed", "kind": "embedder", "path": str(EMBED), "size_bytes": size, "card": cards})
        return
    click.echo(f"zhilu-embed ({_size(size)})\n  {T('folder', '目录').say()}: {EMBED}")
    click.echo("\n" + cards[T("en", "zh").say()].strip())


@model.command("catalog")
@json_option
@pass_context_obj
def show_catalog(context: Context, as_json: bool) -> None:
    """Models to pull by name, with size, licence and what fits. 可按名称拉取的模型：大小、许可与是否适合本机。"""
    from zhilu.models.offers import offered

    rows = offered(context)
    if as_json:
        echo_json([row.model_dump(mode="json") for row in rows])
        return
    columns = (
        T("name", "名称"),
        T("kind", "类别"),
        T("download", "下载"),
        T("memory", "内存"),
        T("license", "许可协议"),
        T("here", "本机"),
    )
    table(columns, [_offer(row) for row in rows])
    click.echo("→ zhilu model pull NAME")


def _offer(row: Offer) -> tuple[object, ...]:
    here = T("in the store", "已入库") if row.installed else T("fits", "放得下") if row.fits else row.fit_reason
    return row.name, row.group, _size(row.download_bytes), _size(row.memory_bytes), row.license, here.say()


@model.command("import")
@click.argument("path", required=False)
@click.option("--name", help="in the store; by default its own 默认用原名")
@json_option
@pass_context_obj
def import_model(context: Context, path: str | None, name: str | None, as_json: bool) -> None:
    """Take in a model folder, a GGUF file, or what Ollama or LM Studio have here (linked, never copied). Without PATH:
    lists what they have. 导入模型目录、GGUF 文件，或本机 Ollama、LM Studio 中的模型（只链接，不复制）；不带参数则列出它们。"""
    from zhilu.models.offers import import_any
    from zhilu.models.offers.elsewhere import find_elsewhere

    if path is not None:
        _said(context, import_any(context, path, name), as_json)
        return
    found = find_elsewhere()
    if as_json:
        echo_json([row.model_dump(mode="json") for row in found])
        return
    if not found:
        click.echo(T("Neither Ollama nor LM Studio has models here.", "本机的 Ollama 和 LM Studio 都没有模型。").say())
        return
    table(
        (T("of", "属于"), T("name", "名称"), T("size", "大小")), [(m.app, m.name, _size(m.size_bytes)) for m in found]
    )
    click.echo(f"→ zhilu model import {found[0].name}")


@model.command("pull")
@click.argument("repo", metavar="NAME | OWNER/NAME")
@click.option("--source", default="auto", show_default=True, help="auto | folder | mirror | hf | modelscope | index")
@click.option("--revision", help="branch, tag or commit 分支、标签或提交")
@click.option("--file", help="of several GGUF files, the one to take 有多个 GGUF 文件时取哪一个")
@click.option("--name", help="in the store; by default NAME 默认用 NAME")
@json_option
@pass_context_obj
def pull_model(
    context: Context,
    repo: str,
    source: str,
    revision: str | None,
    file: str | None,
    name: str | None,
    as_json: bool,
) -> None:
    """Download a model of the catalogue, or any of a hub. 下载目录中的模型，或模型仓库中的任意模型。"""
    from zhilu.jobs import JobStore
    from zhilu.jobs.follow import follow, raise_unless_done
    from zhilu.models.pull import submit_pull

    job = follow(JobStore(context), submit_pull(context, source, repo, revision, name, file).id, quiet=as_json)
    if job.ended:
        result = raise_unless_done(job).result or {}
        if not as_json and "reason" in result:
            click.echo(T.of(result["reason"]).say())
        _said(context, ModelStore(context).get(result["model"]), as_json)


@model.command("pack")
@click.argument("name")
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), default=Path("packed"), show_default=True)
@click.option("--as", "form", default="packages", show_default=True, help="packages | folder")
@click.option("--part-mb", type=int, default=60, show_default=True, help="largest package 单个包的上限 (MB)")
@json_option
@pass_context_obj
def pack_model(context: Context, name: str, to: Path, form: str, part_mb: int, as_json: bool) -> None:
    """Make packages of a model for your own package index, or a folder for a mirror.
    把模型打成包供内部包索引使用，或写成镜像目录。"""
    from zhilu.models.sources.pack import pack

    written = pack(context, name, to, form=form, part_mb=part_mb)
    if as_json:
        echo_json([str(path) for path in written])
        return
    for path in written:
        click.echo(str(path))
    if form == "packages":
        upload, pull = f"twine upload {to}/*.whl", f"zhilu model pull {name} --source index"
    else:
        upload, pull = f"zhilu settings set model_folder {to.absolute()}", f"zhilu model pull {name} --source folder"
    click.echo(f"→ {upload}\n→ {pull}")


@model.command("remove")
@click.argument("name")
@json_option
@pass_context_obj
def remove_model(context: Context, name: str, as_json: bool) -> None:
    """Delete a model's files. 删除模型文件。"""
    ModelStore(context).remove(name)
    if as_json:
        echo_json({"removed": name})
    else:
        click.echo(T(f"Removed {name}.", f"已删除 {name}。").say())


_PASSED_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


@model.command("train-nano", context_settings=_PASSED_ON)
@click.argument("args", nargs=-1, type=click.UNPROCESSED, metavar="[--preset cpu|gpu] [--data DIR] --out DIR …")
def train_nano(args: tuple[str, ...]) -> None:
    """Train the embedded model again from scratch; --help shows the recipe's options. 从零重新训练内置模型。"""
    _run_recipe("zhilu.training.nano.train", args)


@model.command("train-embed", context_settings=_PASSED_ON)
@click.argument("args", nargs=-1, type=click.UNPROCESSED, metavar="[--data DIR] --out DIR …")
def train_embed(args: tuple[str, ...]) -> None:
    """Train the embedder again from scratch; --help shows the recipe's options. 从零重新训练内置向量模型。"""
    _run_recipe("zhilu.training.embed.train", args)


def _run_recipe(module: str, args: tuple[str, ...]) -> None:
    require_torch(T("Training", "训练"))
    done = subprocess.run([sys.executable, "-m", module, *args], check=False)
    click.get_current_context().exit(done.returncode)


def _said(context: Context, info: ModelInfo, as_json: bool) -> None:
    if as_json:
        echo_json(info.model_dump(mode="json"))
        return
    size = f"{_count(info.parameters)}, {_size(info.size_bytes)}"
    click.echo(T(f"{info.name} is in the store ({size}).", f"{info.name} 已入库（{size}）。").say())
    if info.why_not:
        click.echo(T.of(info.why_not).say())
        return
    if default_model(context).name == info.name:
        click.echo(
            T(
                f"It answers from now on where no model is named, in place of {EMBEDDED}; "
                "zhilu settings set model NAME chooses another.",
                f"今后未指定模型时由它回答，不再用 {EMBEDDED}；zhilu settings set model NAME 可另选。",
            ).say()
        )
    click.echo(f"→ zhilu chat {info.name}")


def _count(value: int) -> str:
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if value >= limit:
            return f"{value / limit:.3g} {unit}"
    return str(value)


def _size(value: int) -> str:
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "KB")):
        if value >= limit:
            return f"{value / limit:.3g} {unit}"
    return f"{value} B"
