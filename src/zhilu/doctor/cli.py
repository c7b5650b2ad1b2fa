"""``zhilu doctor``."""

from __future__ import annotations

import textwrap
from typing import Any

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj
from zhilu.context import Context
from zhilu.messages import T

__all__ = ["doctor"]

COLOURS = {"error": "red", "warning": "yellow", "info": "blue", "ok": "green"}
WORDS = {"error": T("error", "错误"), "warning": T("warning", "警告"), "info": T("note", "提示"), "ok": T("ok", "正常")}


@click.command()
@click.option("--offline", is_flag=True, default=False, help="Ask nothing beyond this machine. 不联网检查。")
@click.option("--verbose", "-v", is_flag=True, default=False, help="Also what is in order, in full. 正常项也显示详情。")
@json_option
@pass_context_obj
def doctor(context: Context, as_json: bool, offline: bool, verbose: bool) -> None:
    """Look at this machine: what is wrong, why, and the command that mends it. 检查环境并给出修复命令。

    Exit status 1 when something is broken, else 0. 有错误时退出码为 1。
    """
    from zhilu.doctor import Severity, Subject, check_up

    checkup = check_up(Subject.of(context, offline=offline or None))
    if as_json:
        echo_json(checkup.data())
    else:
        for finding in checkup.findings:
            _show(finding.data(), verbose)
        _summary(checkup.data())
    if checkup.worst is Severity.ERROR:
        raise click.exceptions.Exit(1)


def _show(finding: dict[str, Any], verbose: bool) -> None:
    severity = finding["severity"]
    word = click.style(f"[{WORDS[severity].say()}]", fg=COLOURS[severity], bold=severity != "ok")
    what = T.of(finding["what"]).say()
    click.echo(f"{word} {click.style(T.of(finding['title']).say(), bold=severity != 'ok')}: {what}")
    if severity == "ok" and not verbose:
        return
    if finding["why"]:
        for line in _wrapped(T.of(finding["why"]).say()):
            click.echo(f"    {line}")
    for command in finding["fix"]:
        click.echo("    " + click.style(f"$ {command}", fg="cyan"))
    if verbose and finding["docs"]:
        click.echo(f"    {finding['docs']}")


def _wrapped(text: str) -> list[str]:
    # Chinese has no spaces to break at and a terminal wraps it well by itself
    return textwrap.wrap(text, 100) if text.isascii() else [text]


def _summary(checkup: dict[str, Any]) -> None:
    counts = {name: sum(f["severity"] == name for f in checkup["findings"]) for name in COLOURS}
    click.echo()
    click.echo(
        T(
            f"{counts['error']} errors, {counts['warning']} warnings, {counts['info']} notes, {counts['ok']} in order ({checkup['seconds']:.1f} s).",
            f"{counts['error']} 个错误，{counts['warning']} 个警告，{counts['info']} 条提示，{counts['ok']} 项正常（{checkup['seconds']:.1f} 秒）。",
        ).say()
    )
    click.echo(T("Prove the environment with: zhilu check 0", "用以下命令验证环境：zhilu check 0").say())
