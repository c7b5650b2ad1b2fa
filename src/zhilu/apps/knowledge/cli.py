"""``zhilu knowledge``: accounts, groups, leave, sources and the audit log of the organisation's knowledge."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj, table
from zhilu.context import Context
from zhilu.errors import InputError, NotFoundError
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.apps.knowledge.accounts.people import People
    from zhilu.apps.knowledge.store import Ledger

__all__ = ["knowledge"]

_ROLES = click.Choice(["reader", "editor", "admin"])
WHO = "cli"  # whoever can run this owns the machine


@click.group()
def knowledge() -> None:
    """An organisation's knowledge: people ask what their groups may read. 企业知识库：每个人只能问到自己用户组有权阅读的内容。"""


@knowledge.group()
def user() -> None:
    """Accounts. 账号。"""


@user.command("add")
@click.argument("name")
@click.option("--role", type=_ROLES, default="reader", show_default=True)
@click.option("--group", "groups", multiple=True, help="repeatable 可重复")
@click.option("--password-stdin", is_flag=True, help="read it from standard input 从标准输入读取密码")
@pass_context_obj
def add_user(context: Context, name: str, role: Any, groups: tuple[str, ...], password_stdin: bool) -> None:
    """Add NAME with a password of at least 10 characters. 添加账号，密码至少 10 个字符。"""
    people = _people(context)
    for group in groups:
        people.group(group)
    person = people.add(name, _password(password_stdin), role, who=WHO)
    if groups:
        people.change(person.id, groups=list(groups), who=WHO)
    click.echo(T(f"{name} is here as {role}.", f"已添加 {name}，角色 {role}。").say())


@user.command("change")
@click.argument("name")
@click.option("--role", type=_ROLES)
@click.option("--group", "groups", multiple=True, help="all groups of the person; repeatable 全部用户组，可重复")
@click.option("--password-stdin", is_flag=True, help="a new password from standard input 从标准输入读取新密码")
@click.option("--disable/--enable", "disabled", default=None, help="stop or allow signing in 停用或启用")
@pass_context_obj
def change_user(
    context: Context, name: str, role: Any, groups: tuple[str, ...], password_stdin: bool, disabled: bool | None
) -> None:
    """Change NAME; a new password or --disable ends the sessions. 修改账号；新密码或停用会结束已有登录。"""
    _people(context).change(
        name, who=WHO, role=role, disabled=disabled, groups=list(groups) or None,
        password=_password(True) if password_stdin else None,
    )  # fmt: skip
    click.echo(T("Changed.", "已修改。").say())


@user.command("remove")
@click.argument("name")
@pass_context_obj
def remove_user(context: Context, name: str) -> None:
    """Remove NAME and the questions of that person; the audit log stays. 删除账号及其提问记录，审计日志保留。"""
    _people(context).remove(name, who=WHO)
    click.echo(T("Removed.", "已删除。").say())


@user.command("list")
@json_option
@pass_context_obj
def list_users(context: Context, as_json: bool) -> None:
    """The accounts. 账号列表。"""
    found = _people(context).every()
    if as_json:
        echo_json([p.model_dump() for p in found])
        return
    columns = (T("name", "用户名"), T("role", "角色"), T("groups", "用户组"), T("signs in at", "登录方式"))
    rows = [(p.name, p.role, ", ".join(p.groups), "-" if p.disabled else p.origin) for p in found]
    table(columns, rows, empty=T("No account yet.", "还没有账号。"))


@knowledge.group()
def group() -> None:
    """Groups. 用户组。"""


@group.command("add")
@click.argument("name")
@pass_context_obj
def add_group(context: Context, name: str) -> None:
    """Add the group NAME. 添加用户组。"""
    _people(context).add_group(name, who=WHO)
    click.echo(T(f"Next: zhilu knowledge grant {name} KB", f"下一步：zhilu knowledge grant {name} 知识库").say())


@group.command("remove")
@click.argument("name")
@pass_context_obj
def remove_group(context: Context, name: str) -> None:
    """Remove the group NAME with its leave. 删除用户组及其权限。"""
    _people(context).remove_group(name, who=WHO)
    click.echo(T("Removed.", "已删除。").say())


@group.command("list")
@json_option
@pass_context_obj
def list_groups(context: Context, as_json: bool) -> None:
    """The groups, their members and what they may read. 用户组、成员和权限。"""
    from zhilu.rag.answer import knowledge_bases

    found = _people(context).groups()
    if as_json:
        echo_json([g.model_dump() for g in found])
        return
    names = {kb["id"]: kb["name"] for kb in knowledge_bases(context)}
    rows = [
        (
            g.name,
            ", ".join(g.members),
            ", ".join(f"{names.get(x.kb_id, x.kb_id)}/{x.folder}".rstrip("/") for x in g.leaves),
        )
        for g in found
    ]
    table(
        (T("group", "用户组"), T("members", "成员"), T("may read", "可读")),
        rows,
        empty=T("No group yet.", "还没有用户组。"),
    )


@knowledge.command()
@click.argument("group")
@click.argument("kb")
@click.option("--folder", default="", help="only this folder of it 仅其中的一个目录")
@pass_context_obj
def grant(context: Context, group: str, kb: str, folder: str) -> None:
    """Let GROUP read the knowledge base KB. 允许用户组阅读知识库。"""
    _people(context).grant(group, _kb(context, kb), folder, who=WHO)
    click.echo(T("Granted.", "已授权。").say())


@knowledge.command()
@click.argument("group")
@click.argument("kb")
@click.option("--folder", help="only the leave for this folder 仅收回该目录的权限")
@pass_context_obj
def revoke(context: Context, group: str, kb: str, folder: str | None) -> None:
    """Take back what GROUP may read of KB, from now on. 收回权限，立即生效。"""
    if not _people(context).revoke(group, _kb(context, kb), folder, who=WHO):
        raise NotFoundError(T("There was no such leave.", "没有这项权限。"), fix="zhilu knowledge group list")
    click.echo(T("Taken back.", "已收回。").say())


@knowledge.command()
@click.argument("kb")
@pass_context_obj
def sync(context: Context, kb: str) -> None:
    """Read the sources of KB again. 重新读取知识库的来源。"""
    from zhilu.apps.knowledge.audit import record
    from zhilu.jobs import JobStore
    from zhilu.jobs.follow import follow, raise_unless_done
    from zhilu.rag.answer import Leave, sync_within

    kb_id = _kb(context, kb)
    jobs = sync_within(context, [Leave(kb_id)], kb_id)
    record(_ledger(context), WHO, "sync", kb_id)
    if not jobs:
        raise InputError(T(f"{kb} has no source.", f"{kb} 没有来源。"), fix=f"zhilu kb add {kb} https://…")
    for job in jobs:
        raise_unless_done(follow(JobStore(context), job))


@knowledge.command()
@click.option(
    "--export",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="write all of it as JSON lines 导出全部为 JSON 行",
)
@click.option("--check", is_flag=True, help="is every row as it was written? 检查每一行是否未被改动")
@click.option("-n", "limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@json_option
@pass_context_obj
def audit(context: Context, file: Path | None, check: bool, limit: int, as_json: bool) -> None:
    """Who asked what, and who changed what. 审计日志：谁问了什么，谁改了什么。"""
    from zhilu.apps.knowledge.audit import entries, export, first_broken

    ledger = _ledger(context)
    if check:
        broken = first_broken(ledger)
        if broken is not None:
            click.echo(T(f"Row {broken} is not what was written.", f"第 {broken} 行与写入时不同。").say(), err=True)
            raise SystemExit(1)
        click.echo(T("Every row is as it was written.", "每一行都与写入时相同。").say())
        return
    if file is not None:
        with file.open("w", encoding="utf-8") as out:
            out.writelines(export(ledger))
        click.echo(str(file))
        return
    found = entries(ledger, limit=limit)
    if as_json:
        echo_json([e.model_dump() for e in found])
        return
    rows = [
        (e.at[:19], e.who or "-", e.did, e.about, " ".join(f"{k}={v}" for k, v in e.details.items())) for e in found
    ]
    table((T("at", "时间"), T("who", "谁"), T("did", "做了"), T("about", "对象"), T("details", "详情")), rows)


@knowledge.group()
def oidc() -> None:
    """Signing in at an OpenID provider. 通过 OpenID 身份提供方登录。"""


@oidc.command("set")
@click.option("--issuer", required=True, help="https://…")
@click.option("--client-id", required=True)
@click.option("--redirect-uri", default="http://127.0.0.1:8642/enterprise/signed-in", show_default=True)
@click.option("--groups-claim", help="its names make members of groups that exist here 用该声明决定用户组")
@click.option("--title", default="OpenID", show_default=True, help="on the button 按钮上的名称")
@pass_context_obj
def set_oidc(
    context: Context, issuer: str, client_id: str, redirect_uri: str, groups_claim: str | None, title: str
) -> None:
    """Set the provider; a client secret is taken from ZHILU_OIDC_SECRET. 设置身份提供方，客户端密钥取自 ZHILU_OIDC_SECRET。"""
    from zhilu.apps.knowledge.accounts.oidc import Provider, keep_provider

    provider = Provider(
        issuer=issuer, client_id=client_id, client_secret=os.environ.get("ZHILU_OIDC_SECRET"), redirect_uri=redirect_uri,
        groups_claim=groups_claim, title=title,
    )  # fmt: skip
    keep_provider(_ledger(context), provider, who=WHO)
    click.echo(T(f"People can sign in at {issuer}.", f"现在可以通过 {issuer} 登录。").say())


@oidc.command("remove")
@pass_context_obj
def remove_oidc(context: Context) -> None:
    """Sign in with local accounts alone. 仅使用本地账号登录。"""
    from zhilu.apps.knowledge.accounts.oidc import keep_provider

    keep_provider(_ledger(context), None, who=WHO)
    click.echo(T("Removed.", "已删除。").say())


def _ledger(context: Context) -> Ledger:
    from zhilu.apps.knowledge.store import Ledger

    return Ledger(context)


def _people(context: Context) -> People:
    from zhilu.apps.knowledge.accounts.people import People

    return People(_ledger(context))


def _kb(context: Context, name: str) -> str:
    from zhilu.rag.answer import knowledge_bases

    for kb in knowledge_bases(context):
        if name in (kb["id"], kb["name"]):
            return str(kb["id"])
    raise NotFoundError(T(f"There is no knowledge base {name!r}.", f"没有知识库 {name!r}。"), fix="zhilu kb list")


def _password(from_stdin: bool) -> str:
    if from_stdin or not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    return getpass.getpass(T("Password: ", "密码：").say())
