"""``zhilu up``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj
from zhilu.context import Context
from zhilu.home import check_database
from zhilu.messages import T

__all__ = ["up"]


@click.command()
@click.option("--host", help=T("address to listen on", "监听地址").say())
@click.option("--port", type=click.IntRange(0, 65535), help=T("port (0: a free one)", "端口（0：任选空闲端口）").say())
@click.option("--model", help=T("model to start with", "启动时加载的模型").say())
@click.option("--open/--no-open", "open_browser", default=None, help=T("open a browser", "打开浏览器").say())
@click.option("--ephemeral", is_flag=True, hidden=True)
@click.option("--ready-file", type=click.Path(dir_okay=False, path_type=Path), hidden=True)
@json_option
@pass_context_obj
def up(
    context: Context,
    host: str | None,
    port: int | None,
    model: str | None,
    open_browser: bool | None,
    ephemeral: bool,
    ready_file: Path | None,
    as_json: bool,
) -> None:
    """Start the workbench, the gateway and the model. 启动工作台、网关和模型。"""
    flags = {"host": host, "port": port, "model": model}
    context.flags.update({key: value for key, value in flags.items() if value is not None})
    context.reload_settings()
    from zhilu.host.server import run_app

    def make_app() -> Any:
        from zhilu.host.app import create_app

        return create_app(context, ephemeral=ephemeral)

    if not context.settings.database_url:
        check_database(context.home.database, "zhilu repair")

    def say(url: str) -> None:
        if as_json:
            echo_json({"url": url, "home": str(context.home.path)})
        elif not ephemeral:
            click.echo(T(f"Zhilu is up: {url}  (Ctrl+C stops it)", f"指路已启动：{url}（按 Ctrl+C 停止）").say())
        if open_browser and not ephemeral:
            click.launch(url)

    run_app(
        context,
        make_app,
        ephemeral=ephemeral,
        early_page=not ephemeral,
        ready_file=ready_file,
        on_ready=say,
    )
