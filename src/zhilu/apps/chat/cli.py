"""``zhilu chat``."""

from __future__ import annotations

import asyncio
import sys

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj
from zhilu.client import ModelClient, connect
from zhilu.context import Context
from zhilu.errors import InputError, ZhiluError
from zhilu.messages import T
from zhilu.models.chosen import default_model
from zhilu.prompts import Message, chat_messages

__all__ = ["chat"]


@click.command()
@click.argument("model", required=False)
@click.option("-m", "--message", help=T("say one thing, print the answer, and leave", "只说一句，打印回答后退出").say())
@click.option("--temperature", type=click.FloatRange(0, 2))
@click.option("--max-tokens", type=click.IntRange(min=1))
@json_option
@pass_context_obj
def chat(
    context: Context,
    model: str | None,
    message: str | None,
    temperature: float | None,
    max_tokens: int | None,
    as_json: bool,
) -> None:
    """Talk to a model in the terminal. 在终端里和模型对话。

    Without -m it reads lines until Ctrl+D; text piped in is one message.
    """
    params = {k: v for k, v in {"temperature": temperature, "max_tokens": max_tokens}.items() if v is not None}
    if message is None and not sys.stdin.isatty():
        message = sys.stdin.read()
    if message is not None and not message.strip():
        raise InputError(
            T("There is nothing to say: the message is empty.", "没有可说的：消息是空的。"), fix="zhilu chat -m 'Hello'"
        )
    if message is None and as_json:
        raise InputError(T("--json needs a message.", "--json 需要一条消息。"), fix="zhilu chat --json -m 'Hello'")
    asyncio.run(_chat(context, model or default_model(context).name, message, params, as_json))


async def _chat(
    context: Context, model: str, message: str | None, params: dict[str, float | int], as_json: bool
) -> None:
    async with connect(context) as client:
        if message is None:
            await _converse(client, model, params)
        elif as_json:
            echo_json(await client.chat(chat_messages([{"role": "user", "content": message}]), model=model, **params))
        else:
            await _say(client, model, [{"role": "user", "content": message}], params)


async def _converse(client: ModelClient, model: str, params: dict[str, float | int]) -> None:
    click.echo(T(f"{model}: Ctrl+C stops an answer, Ctrl+D leaves.", f"{model}：Ctrl+C 停止回答，Ctrl+D 退出。").say())
    history: list[Message] = []
    while True:
        try:
            line = await asyncio.to_thread(input, "› ")
        except EOFError:
            click.echo()
            return
        if not line.strip():
            continue
        history.append({"role": "user", "content": line})
        try:
            history.append({"role": "assistant", "content": await _say(client, model, history, params)})
        except ZhiluError as error:
            history.pop()
            click.echo(f"{error.message.say()}\n{error.fix or ''}", err=True)


async def _say(client: ModelClient, model: str, history: list[Message], params: dict[str, float | int]) -> str:
    text = ""
    async for chunk in client.chat_stream(chat_messages(history), model=model, **params):
        for choice in chunk.get("choices", []):
            # Thoughts are seen and are no part of what a pipe gets.
            click.secho(choice.get("delta", {}).get("reasoning_content") or "", dim=True, nl=False, err=True)
            piece = choice.get("delta", {}).get("content") or ""
            text += piece
            click.echo(piece, nl=False)
    click.echo()
    return text
