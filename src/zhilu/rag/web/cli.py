"""``zhilu web``: ask the web, see what a search finds, keep a provider's key."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj, table
from zhilu.context import Context
from zhilu.errors import InputError
from zhilu.messages import T

__all__ = ["ask_web", "web"]


@click.group()
def web() -> None:
    """Answers from the web, with their sources. 联网回答，并附来源。"""


@web.command("ask")
@click.argument("question")
@click.option("--model", help="by default the setting's 默认用设置中的模型")
@json_option
@pass_context_obj
def ask(context: Context, question: str, model: str | None, as_json: bool) -> None:
    """Search, read the pages, answer with sources. 搜索、阅读网页、带来源回答。"""
    done = asyncio.run(ask_web(context, question, model, show=not as_json))
    if as_json:
        echo_json(done)
        return
    click.echo()
    for citation in done["citations"]:
        if citation["cited"]:
            click.secho(f"[{citation['n']}] {citation['doc_name']}  {citation['url']}", dim=True)
    for page in done["pages"]:
        if page["error"]:
            said = T.of(page["error"]["messages"]).say()
            click.secho(T(f"not read: {said}", f"未读取：{said}").say(), dim=True, err=True)


async def ask_web(context: Context, question: str, model: str | None, *, show: bool) -> dict[str, Any]:
    """The ``done`` event of an answer from the web; the words are printed as they come if ``show``."""
    from zhilu.client import connect
    from zhilu.rag.web.ask import answer_from_web
    from zhilu.rag.web.providers import search_web

    done: dict[str, Any] = {}
    if context.settings.web_search == "none":
        await search_web(context, question)  # raises, before a model is started for it
    async with connect(context) as client:
        async for event in answer_from_web(context, client, question, model=model):
            if event.name == "delta" and show:
                click.echo(event.data["text"], nl=False)
            done = event.data
    return done


@web.command("search")
@click.argument("query")
@click.option("-n", "count", default=5, show_default=True, type=click.IntRange(1, 20), help="results 结果数")
@json_option
@pass_context_obj
def search(context: Context, query: str, count: int, as_json: bool) -> None:
    """What the search provider finds, unread. 只看搜索服务找到什么。"""
    from zhilu.rag.web.providers import search_web

    found = asyncio.run(search_web(context, query, count))
    if as_json:
        echo_json([{"url": f.url, "title": f.title, "snippet": f.snippet} for f in found])
        return
    table(
        (T("title", "标题"), T("address", "地址")),
        [(f.title, f.url) for f in found],
        empty=T("Nothing found.", "没有找到。"),
    )


@web.command("key")
@click.argument("provider")
@click.option("--key-env", metavar="VAR", help="variable that holds the key 存放密钥的环境变量")
@click.option("--remove", is_flag=True, help="forget it 删除密钥")
@json_option
@pass_context_obj
def key(context: Context, provider: str, key_env: str | None, remove: bool, as_json: bool) -> None:
    """Keep the key of a search provider. 保存搜索服务的密钥。

    It is asked for, or read from the standard input: on a command line every user of the machine could see it.
    """
    from zhilu.rag.web.keys import WebKeys
    from zhilu.rag.web.providers import PROVIDERS

    wanted = PROVIDERS.get(provider)
    keys = WebKeys(context.home)
    keys.set(wanted.name, None if remove else _key(key_env))
    if as_json:
        echo_json({"providers": keys.names()})
    elif not remove:
        click.echo(
            T(
                f"Kept. Next: zhilu settings set web_search {wanted.name}",
                f"已保存。下一步：zhilu settings set web_search {wanted.name}",
            ).say()
        )


def _key(key_env: str | None) -> str:
    if key_env:
        found = os.environ.get(key_env, "")
    elif sys.stdin.isatty():
        found = click.prompt(T("Key", "密钥").say(), hide_input=True)
    else:
        found = sys.stdin.readline()
    if not found.strip():
        raise InputError(T("No key was given.", "没有给出密钥。"), param="key", fix="zhilu web key NAME --key-env VAR")
    return str(found).strip()
