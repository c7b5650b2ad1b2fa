"""``zhilu serve`` and ``zhilu engine``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj, table
from zhilu.context import Context
from zhilu.errors import InputError, NotFoundError, UnreachableError, UnsupportedError
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.serving.facts import ServedModel

__all__ = ["engine", "serve"]


@click.command()
@click.argument("model")
@click.option("--engine", "engine_name", default="auto", help=T("engine to run it with", "使用的引擎").say())
@click.option("--host", help=T("address to listen on", "监听地址").say())
@click.option("--port", type=click.IntRange(0, 65535), help=T("port (0: a free one)", "端口（0：任选空闲端口）").say())
@click.option("--max-len", type=click.IntRange(1), help=T("longest sequence, tokens", "最长序列（token）").say())
@click.option("--base-url", help=T("server behind --engine openai", "--engine openai 背后的服务器").say())
@click.option("--remote-model", help=T("the model's name at that server", "模型在该服务器上的名字").say())
@click.option("--lora", multiple=True, metavar="NAME=PATH", help=T("not possible yet", "目前还不支持").say())
@json_option
@pass_context_obj
def serve(
    context: Context,
    model: str,
    engine_name: str,
    host: str | None,
    port: int | None,
    max_len: int | None,
    base_url: str | None,
    remote_model: str | None,
    lora: tuple[str, ...],
    as_json: bool,
) -> None:
    """Serve one MODEL (a name of the store, or a folder) as an OpenAI-compatible API, until Ctrl+C.
    把一个模型（仓库中的名字，或一个目录）作为 OpenAI 兼容 API 提供，按 Ctrl+C 停止。

    The key of --engine openai is read from OPENAI_API_KEY: on a command line every user of the machine could see it.
    """
    if lora:
        raise UnsupportedError(
            T(
                f"LoRA adapters cannot be served by this version, given --lora {lora[0]!r}.",
                f"这个版本还不能加载 LoRA 适配器，给出的是 --lora {lora[0]!r}。",
            ),
            param="lora",
            fix=f"zhilu serve {model}",
        )
    from zhilu.serving.catalog import FixedCatalog
    from zhilu.serving.engines import choose_engine, engine_registry
    from zhilu.serving.facts import LaunchOptions, ServedModel

    flags = {"host": host, "port": port}
    context.flags.update({key: value for key, value in flags.items() if value is not None})
    registry = engine_registry()
    wanted = registry.get(engine_name).facts if engine_name != "auto" else None
    served = ServedModel(model) if wanted and not wanted.is_process else find_model(context, model)
    context.flags["model"] = served.name
    context.reload_settings()
    chosen, reason = choose_engine(engine_name, served, registry)
    options = LaunchOptions(
        threads=context.settings.threads, max_len=max_len, base_url=base_url, remote_model=remote_model
    )
    registry.get(chosen).launch(served, options, 1)  # refuse now what would fail once the server is up

    # `serve` is the composing kind of command, like `up`: a whole application with one group of routes.
    from zhilu.web.app import create_app
    from zhilu.web.server import run_app

    def say(url: str) -> None:
        if as_json:
            echo_json({"url": f"{url}/v1", "model": served.name, "engine": chosen, "reason": reason.data()})
            return
        why = T(f"engine {chosen}: {reason.en}", f"引擎 {chosen}：{reason.zh}").say()
        click.echo(T(f"{served.name} is served at {url}/v1 ({why})", f"{served.name} 的地址是 {url}/v1（{why}）").say())

    state = {"catalog": FixedCatalog(served), "start": (served.name, chosen, options)}
    run_app(context, lambda: create_app(context, only=("serving",), state=state), register=False, on_ready=say)


def find_model(context: Context, word: str) -> ServedModel:
    """A model by its name in the store, or a folder by its path, under its own name.

    Raises:
        NotFoundError: neither a name nor a folder. InputError: a folder that is no model.
    """
    from zhilu.serving.catalog import StoreCatalog
    from zhilu.serving.facts import ServedModel

    folder = Path(word).expanduser()
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
    resolved = folder.resolve()
    return ServedModel(resolved.name, resolved)


@click.group()
def engine() -> None:
    """Engines that can run models here. 这台机器上能运行模型的引擎。"""


@engine.command("list")
@json_option
def list_engines(as_json: bool) -> None:
    """The engines there are. 列出所有引擎。"""
    from zhilu.serving.engines import engine_registry

    registry = engine_registry()
    rows: list[dict[str, Any]] = []
    for adapter in map(registry.get, registry.names()):
        facts, (is_installed, why) = adapter.facts, adapter.installed()
        rows.append(
            {
                "name": facts.name,
                "title": facts.title.data(),
                "status": facts.status,
                "installed": is_installed,
                "why": why.data(),
                "description": facts.description.data(),
                "source": facts.source,
                "checked": facts.checked,
                "can": sorted(facts.can),
            }
        )
    if as_json:
        echo_json(rows)
        return
    table(
        [T("name", "名字"), T("here", "本机"), T("what it is", "说明")],
        [[row["name"], T.of(row["why"]).say(), T.of(row["description"]).say()] for row in rows],
    )


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
    from zhilu.serving.process import log_path, tail

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
