"""``zhilu setup``."""

from __future__ import annotations

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj, table
from zhilu.context import Context
from zhilu.errors import MissingComponentError
from zhilu.messages import T

__all__ = ["setup"]

_STATUS = {
    "here": T("installed", "已安装"),
    "absent": T("not installed", "未安装"),
    "declined": T("not wanted", "不需要"),
    "impossible": T("not possible here", "此处无法安装"),
}


@click.command()
@click.argument("name", required=False)
@click.option("--agree", is_flag=True, help=T("agree to the size it was said to have", "同意所说明的大小").say())
@json_option
@pass_context_obj
def setup(context: Context, name: str | None, agree: bool, as_json: bool) -> None:
    """Large parts that are installed later: list them, or install the one called NAME.
    稍后安装的大部件：列出，或安装名为 NAME 的部件。"""
    from zhilu.setup.base import setup_parts, view

    if name is not None:
        _install(context, name, agree, as_json)
        return
    parts = [view(context, part) for _, part in setup_parts().items()]
    if as_json:
        echo_json([part.model_dump(mode="json") for part in parts])
        return
    columns = (T("name", "名称"), T("state", "状态"), T("why", "原因"), T("for", "用途"))
    table(columns, [(p.name, _STATUS[p.status].say(), p.reason.say(), p.purpose.say()) for p in parts])


def _install(context: Context, name: str, agree: bool, as_json: bool) -> None:
    from zhilu.jobs import JobStore
    from zhilu.jobs.follow import follow, raise_unless_done
    from zhilu.setup.base import submit_part

    job = follow(JobStore(context), submit_part(context, name, agreed=agree).id, quiet=as_json)
    if not job.ended:
        return
    result = raise_unless_done(job).result or {}
    if result.get("asks"):
        reason, consent = T.of(result["reason"]), T.of(result["consent"])
        raise MissingComponentError(
            T(f"{reason.en} {consent.en}", f"{reason.zh}{consent.zh}"),
            code="agreement_needed",
            fix=f"zhilu setup {name} --agree",
        )
    if as_json:
        echo_json(result)
    else:
        click.echo(T(f"{name} is installed.", f"{name} 已安装。").say())
