"""``zhilu settings``."""

from __future__ import annotations

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj, table
from zhilu.context import Context
from zhilu.errors import SettingsError, nearest
from zhilu.host.setting_checks import change_setting
from zhilu.messages import T
from zhilu.settings import Settings, describe_settings, unset_setting

__all__ = ["settings"]


@click.group()
def settings() -> None:
    """Show and change settings. 查看和修改设置。"""


@settings.command("list")
@json_option
@pass_context_obj
def list_settings(context: Context, as_json: bool) -> None:
    """Every setting, its value and where the value comes from. 全部设置、取值与来源。"""
    rows = describe_settings(context.settings)
    if as_json:
        echo_json(rows)
        return
    columns = (T("setting", "设置"), T("value", "取值"), T("from", "来源"), T("what it is for", "用途"))
    table(columns, [(r["key"], r["value"], r["source"], T.of(r["description"]).say()) for r in rows])


@settings.command("get")
@click.argument("key")
@json_option
@pass_context_obj
def get_setting(context: Context, key: str, as_json: bool) -> None:
    """One value. 一个设置的取值。"""
    row = next((r for r in describe_settings(context.settings) if r["key"] == key), None)
    if row is None:
        close = nearest(key, Settings.model_fields)
        raise SettingsError(
            T(
                f"Unknown setting {key!r}." + (f" Did you mean {close}?" if close else ""),
                f"未知设置 {key!r}。" + (f"是不是 {close}？" if close else ""),
            ),
            param=key,
            fix="zhilu settings list",
        )
    if as_json:
        echo_json(row)
    else:
        click.echo(row["value"] if row["value"] is not None else "")


@settings.command("set")
@click.argument("key")
@click.argument("value")
@json_option
@pass_context_obj
def set_setting(context: Context, key: str, value: str, as_json: bool) -> None:
    """Write one value to the settings file. 把一个取值写入设置文件。"""
    change_setting(context, key, value)
    row = next(r for r in describe_settings(context.settings) if r["key"] == key)
    if as_json:
        echo_json(row)
        return
    if row["source"] != "file":
        click.echo(
            T(
                f"Stored, but the {row['source']} still decides: {key} = {row['value']}.",
                f"已保存，但目前仍以 {row['source']} 为准：{key} = {row['value']}。",
            ).say()
        )
        return
    click.echo(f"{key} = {row['value']}")
    if row["restart_required"]:
        click.echo(T("Takes effect when Zhilu starts again.", "下次启动指路时生效。").say())


@settings.command("unset")
@click.argument("key")
@json_option
@pass_context_obj
def unset(context: Context, key: str, as_json: bool) -> None:
    """Go back to the default. 恢复默认值。"""
    unset_setting(context.home, key)
    context.reload_settings()
    row = next(r for r in describe_settings(context.settings) if r["key"] == key)
    if as_json:
        echo_json(row)
    else:
        click.echo(f"{key} = {row['value']} ({row['source']})")
