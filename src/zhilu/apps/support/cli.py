"""``zhilu support``."""

from __future__ import annotations

import asyncio
import getpass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj, table
from zhilu.context import Context
from zhilu.errors import InputError, NotFoundError
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.apps.support.answer.turn import TurnReply
    from zhilu.apps.support.contacts import SupportContact

__all__ = ["support"]


@click.group()
def support() -> None:
    """Customer service: canned answers, documents and an order table answer; a person takes over where they do not.
    客服：由常见问题、文档和订单表回答，回答不了的转给人工。"""


@support.command()
@click.argument("name", required=False)
@click.option("--kb", help=T("the knowledge base it answers from", "用来回答的知识库").say())
@click.option("--sample", is_flag=True, help=T("a small shop to try it with", "用来试用的小商店").say())
@json_option
@pass_context_obj
def new(context: Context, name: str | None, kb: str | None, sample: bool, as_json: bool) -> None:
    """Make a desk called NAME. 新建服务台。"""
    from zhilu.apps.support.desks import Desks
    from zhilu.apps.support.sample import make_sample

    if (name is None) == (not sample):
        raise InputError(
            T("Give a NAME, or --sample.", "请给出 NAME，或者 --sample。"), fix="zhilu support new --sample"
        )
    desk = Desks(context).create(name, kb_id=kb) if name is not None else make_sample(context, kb)
    if as_json:
        echo_json(desk.model_dump(mode="json"))
        return
    click.echo(f"{desk.name} ({desk.id})")
    question = T("How do I return something?", "怎么退货？").say()
    click.echo(T("Next: ", "下一步：").say() + f'zhilu support ask {desk.id} "{question}"')


@support.command()
@json_option
@pass_context_obj
def desks(context: Context, as_json: bool) -> None:
    """The desks, and how they do. 服务台及其情况。"""
    from zhilu.apps.support.desks import Desks
    from zhilu.apps.support.figures import figures_of

    found = [(desk, figures_of(context, desk.id)) for desk in Desks(context).every()]
    if as_json:
        echo_json([{**d.model_dump(mode="json"), "figures": f.model_dump()} for d, f in found])
        return
    rows = [(d.id, d.name, f.num_contacts, f.num_alone, f.num_handed_over, f.satisfaction) for d, f in found]
    columns = (
        T("id", "编号"),
        T("name", "名称"),
        T("conversations", "对话"),
        T("answered alone", "独立解决"),
        T("handed over", "转人工"),
        T("satisfaction", "满意度"),
    )
    table(columns, rows)


@support.command()
@click.argument("desk")
@pass_context_obj
def remove(context: Context, desk: str) -> None:
    """Forget DESK with its conversations. 移除服务台及其对话。"""
    import shutil

    from zhilu.apps.support.desks import Desks
    from zhilu.apps.support.service import orders_of

    shutil.rmtree(orders_of(context, Desks(context).remove(desk)).folder, ignore_errors=True)
    click.echo(T(f"{desk} is gone.", f"已移除 {desk}。").say())


@support.command()
@click.argument("desk")
@click.argument("messages", nargs=-1, required=True)
@click.option("--model", help=T("that sorts and words (default: the one that runs)", "负责分类和措辞的模型").say())
@json_option
@pass_context_obj
def ask(context: Context, desk: str, messages: tuple[str, ...], model: str | None, as_json: bool) -> None:
    """Ask DESK as a customer would; several MESSAGES are one conversation. Nothing of it is kept.
    像顾客一样向服务台提问；多条消息是一次对话，不会保存。"""
    replies = asyncio.run(_asked(context, desk, messages, model))
    if as_json:
        echo_json([reply.model_dump(mode="json") for reply in replies])
        return
    for said, reply in zip(messages, replies, strict=True):
        click.secho(said, bold=True)
        click.echo(reply.text or T("A person takes over.", "转人工。").say())
        click.secho(f"  {reply.intent} · {reply.by}" + (f" · {reply.hand_over}" if reply.hand_over else ""), dim=True)


@support.command()
@click.argument("desk")
@click.argument("what", required=False)
@json_option
@pass_context_obj
def orders(context: Context, desk: str, what: str | None, as_json: bool) -> None:
    """The order table of DESK; WHAT is an order number to look up, or a .csv or .db file to take in.
    服务台的订单表；WHAT 为要查的订单号，或要导入的 .csv、.db 文件。"""
    from zhilu.apps.support.desks import Desks
    from zhilu.apps.support.service import orders_of

    known = orders_of(context, Desks(context).get(desk).id)
    path = Path(what) if what is not None else None
    if path is not None and path.suffix.lower() in (".csv", ".tsv", ".db", ".sqlite", ".sqlite3"):
        if not path.is_file():
            raise InputError(T(f"There is no file {what!r}.", f"没有文件 {what!r}。"), param="what")
        known.put(path.read_bytes(), path.name)
        what = None
    if what is None:
        info = known.info
        if as_json:
            echo_json(info.model_dump() if info is not None else None)
        elif info is not None:
            click.echo(T(f"{info.origin}: {info.num_rows} orders", f"{info.origin}：{info.num_rows} 个订单").say())
            shown = ", ".join(info.chosen.shown)
            click.echo(
                T(
                    f"number: {info.chosen.number}; told: {shown}", f"订单号列：{info.chosen.number}；可告知：{shown}"
                ).say()
            )
        else:
            click.echo(T("No order table yet.", "还没有订单表。").say())
        return
    order = known.find(what)
    if order is None:
        raise NotFoundError(
            T(f"There is no order {what!r}.", f"没有订单 {what!r}。"), param="what", fix=f"zhilu support orders {desk}"
        )
    if as_json:
        echo_json(order.model_dump())
        return
    table((T("column", "列"), T("value", "值")), list(order.facts.items()))


@support.command()
@click.argument("desk", required=False)
@click.option("--take", type=int, metavar="TICKET", help=T("show a ticket and take it", "查看并接入一张工单").say())
@click.option("--reply", help=T("answer the ticket that --take names", "回复 --take 指定的工单").say())
@click.option("--close", is_flag=True, help=T("end the ticket that --take names", "结束 --take 指定的工单").say())
@click.option("--as", "agent", help=T("your name (default: of your account)", "您的名字（默认为系统账户名）").say())
@json_option
@pass_context_obj
def queue(
    context: Context,
    desk: str | None,
    take: int | None,
    reply: str | None,
    close: bool,
    agent: str | None,
    as_json: bool,
) -> None:
    """Conversations that wait for a person; take one, answer, end it. 等待人工的对话：接入、回复、结束。"""
    from zhilu.apps.support.contacts import Contacts
    from zhilu.apps.support.desks import Desks

    contacts = Contacts(context)
    if take is None:
        if reply is not None or close:
            raise InputError(
                T("Name the ticket with --take.", "请用 --take 指定工单。"),
                param="take",
                fix="zhilu support queue --take TICKET",
            )
        desk_id = Desks(context).get(desk).id if desk is not None else None
        _show_queue([*contacts.every(desk_id, "waiting"), *contacts.every(desk_id, "taken")], as_json)
        return
    contact = contacts.by_ticket(take)
    if contact.status != "closed":
        contact = contacts.take(contact.id, agent or getpass.getuser())
    if reply is not None:
        contacts.say(contact.id, "agent", reply, {"agent": contact.agent})
    if close:
        contact = contacts.close(contact.id, "agent")
    lines = contacts.lines(contact.id)
    if as_json:
        echo_json({"contact": contact.model_dump(mode="json"), "lines": [x.model_dump(mode="json") for x in lines]})
        return
    for line in lines:
        click.echo(f"{line.role}: {line.content or line.details.get('what', '')}")


def _show_queue(found: list[SupportContact], as_json: bool) -> None:
    if as_json:
        echo_json([c.model_dump(mode="json") for c in found])
        return
    columns = (
        T("ticket", "工单"),
        T("status", "状态"),
        T("reason", "原因"),
        T("with", "接待"),
        T("last message", "最后一条消息"),
    )
    rows = [(c.ticket, c.status, c.reason, c.agent, c.last) for c in found]
    table(columns, rows, empty=T("Nobody waits.", "没有等待的对话。"))


async def _asked(context: Context, name: str, messages: tuple[str, ...], model: str | None) -> list[TurnReply]:
    from zhilu.apps.support.answer.turn import SupportMemory, answer_turn
    from zhilu.apps.support.desks import Desks
    from zhilu.apps.support.service import known_of
    from zhilu.client import connect
    from zhilu.models.chosen import named_model

    desk = Desks(context).get(name)
    memory = SupportMemory()
    async with connect(context) as client:
        known = known_of(context, client, named_model(context, model or desk.settings.model), desk)
        return [await answer_turn(text, memory, known) for text in messages]
