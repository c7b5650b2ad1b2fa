"""``zhilu model api``."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj, table
from zhilu.context import Context
from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.models.apis.presets import presets
from zhilu.models.apis.store import Api, ApiStore

__all__ = ["api"]


@click.group()
def api() -> None:
    """Models behind somebody else's API. 别处 API 上的模型。"""


@api.command("add")
@click.argument("name")
@click.option("--base-url", help=T("of any OpenAI-compatible API", "任意 OpenAI 兼容 API 的地址").say())
@click.option(
    "--model", "models", multiple=True, help=T("to offer in menus; repeatable", "在菜单中提供的模型，可重复").say()
)
@click.option("--key-env", metavar="VAR", help=T("variable that holds the key", "存放密钥的环境变量").say())
@click.option("--no-key", is_flag=True, help=T("it wants no key", "它不需要密钥").say())
@click.option("--replace", is_flag=True, help=T("in place of the one of that name", "替换同名的 API").say())
@json_option
@pass_context_obj
def add(
    context: Context,
    name: str,
    base_url: str | None,
    models: tuple[str, ...],
    key_env: str | None,
    no_key: bool,
    replace: bool,
    as_json: bool,
) -> None:
    """Add an API by its NAME (see `zhilu model api list`), or any under a NAME of yours with --base-url.
    按名称添加 API（见 `zhilu model api list`），或用 --base-url 添加任意地址。

    The key is asked for, or read from the standard input: on a command line every user of the machine could see it.
    """
    from zhilu.models.apis import add_api

    key = None if no_key else _key(name, key_env)
    kept, found = add_api(context, name, base_url=base_url, key=key, models=models, replaces=replace)
    if as_json:
        echo_json({**_row(kept), "tested": found.model, "seconds": round(found.seconds, 3), "lists": len(found.models)})
        return
    click.echo(
        T(
            f"{name} answers: {found.model} in {found.seconds:.1f} s, {len(found.models)} models listed.",
            f"{name} 可用：{found.model} 用时 {found.seconds:.1f} 秒，共列出 {len(found.models)} 个模型。",
        ).say()
    )
    click.echo(f"→ zhilu chat {name}/{found.model}")


@api.command("list")
@json_option
@pass_context_obj
def list_apis(context: Context, as_json: bool) -> None:
    """The APIs that were added, and those known by name. 已添加的 API，以及可按名称添加的 API。"""
    rows = ApiStore(context.home).list()
    if as_json:
        known = [
            {"name": p.name, "title": p.title.data(), "base_url": p.base_url, "needs_key": p.needs_key, "keys": p.keys}
            for p in presets().values()
        ]
        echo_json({"apis": [_row(row) for row in rows], "known": known})
        return
    columns = (T("name", "名称"), T("address", "地址"), T("key", "密钥"), T("models", "模型"))
    none = T("No API was added yet.", "还没有添加 API。")
    table(columns, [(a.name, a.root, _row(a)["key"] or "-", ", ".join(a.called())) for a in rows], empty=none)
    click.echo(f"→ zhilu model api add {' | '.join(presets())}")


@api.command("test")
@click.argument("name")
@click.option("--model", help=T("to ask, of those it has", "要询问的模型").say())
@json_option
@pass_context_obj
def test(context: Context, name: str, model: str | None, as_json: bool) -> None:
    """Ask the API NAME for its models and for one token. 检查 API：列出模型，并请求一个 token。"""
    from zhilu.models.apis import test_api

    _, found = test_api(context, name, model)
    if as_json:
        echo_json({"model": found.model, "seconds": round(found.seconds, 3), "models": list(found.models)})
        return
    click.echo(
        T(f"{found.model} answered in {found.seconds:.1f} s.", f"{found.model} 用时 {found.seconds:.1f} 秒。").say()
    )
    click.echo(", ".join(found.models))


@api.command("remove")
@click.argument("name")
@json_option
@pass_context_obj
def remove(context: Context, name: str, as_json: bool) -> None:
    """Forget the API NAME and its key. 删除 API 及其密钥。"""
    ApiStore(context.home).remove(name)
    if as_json:
        echo_json({"removed": name})
    else:
        click.echo(T(f"Removed {name}.", f"已删除 {name}。").say())


def _row(kept: Api) -> dict[str, Any]:
    """What may be shown of it."""
    from zhilu.models.apis.faults import key_end

    return {"name": kept.name, "base_url": kept.root, "key": key_end(kept.api_key), "models": kept.called()}


def _key(name: str, variable: str | None) -> str | None:
    if variable is not None:
        if not os.environ.get(variable):
            raise InputError(
                T(f"The variable {variable!r} is empty.", f"环境变量 {variable!r} 是空的。"),
                param="key_env",
                fix=f"export {variable}=…",
            )
        return os.environ[variable]
    known = presets().get(name)
    if known is not None and not known.needs_key:
        return None
    if not sys.stdin.isatty():
        return sys.stdin.readline()
    where = f" ({known.keys})" if known and known.keys else ""
    asked = T(f"Key{where}, Enter for none", f"密钥{where}，没有则直接回车").say()
    return str(click.prompt(asked, hide_input=True, default="", show_default=False))
