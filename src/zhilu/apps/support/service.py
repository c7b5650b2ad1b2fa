"""One message of a customer, from its arrival to what is stored: the bot answers while no person has the conversation."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from typing import Any

from zhilu.apps.support.answer import words
from zhilu.apps.support.answer.meaning import Meanings
from zhilu.apps.support.answer.orders import OrderTable
from zhilu.apps.support.answer.turn import DocumentAnswer, Known, SupportMemory, TurnReply, answer_turn
from zhilu.apps.support.contacts import Contacts, SupportLine
from zhilu.apps.support.desks import Desk, Desks
from zhilu.client import ModelClient
from zhilu.context import Context
from zhilu.errors import BusyError, NotFoundError, ZhiluError
from zhilu.messages import T
from zhilu.rag.answer import answer

__all__ = ["MEANINGS", "Limit", "known_of", "orders_of", "receive"]

MEANINGS = Meanings()


class Limit:
    """At most ``most`` times within ``seconds`` for each key; remembers a bounded number of keys."""

    def __init__(self, most: int, seconds: float) -> None:
        self.most, self.seconds = most, seconds
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def allows(self, key: str) -> bool:
        times = self._recent(key)
        return len(times) < self.most

    def count(self, key: str) -> None:
        self._recent(key).append(time.monotonic())

    def check(self, key: str) -> None:
        """Raises: BusyError: that was often enough."""
        if not self.allows(key):
            raise BusyError(
                T("Too many messages. Please wait a moment.", "消息太频繁，请稍候。"),
                retry_after=int(self.seconds) or 1,
            )
        self.count(key)

    def _recent(self, key: str) -> deque[float]:
        times = self._times.setdefault(key, deque(maxlen=self.most))
        self._times.move_to_end(key)
        while len(self._times) > 10_000:
            self._times.popitem(last=False)
        while times and times[0] < time.monotonic() - self.seconds:
            times.popleft()
        return times


_answering: set[str] = set()  # conversations whose bot thinks now
_WRONG_PHONES = Limit(10, 3600)  # for each order, whoever asks: four digits are soon guessed


def orders_of(context: Context, desk_id: str) -> OrderTable:
    return OrderTable(context.home.path / "apps" / "support" / desk_id)


def known_of(context: Context, client: ModelClient, model: str, desk: Desk) -> Known:
    """What the desk answers with, as it is now."""

    async def documents(question: str) -> DocumentAnswer | None:
        if desk.kb_id is None:
            return None
        try:
            async for event in answer(context, client, desk.kb_id, question, model=model):
                if event.name == "done":
                    data = event.data
                    cited = [c for c in data["citations"] if c["cited"]]
                    return None if data["refused"] else DocumentAnswer(data["answer"], [_brief(c) for c in cited])
        except NotFoundError:  # the knowledge base was deleted: the desk goes on without
            return None
        return None

    return Known(
        faqs=Desks(context).faqs(desk.id),
        orders=orders_of(context, desk.id),
        client=client,
        model=model,
        meanings=MEANINGS,
        documents=documents,
        verify_phone=desk.settings.verify_phone,
        patience=desk.settings.patience,
        may_try=lambda number: _WRONG_PHONES.allows(f"{desk.id} {number}"),
    )


def _brief(citation: dict[str, Any]) -> dict[str, Any]:
    """What a customer may see of a passage: the document's name and the place, not the whole passage."""
    return {key: citation[key] for key in ("n", "doc_name", "page", "heading") if citation.get(key)}


async def receive(
    context: Context, client: ModelClient, model: str, desk: Desk, contact_id: str, text: str
) -> list[SupportLine]:
    """Store what the customer says, and the bot's answer where no person has the conversation; returns the new lines.

    Raises:
        ConflictError: the conversation is closed. BusyError: the message before is being answered.
    """
    if contact_id in _answering:  # two turns at once would forget what the other learned
        raise BusyError(T("One message at a time, please.", "请等上一条消息回复后再发送。"), retry_after=2)
    _answering.add(contact_id)
    try:
        return await _answer(context, client, model, desk, contact_id, text)
    finally:
        _answering.discard(contact_id)


async def _answer(
    context: Context, client: ModelClient, model: str, desk: Desk, contact_id: str, text: str
) -> list[SupportLine]:
    contacts = Contacts(context)
    said = await asyncio.to_thread(contacts.say, contact_id, "customer", text)
    if (await asyncio.to_thread(contacts.get, contact_id)).status != "bot":
        return [said]
    memory = SupportMemory.model_validate(await asyncio.to_thread(contacts.memory, contact_id))
    known = await asyncio.to_thread(known_of, context, client, model, desk)
    try:
        reply = await answer_turn(text, memory, known)
    except ZhiluError as error:  # no model answers: the customer is told so, and the question is among the unanswered
        stopped = words.STOPPED.say(memory.lang or "en")
        reply = TurnReply(text=stopped, intent="document", by="nothing", details={"error": error.code})
    await asyncio.to_thread(_store, context, desk, contact_id, reply, memory)
    return await asyncio.to_thread(contacts.lines, contact_id, said.id - 1)


def _store(context: Context, desk: Desk, contact_id: str, reply: TurnReply, memory: SupportMemory) -> None:
    contacts = Contacts(context)
    if contacts.get(contact_id).status != "bot":  # a person stepped in while the bot was thinking: it keeps silent
        return
    if "wrong" in reply.details:
        _WRONG_PHONES.count(f"{desk.id} {reply.details['wrong']}")
    if reply.by == "faq":
        Desks(context).count_faq(desk.id, reply.details["faq"])
    text, details = reply.text, {"intent": reply.intent, "by": reply.by, **reply.details}
    if reply.hand_over is not None:
        ticket = contacts.hand_over(contact_id, reply.hand_over).ticket
        told = words.HANDED_OVER.say(memory.lang or "en").format(ticket=ticket)
        text, details = f"{text} {told}".strip(), {**details, "ticket": ticket, "reason": reply.hand_over}
    contacts.say(contact_id, "bot", text, details, memory=memory.model_dump())
