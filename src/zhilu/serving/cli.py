"""``zhilu serve`` and ``zhilu engine``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj, table
from zhilu.context import Context
from zhilu.errors import InputError, NotFoundError, UnreachableError
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.serving.facts import ServedModel

__all__ = ["engine", "serve"]


@click.command()
@click.argument("model")
@click.option("--engine", "engine_name", default="auto", help=T("engine to run it with", "使用的引擎").say())
@click.option("--host", help=T("address to listen on", "监听地址").say())
@click.option("--port", type=click.IntRange(0, 65535), help=T("port (0: a free one)", "端口（0：任选空闲端口）").say())
@click.option(
    "--context",
    "--max-len",
    "max_len",
    type=click.IntRange(1),
    help=T("longest sequence, tokens", "最长序列（token）").say(),
)
@click.option(
    "--concurrency", type=click.IntRange(1), help=T("requests computed at the same time", "同时计算的请求数").say()
)
@click.option("--precision", help=T("of the weights, as the engine names it", "权重精度，用引擎的叫法").say())
@click.option(
    "--lora",
    multiple=True,
    metavar="NAME=PATH",
    help=T("LoRA adapter to start with; repeatable", "启动时加载的 LoRA，可重复").say(),
)
@click.option(
    "--speculate", type=click.IntRange(0), help=T("tokens guessed ahead, 0: off", "提前猜测的 token 数，0 关闭").say()
)
@click.option("--base-url", help=T("server behind --engine openai", "--engine openai 背后的服务器").say())
@click.option("--remote-model", help=T("the model's name at that server", "模型在该服务器上的名字").say())
@json_option
@pass_context_obj
def serve(
    context: Context,
    model: str,
    engine_name: str,
    host: str | None,
    port: int | None,
    lora: tuple[str, ...],
    as_json: bool,
    **asked: Any,
) -> None:
    """Serve one MODEL (a name of the store, a folder, or a GGUF file) as an OpenAI-compatible API, until Ctrl+C.
    把一个模型（仓库中的名字、一个目录或一个 GGUF 文件）作为 OpenAI 兼容 API 提供，按 Ctrl+C 停止。

    The key of --engine openai is read from OPENAI_API_KEY: on a command line every user of the machine could see it.
    """
    from zhilu.serving.catalog import FixedCatalog
    from zhilu.serving.engines import choose_engine, engine_registry
    from zhilu.serving.facts import LaunchOptions, ServedModel
    from zhilu.serving.supervise.preflight import preflight

    flags = {"host": host, "port": port}
    context.flags.update({key: value for key, value in flags.items() if value is not None})
    registry = engine_registry()
    wanted = registry.get(engine_name).facts if engine_name != "auto" else None
    served = ServedModel(model) if wanted and not wanted.is_process else find_model(context, model)
    context.flags["model"] = served.name
    context.reload_settings()
    options = LaunchOptions(
        threads=context.settings.threads, loras=read_loras(context, lora), home=context.home.path, **asked
    )
    chosen, reason = choose_engine(engine_name, served, registry, options)
    need = preflight(registry.get(chosen), served, options)  # refuse now what would fail once the server is up

    # `serve` is the composing kind of command, like `up`: a whole application with one group of routes.
    from zhilu.host.app import create_app
    from zhilu.host.server import run_app

    def say(url: str) -> None:
        if as_json:
            said = {"url": f"{url}/v1", "model": served.name, "engine": chosen, "reason": reason.data()}
            echo_json({**said, "memory_bytes": need.total if need else None})
            return
        why = T(f"engine {chosen}: {reason.en}", f"引擎 {chosen}：{reason.zh}").say()
        click.echo(T(f"{served.name} is served at {url}/v1 ({why})", f"{served.name} 的地址是 {url}/v1（{why}）").say())

    state = {"catalog": FixedCatalog(served), "start": (served.name, chosen, options)}
    run_app(
        context,
        lambda: create_app(context, only=("serving",), state=state),
        register=False,
        command=f"zhilu serve {model}",
        on_ready=say,
    )


def find_model(context: Context, word: str) -> ServedModel:
    """A model by its name in the store or of an API, or a folder by its path, under its own name.

    Raises:
        NotFoundError: neither a name nor a folder. InputError: a folder that is no model.
    """
    from zhilu.models.apis.store import ApiStore
    from zhilu.serving.catalog import StoreCatalog
    from zhilu.serving.facts import ServedModel

    if ApiStore(context.home).find(word) is not None:
        return StoreCatalog(context).get(word)
    folder = Path(word).expanduser()
    if folder.suffix.lower() == ".gguf" and folder.is_file():
        return ServedModel(folder.stem, folder.resolve())
    looks_like_path = folder.is_absolute() or word.startswith(".") or "/" in word or "\\" in word
    if not looks_like_path:
        return StoreCatalog(context).get(word)
    if not folder.is_dir():
        raise NotFoundError(
            T(f"There is no folder {word!r}.", f"没有目录 {word!r}。"), param="model", fix="zhilu model list"
        )
    if not (folder / "config.json").is_file():
        raise InputError(
            T(
                f"The folder {word!r} is no model: it has no config.json.",
                f"目录 {word!r} 不是模型：没有 config.json。",
            ),
            param="model",
            fix="zhilu model list",
        )
    from zhilu.models.inspect import why_not

    resolved = folder.resolve()
    return ServedModel(resolved.name, resolved, not_ours=why_not(resolved))


def read_loras(context: Context, words: tuple[str, ...]) -> tuple[tuple[str, Path], ...]:
    """``NAME=PATH`` words as pairs; a PATH that is only a name is looked for in the home's ``adapters/`` too.

    Raises:
        InputError: no ``NAME=PATH``, a name given twice. What the folders hold is ``preflight``'s to check.
    """
    from zhilu.serving.supervise.adapter_check import adapter_folder

    pairs: dict[str, Path] = {}
    for word in words:
        name, _, path = word.partition("=")
        if not name or not path or name in pairs:
            raise InputError(
                T(
                    f"--lora wants NAME=PATH, each name once, given {word!r}.",
                    f"--lora 的形式是 NAME=PATH，名字不能重复，给出的是 {word!r}。",
                ),
                param="lora",
                fix="zhilu serve MODEL --lora mine=FOLDER",
            )
        pairs[name] = adapter_folder(context.home.adapters, path).resolve()
    return tuple(pairs.items())


@click.group()
def engine() -> None:
    """Engines that can run models here. 这台机器上能运行模型的引擎。"""


@engine.command("list")
@json_option
@pass_context_obj
def list_engines(context: Context, as_json: bool) -> None:
    """The engines there are. 列出所有引擎。"""
    from zhilu.serving.engines import engine_registry

    registry = engine_registry()
    rows: list[dict[str, Any]] = []
    for adapter in map(registry.get, registry.names()):
        facts, (is_installed, why) = adapter.facts, adapter.installed(context.home.path)
        rows.append(
            {
                "name": facts.name,
                "title": facts.title.data(),
                "status": facts.status,
                "status_note": facts.status_note.data() if facts.status_note else None,
                "installed": is_installed,
                "why": why.data(),
                "description": facts.description.data(),
                "source": facts.source,
                "checked": facts.checked,
                "can": sorted(facts.can),
                "takes": sorted(facts.takes),
                "formats": sorted(facts.formats),
                "version": facts.install.version if facts.install else None,
            }
        )
    if as_json:
        echo_json(rows)
        return
    words = {
        "alive": T("alive", "维护中"),
        "legacy": T("legacy", "已停止开发"),
        "needs_gpu": T("needs a GPU", "需要 GPU"),
    }
    for row in rows:  # sentences do not fit into columns of a terminal 80 characters wide
        note = f" ({T.of(row['status_note']).say()})" if row["status_note"] else ""
        checked = T(f"checked {row['checked']}: {row['source']}", f"核对于 {row['checked']}：{row['source']}").say()
        click.echo(f"{row['name']:<10}{words[row['status']].say()} · {T.of(row['why']).say()}")
        click.echo(f"          {T.of(row['description']).say()}{note}\n          {checked}")


@engine.command("install")
@click.argument("name")
@json_option
@pass_context_obj
def install_engine(context: Context, name: str, as_json: bool) -> None:
    """Give the engine NAME an environment of its own. 为引擎安装独立的环境。"""
    from zhilu.jobs import JobStore
    from zhilu.jobs.follow import follow, raise_unless_done
    from zhilu.serving.install.job import submit_install

    job = follow(JobStore(context), submit_install(context, name).id, quiet=as_json)
    if job.ended:
        result = raise_unless_done(job).result or {}
        if as_json:
            echo_json(result)
        else:
            said = T(f"{result['version']} is installed.", f"{result['version']} 已安装。").say()
            click.echo(f"{said}\n→ zhilu serve zhilu-nano --engine {name}")


@engine.command("remove")
@click.argument("name")
@json_option
@pass_context_obj
def remove(context: Context, name: str, as_json: bool) -> None:
    """Delete the environment of the engine NAME. 删除引擎的环境。"""
    from zhilu.serving.install.job import remove_engine

    place = remove_engine(context, name)
    if as_json:
        echo_json({"removed": name, "path": str(place)})
    else:
        click.echo(T(f"Removed {name}.", f"已删除 {name}。").say())


@engine.command("running")
@json_option
@pass_context_obj
def list_running(context: Context, as_json: bool) -> None:
    """Engines that the running gateway keeps. 正在运行的引擎。"""
    rows = _ask_gateway(context, "/zhilu/v1/engines/running")
    if as_json:
        echo_json(rows)
        return
    table(
        [
            T("model", "模型"),
            T("engine", "引擎"),
            T("state", "状态"),
            T("pid", "pid"),
            T("restarts", "重启"),
            T("", ""),
        ],
        [[row[key] for key in ("model", "engine", "state", "pid", "restarts", "detail")] for row in rows],
        empty=T("No engine is running.", "没有正在运行的引擎。"),
    )


@engine.command("log")
@click.argument("model")
@click.option("--lines", default=40, show_default=True, type=click.IntRange(1, 10_000))
@json_option
@pass_context_obj
def show_log(context: Context, model: str, lines: int, as_json: bool) -> None:
    """What the engine of MODEL wrote. 查看某个模型的引擎日志。"""
    from zhilu.serving.supervise.engine_process import log_path, tail

    path = log_path(context.home.logs, model)
    if not path.exists():
        raise NotFoundError(
            T(f"The model {model!r} has no log yet.", f"模型 {model!r} 还没有日志。"),
            param="model",
            fix="zhilu model list",
        )
    text = tail(path, lines=lines, max_bytes=2_000_000)
    if as_json:
        echo_json({"model": model, "path": str(path), "text": text})
    else:
        click.echo(text)


def _ask_gateway(context: Context, path: str) -> Any:
    """A GET at the gateway that runs on this home; UnreachableError where there is none."""
    import httpx

    from zhilu.client import running_gateway

    url = running_gateway(context.home.run)
    if url is None:
        raise UnreachableError(T("Zhilu is not running.", "指路没有在运行。"), fix="zhilu up")
    key = context.settings.api_key
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        response = httpx.get(f"{url}{path}", headers=headers, timeout=10.0, trust_env=False)
        response.raise_for_status()
    except httpx.HTTPError as error:
        raise UnreachableError(
            T(f"The gateway at {url} does not answer: {error}", f"{url} 的网关没有应答：{error}"), fix="zhilu up"
        ) from error
    return response.json()
