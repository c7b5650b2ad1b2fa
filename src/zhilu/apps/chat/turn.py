"""One turn of a conversation: a question goes to the model, the answer streams back.

Whatever happens, the part of the answer that has arrived is kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from zhilu.apps.chat.attach import Attachments, with_files
from zhilu.apps.chat.store import Conversation, ConversationStore, Message, branch
from zhilu.client import ModelClient
from zhilu.context import Context
from zhilu.errors import InputError, error_body
from zhilu.events import Event
from zhilu.logs import as_error
from zhilu.messages import T
from zhilu.models.chosen import default_model
from zhilu.prompts import Message as PromptMessage
from zhilu.prompts import chat_messages

__all__ = ["run_turn"]

# A partial answer is written this often, so that a kill -9 loses at most this many seconds of it.
SAVE_EVERY_S = 1.0


@dataclass
class _Answer:
    """What has arrived so far."""

    text: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    thinking_since: float | None = None

    def think(self, text: str) -> None:
        self.thinking_since = self.thinking_since or time.monotonic()
        self.fields["thought"] = self.fields.get("thought", "") + text
        self.fields["thought_seconds"] = round(time.monotonic() - self.thinking_since, 2)


async def run_turn(
    context: Context,
    client: ModelClient,
    conversation_id: str,
    *,
    parent_id: str | None,
    content: str | None,
    params: dict[str, Any],
    attachments: Sequence[str] = (),
) -> AsyncGenerator[Event, None]:
    """Events of one turn: ``start``, ``retrieved``, ``thought``, ``delta``, then ``done`` or ``error``.

    ``attachments``: ids of files that belong to ``content``. Closing the iterator stops the model and keeps the part that came,
    marked ``stopped``.
    """
    store = ConversationStore(context)
    conversation = store.get(conversation_id)
    model = conversation.model or default_model(context).name
    attached = _bound(context, conversation, content, attachments)
    user, assistant = store.begin_turn(conversation_id, parent_id, content, model, attached)
    yield Event("start", {"user": _wire(user), "assistant": _wire(assistant)})
    answer = _Answer()
    status, error = "stopped", None
    try:
        history = branch(store.get(conversation_id).messages, assistant.parent_id)
        saved_at = time.monotonic()
        source = (
            _grounded(context, client, conversation.kb_id, history, model, params, answer)
            if conversation.kb_id
            else _plain(context, client, conversation.system_prompt, history, model, params, answer)
        )
        async for event in source:
            yield event
            if time.monotonic() - saved_at > SAVE_EVERY_S:
                store.save_answer(assistant.id, content=answer.text, thought=answer.fields.get("thought", ""))
                saved_at = time.monotonic()
        status = "complete"
    except Exception as problem:  # whatever it is, the answer says so: it was not the person who stopped it
        status, error = "error", error_body(as_error(problem, conversation=conversation_id))["error"]
    finally:
        final = store.save_answer(assistant.id, content=answer.text, status=status, error=error, **answer.fields)
    if error is not None:
        yield Event("error", {"error": error, "assistant": _wire(final)})
    else:
        yield Event("done", {"assistant": _wire(final), "title": store.get(conversation_id).title})


def _bound(
    context: Context, conversation: Conversation, content: str | None, ids: Sequence[str]
) -> list[dict[str, Any]]:
    if not ids:
        return []
    if content is None:
        raise InputError(
            T(
                "Files go with a question, not with another answer to one.",
                "附件随问题一起发送，重新回答时不能再附加。",
            ),
            param="attachments",
        )
    if conversation.kb_id:
        raise InputError(
            T(
                "This conversation answers from a knowledge base. Add the file there, or talk without it.",
                "这段对话用知识库回答。请把文件加入知识库，或者改为不用知识库的对话。",
            ),
            param="attachments",
            fix=f"zhilu kb add {conversation.kb_id} FILE",
        )
    return Attachments(context).bind(conversation.id, ids)


def _told(context: Context, history: list[Message], store: ConversationStore) -> list[PromptMessage]:
    """The branch as the model reads it: files stand before their question. How much was shown is kept with the message."""
    asked = [m for m in history if m.role == "user"]
    ids = [one["id"] for m in asked for one in m.attachments]
    if not ids:
        return [{"role": m.role, "content": m.content} for m in history if m.content]
    texts, shown = with_files(
        [(m.content, m.attachments) for m in asked], Attachments(context).texts(ids), context.settings.chat_file_chars
    )
    for message in asked:
        if message.attachments:
            kept = [{**one, "shown": shown.get(one["id"], 0)} for one in message.attachments]
            if kept != message.attachments:
                store.save_answer(message.id, attachments=kept)
    of = dict(zip((m.id for m in asked), texts, strict=True))
    return [{"role": m.role, "content": of.get(m.id, m.content)} for m in history if m.content]


async def _plain(
    context: Context,
    client: ModelClient,
    system_prompt: str,
    history: list[Message],
    model: str,
    params: dict[str, Any],
    answer: _Answer,
) -> AsyncIterator[Event]:
    told = await asyncio.to_thread(_told, context, history, ConversationStore(context))
    role: list[PromptMessage] = [{"role": "system", "content": system_prompt}] if system_prompt.strip() else []
    messages = chat_messages([*role, *told])
    if (think := params.pop("think", None)) is not None:
        params["chat_template_kwargs"] = {"enable_thinking": think}
    async for chunk in client.chat_stream(messages, model=model, **params):
        if chunk.get("usage"):
            answer.fields["usage"] = chunk["usage"]
        for choice in chunk.get("choices", []):
            if choice.get("finish_reason"):
                answer.fields["finish_reason"] = choice["finish_reason"]
            if thought := choice.get("delta", {}).get("reasoning_content"):
                answer.think(thought)
                yield Event("thought", {"text": thought})
            text = choice.get("delta", {}).get("content")
            if text:
                answer.text += text
                yield Event("delta", {"text": text})


async def _grounded(
    context: Context,
    client: ModelClient,
    kb_id: str,
    history: list[Message],
    model: str,
    params: dict[str, Any],
    answer: _Answer,
) -> AsyncIterator[Event]:
    """The same from the documents of a knowledge base; the pipeline checks the answer against its passages."""
    from zhilu.rag.answer import answer as ask

    if params:
        names = ", ".join(sorted(params))
        raise InputError(
            T(f"A grounded answer takes no sampling parameters: {names}.", f"基于文档的回答不接受采样参数：{names}。"),
            param=sorted(params)[0],
        )
    earlier = [{"role": m.role, "content": m.content} for m in history[:-1] if m.content]
    events = ask(context, client, kb_id, history[-1].content, model=model, history=earlier)
    async with aclosing(events):
        async for event in events:
            if event.name == "delta":
                answer.text += event.data["text"]
            elif event.name == "done":
                done = event.data
                answer.text = done["answer"]
                answer.fields.update(
                    citations=done["citations"], trace_id=done["trace_id"], usage=done["usage"], finish_reason="stop"
                )
                continue
            yield event


def _wire(message: Message | None) -> dict[str, Any] | None:
    return None if message is None else message.model_dump(mode="json")
