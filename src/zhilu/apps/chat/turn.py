"""One turn of a conversation: a question goes to the model, the answer streams back.

Whatever happens, the part of the answer that has arrived is kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any

from zhilu.agents.memory import told_facts
from zhilu.apps.chat import working
from zhilu.apps.chat.arrived import Arrived
from zhilu.apps.chat.store import Conversation, ConversationStore, Message, branch
from zhilu.apps.chat.told import BY_OCR, bound, has_pictures, is_blind, told, told_with_pictures
from zhilu.client import ModelClient
from zhilu.context import Context
from zhilu.errors import InputError, ZhiluError, error_body
from zhilu.events import Event
from zhilu.logs import as_error
from zhilu.messages import T
from zhilu.models.chosen import default_model
from zhilu.prompts import Message as PromptMessage
from zhilu.prompts import chat_messages, language_of

__all__ = ["resume_turn", "run_turn"]

# A partial answer is written this often, so that a kill -9 loses at most this many seconds of it.
SAVE_EVERY_S = 1.0
Leaving = Callable[[], bool]


async def run_turn(
    context: Context,
    client: ModelClient,
    conversation_id: str,
    *,
    parent_id: str | None,
    content: str | None,
    params: dict[str, Any],
    attachments: Sequence[str] = (),
    leaving: Leaving = lambda: False,
) -> AsyncGenerator[Event, None]:
    """Events of one turn: ``start``, ``steps``, ``searched``, ``retrieved``, ``thought``, ``note``, ``delta``, then ``done`` or
    ``error``.

    ``attachments``: ids of files that belong to ``content``. Closing the iterator stops the model and keeps the part that came,
    marked ``stopped``. ``leaving``: whether the process ends; work with tools is then left to go on without it.
    """
    store = ConversationStore(context)
    conversation = store.get(conversation_id)
    model = conversation.model or default_model(context).name
    attached = bound(context, conversation, content, attachments)
    user, assistant = store.begin_turn(conversation_id, parent_id, content, model, attached)
    yield Event("start", {"user": _wire(user), "assistant": _wire(assistant)})
    answer = Arrived()
    own = {**conversation.params, **params}

    def source() -> AsyncIterator[Event]:
        history = branch(store.get(conversation_id).messages, assistant.parent_id)
        if conversation.tools:
            return _with_tools(context, client, conversation, history, model, own, answer, assistant.id)
        if conversation.web:
            return _from_web(context, client, history, model, answer)
        if conversation.kb_id:
            return _grounded(context, client, conversation.kb_id, history, model, params, answer)
        return _plain(context, client, conversation.system_prompt, history, model, own, answer)

    async with aclosing(_kept(context, conversation_id, assistant.id, source, answer, leaving)) as events:
        async for event in events:
            yield event


async def resume_turn(
    context: Context, conversation_id: str, message_id: str, run_id: str, leaving: Leaving = lambda: False
) -> AsyncGenerator[Event, None]:
    """The same for an answer with tools that another process began."""
    messages = ConversationStore(context).get(conversation_id).messages
    yield Event("start", {"user": None, "assistant": _wire(next(m for m in messages if m.id == message_id))})
    answer = Arrived()

    def source() -> AsyncIterator[Event]:
        return working.follow(context, run_id, answer, tries=working.TRIES)

    async with aclosing(_kept(context, conversation_id, message_id, source, answer, leaving)) as events:
        async for event in events:
            yield event


async def _kept(
    context: Context,
    conversation_id: str,
    message_id: str,
    source: Callable[[], AsyncIterator[Event]],
    answer: Arrived,
    leaving: Leaving,
) -> AsyncGenerator[Event, None]:
    """The events of ``source``; what arrives is written down, and how it ended."""
    store = ConversationStore(context)
    status, error = "stopped", None
    try:
        saved_at = time.monotonic()
        async for event in source():
            yield event
            if time.monotonic() - saved_at > SAVE_EVERY_S or event.name == "steps":
                so_far = {k: v for k, v in answer.fields.items() if k in ("thought", "steps")}
                store.save_answer(message_id, content=answer.text, **so_far)
                saved_at = time.monotonic()
        status = "complete"
    except Exception as problem:  # whatever it is, the answer says so: it was not the person who stopped it
        status, error = "error", error_body(as_error(problem, conversation=conversation_id))["error"]
    finally:
        if status == "stopped" and answer.goes_on and leaving():
            status = "streaming"
        final = store.save_answer(message_id, content=answer.text, status=status, error=error, **answer.fields)
        if status == "stopped" and final.run_id:
            working.cancel(context, final.run_id)
    if error is not None:
        yield Event("error", {"error": error, "assistant": _wire(final)})
    else:
        yield Event("done", {"assistant": _wire(final), "title": store.get(conversation_id).title})


async def _plain(
    context: Context,
    client: ModelClient,
    system_prompt: str,
    history: list[Message],
    model: str,
    params: dict[str, Any],
    answer: Arrived,
) -> AsyncIterator[Event]:
    if (think := params.pop("think", None)) is not None:
        params["chat_template_kwargs"] = {"enable_thinking": think}
    if has_pictures(history):
        seen = await asyncio.to_thread(told_with_pictures, context, history)
        try:
            async for event in _streamed(client, seen, system_prompt, model, params, answer):
                yield event
            return
        except ZhiluError as error:
            if not is_blind(error):
                raise
        written = await asyncio.to_thread(told, context, history)
        answer.note(BY_OCR.en, BY_OCR.zh)
        yield Event("note", {"notes": answer.fields["notes"]})
    else:
        written = await asyncio.to_thread(told, context, history)
    async for event in _streamed(client, written, system_prompt, model, params, answer):
        yield event


async def _streamed(
    client: ModelClient,
    told: Sequence[Any],
    system_prompt: str,
    model: str,
    params: dict[str, Any],
    answer: Arrived,
) -> AsyncIterator[Event]:
    role: list[PromptMessage] = [{"role": "system", "content": system_prompt}] if system_prompt.strip() else []
    asked = told[-1]["content"]
    lang = language_of(asked if isinstance(asked, str) else asked[-1]["text"])
    async for chunk in client.chat_stream(chat_messages([*role, *told], lang), model=model, **params):
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


async def _with_tools(
    context: Context,
    client: ModelClient,
    conversation: Conversation,
    history: list[Message],
    model: str,
    params: dict[str, Any],
    answer: Arrived,
    message_id: str,
) -> AsyncIterator[Event]:
    tools = await working.tools_for(context, client, conversation, history, model)
    if not tools:
        known = told_facts(context, history[-1].content) if "memory" in conversation.tools else ""
        role = "\n\n".join(part for part in (conversation.system_prompt, known) if part)
        async for event in _plain(context, client, role, history, model, params, answer):
            yield event
        if working.note_unfounded(answer, [role, *(m.content for m in history)]):
            yield Event("note", {"notes": answer.fields["notes"]})
        return
    written = await asyncio.to_thread(told, context, history)
    if has_pictures(history):
        answer.note(BY_OCR.en, BY_OCR.zh)
    beginning = asyncio.ensure_future(
        asyncio.to_thread(working.begin, context, conversation, tools, written, model, params)
    )
    try:
        run_id = await asyncio.shield(beginning)
    except (
        asyncio.CancelledError
    ):  # stopped while the run begins: the thread begins it all the same, and nobody would know of it
        await asyncio.to_thread(working.cancel, context, await beginning)
        raise
    answer.fields["run_id"] = run_id
    # Written down before anything else: only so a process that comes after a kill knows of the run.
    await asyncio.to_thread(ConversationStore(context).save_answer, message_id, **answer.fields)
    async for event in working.follow(context, run_id, answer):
        yield event


async def _from_web(
    context: Context, client: ModelClient, history: list[Message], model: str, answer: Arrived
) -> AsyncIterator[Event]:
    from zhilu.rag.web.ask import answer_from_web

    earlier = [{"role": m.role, "content": m.content} for m in history[:-1] if m.content]
    events = answer_from_web(context, client, history[-1].content, model=model, history=earlier)
    async for event in _cited(events, answer):
        yield event


async def _grounded(
    context: Context,
    client: ModelClient,
    kb_id: str,
    history: list[Message],
    model: str,
    params: dict[str, Any],
    answer: Arrived,
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
    async for event in _cited(events, answer):
        yield event


async def _cited(events: AsyncGenerator[Event, None], answer: Arrived) -> AsyncIterator[Event]:
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
