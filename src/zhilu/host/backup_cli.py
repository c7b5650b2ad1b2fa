"""``zhilu backup``, ``zhilu restore`` and ``zhilu repair``: the data home as a whole."""

from __future__ import annotations

from pathlib import Path

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj
from zhilu.client import running_gateway
from zhilu.context import Context
from zhilu.errors import ConflictError, InputError
from zhilu.messages import T

__all__ = ["backup", "repair", "restore"]


@click.command()
@click.argument("target", required=False, type=click.Path(dir_okay=False, path_type=Path), metavar="[FILE]")
@click.option("--models", is_flag=True, help=T("with the models", "包括模型").say())
@json_option
@pass_context_obj
def backup(context: Context, target: Path | None, models: bool, as_json: bool) -> None:
    """Write the whole data home into one file. 把整个数据目录备份成一个文件。"""
    from zhilu.host.backup import back_up

    path, made = back_up(context, target, models=models)
    size = path.stat().st_size
    if as_json:
        shown = {
            "path": str(path),
            "size_bytes": size,
            "files": len(made.files),
            "models": models,
            "schema": made.schema,
        }
        echo_json(shown)
        return
    click.echo(
        T(
            f"{path}: {len(made.files)} files, {size / 1e6:.1f} MB. Keep it safe: it holds your documents and keys.",
            f"{path}：{len(made.files)} 个文件，{size / 1e6:.1f} MB。请妥善保管：其中有你的文档和密钥。",
        ).say()
    )
    if context.settings.database_url:
        click.echo(
            T(
                "The state database is a server of its own (database_url) and is not in it.",
                "状态数据库是单独的服务器（database_url），不包括在内。",
            ).say(),
            err=True,
        )


@click.command()
@click.argument("source", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
@click.option("--replace", is_flag=True, help=T("set aside what is there", "先把现有内容移到一旁").say())
@json_option
@pass_context_obj
def restore(context: Context, source: Path, replace: bool, as_json: bool) -> None:
    """Bring a data home back from a backup. 从备份恢复数据目录。"""
    from zhilu.host.backup import restore as bring_back

    made, aside = bring_back(context.home, source, replace=replace)
    if as_json:
        echo_json({"files": len(made.files), "version": made.version, "aside": str(aside) if aside else None})
        return
    click.echo(
        T(
            f"Restored {len(made.files)} files, backed up on {made.created_at} by Zhilu {made.version}.",
            f"已恢复 {len(made.files)} 个文件，备份时间 {made.created_at}，由指路 {made.version} 创建。",
        ).say()
    )
    if aside is not None:
        click.echo(T(f"What was there before: {aside}", f"之前的内容在：{aside}").say())


@click.command()
@json_option
@pass_context_obj
def repair(context: Context, as_json: bool) -> None:
    """Make a damaged state database whole: jobs and conversations. 修复损坏的状态数据库（任务与对话）。"""
    from zhilu.database import repair as mend

    if context.settings.database_url or not context.home.database.exists():
        raise InputError(
            T("There is no database file here that could be repaired.", "这里没有可以修复的数据库文件。"),
            fix="zhilu doctor",
        )
    if (url := running_gateway(context.home.run)) is not None:
        raise ConflictError(
            T(
                f"Zhilu is running on this data home, at {url}. Stop it first.",
                f"指路正在这个数据目录上运行，地址是 {url}。请先停止它。",
            ),
            fix="Ctrl+C",
        )
    aside, kept = mend(context.home.database)
    if as_json:
        echo_json({"kept": kept, "damaged_file": str(aside)})
        return
    chats, jobs = kept.get("conversations", 0), kept["jobs"]
    click.echo(
        T(
            f"Repaired: {chats} conversations and {jobs} jobs could be kept. The damaged file is at {aside}",
            f"已修复：保住了 {chats} 个对话和 {jobs} 个任务。损坏的文件在 {aside}",
        ).say()
    )
