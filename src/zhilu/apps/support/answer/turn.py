"""One message of a customer, answered: the whole of a desk in one function (``answer_turn``).

In this order, and the first that applies answers: what rules say beyond doubt (a person is wanted, a complaint, an order number,
a slot that was asked for, a greeting), a canned answer that is surely meant, and then what the model takes the message for. Facts
come from tables, canned answers and documents alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from zhilu.apps.support.answer import words
from zhilu.apps.support.answer.evidence import open_intents
from zhilu.apps.support.answer.faq import Candidate, match
from zhilu.apps.support.answer.intents import (
    Intent,
    asks_the_same,
    by_rule,
    chat_back,
    is_about_us,
    is_greeting,
    is_question,
    sort_by_model,
    yes_or_no,
)
from zhilu.apps.support.answer.meaning import Meanings
from zhilu.apps.support.answer.orders import FoundOrder, OrderTable, digits_of
from zhilu.apps.support.answer.slots import Slots, read_slots
from zhilu.apps.support.desks import FaqEntry
from zhilu.client import ModelClient
from zhilu.messages import T
from zhilu.prompts import language_of
from zhilu.prompts.message import Lang
from zhilu.text.terms import content_terms

__all__ = ["DocumentAnswer", "Known", "SupportMemory", "TurnReply", "answer_turn"]

Reason = Literal["asked", "complaint", "unanswered", "phone"]
By = Literal["faq", "order", "document", "rule", "model", "nothing"]
_MOST_WRONG = 3  # phone numbers that do not fit
_FEW_WORDS = 5  # beside a number: then the order is what is asked about
_NEAR = 0.06  # below the nearest canned answer: the second is asked about too


class SupportMemory(BaseModel):
    """What the bot keeps between the turns of a conversation."""

    lang: Literal["en", "zh"] | None = None
    pending: Literal["number", "phone"] | None = None
    number: str | None = None
    phone: str | None = None
    offered: bool = False
    misses: int = 0
    wrong_phones: int = 0


class TurnReply(BaseModel):
    """``by``: what answered; ``hand_over``: why a person is needed, where one is."""

    text: str
    intent: Intent
    by: By
    hand_over: Reason | None = None
    details: dict[str, Any] = {}


@dataclass(frozen=True)
class DocumentAnswer:
    text: str
    citations: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Known:
    """What a desk answers with. ``documents``: None for a question that they do not answer; no callable: it has none."""

    faqs: list[FaqEntry]
    orders: OrderTable
    client: ModelClient
    model: str
    meanings: Meanings
    documents: Callable[[str], Awaitable[DocumentAnswer | None]] | None = None
    verify_phone: bool = True
    patience: int = 2
    may_try: Callable[[str], bool] = lambda number: True  # False: too many wrong phone numbers for this order


async def answer_turn(text: str, memory: SupportMemory, known: Known) -> TurnReply:
    """Answer; ``memory`` is brought up to date."""
    lang = _language(text, memory)
    has_orders = known.orders.info is not None
    slots = read_slots(text, known.orders, expects_phone=memory.pending == "phone") if has_orders else Slots()
    pending, memory.pending = memory.pending, None
    offered, memory.offered = memory.offered, False
    rule = by_rule(text)
    if rule == "person" or (offered and yes_or_no(text) == "yes"):
        return _hand_over("person", "asked", lang)
    if rule == "complaint":
        return _hand_over("complaint", "complaint", lang)
    if offered and yes_or_no(text) == "no":
        return TurnReply(text=words.THANKS.say(lang), intent="small_talk", by="rule")
    if _fills(slots, pending) or (rule == "order" and has_orders) or (_names_one(slots) and _is_short(text, slots)):
        return _order(text, slots, memory, known, lang)
    if rule == "small_talk":
        said = words.HELLO if is_greeting(text) else words.THANKS
        return TurnReply(text=said.say(lang), intent="small_talk", by="rule")
    candidates = await match(text, known.faqs, known.client, known.meanings)
    if candidates and candidates[0].sure and not _names_one(slots):
        return _canned(candidates[0], lang, memory, sure=True)
    return await _sorted(text, slots, candidates, memory, known, lang, rule)


async def _sorted(
    text: str, slots: Slots, candidates: list[Candidate], memory: SupportMemory, known: Known, lang: Lang,
    rule: Intent | None,
) -> TurnReply:  # fmt: skip
    """What no rule decides: the model says whether a near canned answer is meant, and sorts the rest."""
    for near in candidates[:2] if rule != "order" and not _names_one(slots) else []:
        question = _question_in(near.entry, lang)
        if near.score >= candidates[0].score - _NEAR and await asks_the_same(
            known.client, known.model, text, question, lang
        ):
            return _canned(near, lang, memory, sure=False)
    may_be = open_intents(text, known.orders, goes_on=memory.number is not None)
    found = None if rule == "order" else await sort_by_model(known.client, known.model, text, lang, may_be)
    intent: Intent = found or rule or "document"
    if intent == "person":
        return _hand_over("person", "asked", lang)
    if intent == "complaint":
        return _hand_over("complaint", "complaint", lang)
    if intent == "order" or _names_one(slots):
        return _order(text, slots, memory, known, lang)
    if intent == "small_talk":
        if is_question(text) and (answered := await _found(text, known)) is not None:
            return _from_documents(answered, memory)  # a small model takes many a question for a chat
        if is_question(text) and not is_about_us(text):
            return _missed("document", words.UNKNOWN, memory, known, lang)  # and would make the answer up
        said = await chat_back(known.client, known.model, text, lang)
        return TurnReply(
            text=said or words.HELLO.say(lang), intent="small_talk", by="model" if said is not None else "rule"
        )
    return await _documents(text, memory, known, lang)


async def _documents(text: str, memory: SupportMemory, known: Known, lang: Lang) -> TurnReply:
    found = await _found(text, known)
    return (
        _from_documents(found, memory) if found is not None else _missed("document", words.UNKNOWN, memory, known, lang)
    )


async def _found(text: str, known: Known) -> DocumentAnswer | None:
    """What the documents say; an answer without a word is none."""
    found = await known.documents(text) if known.documents is not None else None
    return found if found is not None and found.text.strip() else None


def _from_documents(found: DocumentAnswer, memory: SupportMemory) -> TurnReply:
    memory.misses = 0
    return TurnReply(text=found.text, intent="document", by="document", details={"citations": found.citations})


def _missed(intent: Intent, said: T, memory: SupportMemory, known: Known, lang: Lang) -> TurnReply:
    """No answer: a person is offered, and asked for after some of them in a row."""
    memory.misses += 1
    if memory.misses >= known.patience:
        return _hand_over(intent, "unanswered", lang)
    memory.offered = True
    return TurnReply(text=said.say(lang), intent=intent, by="nothing")


def _canned(candidate: Candidate, lang: Lang, memory: SupportMemory, *, sure: bool) -> TurnReply:
    memory.misses = 0
    details = {"faq": candidate.entry.id, "score": candidate.score, "sure": sure}
    return TurnReply(text=candidate.entry.answer_in(lang), intent="faq", by="faq", details=details)


def _hand_over(intent: Intent, reason: Reason, lang: Lang) -> TurnReply:
    before = {"complaint": words.SORRY, "phone": words.TOO_MANY}.get(reason)
    return TurnReply(text=before.say(lang) if before else "", intent=intent, by="rule", hand_over=reason)


def _order(text: str, slots: Slots, memory: SupportMemory, known: Known, lang: Lang) -> TurnReply:
    """Look an order up; ask for what is missing. The facts that are told are the table's own."""
    if known.orders.info is None:
        return _missed("order", words.NO_ORDERS, memory, known, lang)
    memory.phone = slots.phone or memory.phone
    if slots.unknown is not None:
        memory.pending, memory.number = "number", None
        return _said(words.no_such_order(slots.unknown, lang), {"unknown": slots.unknown})
    number = slots.number or memory.number
    if number is None:
        mine = known.orders.by_phone(memory.phone or "", text)
        if len(mine) == 1:
            return _told(mine[0], memory, lang)
        memory.pending = "number"
        listed = "".join(f"\n{order.number} {order.product}" for order in mine)
        return _said(words.ASK_NUMBER.say(lang) + listed, {"missing": "number"})
    memory.number = number
    phone = known.orders.phone_of(number)
    if known.verify_phone and phone:
        if memory.phone is None:
            memory.pending = "phone"
            return _said(words.ASK_PHONE.say(lang), {"missing": "phone"})
        if not known.may_try(number):
            return _hand_over("order", "phone", lang)
        if not _same_phone(memory.phone, phone):
            memory.wrong_phones += 1
            memory.phone, memory.pending = None, "phone"
            if memory.wrong_phones >= _MOST_WRONG:
                return _hand_over("order", "phone", lang)
            return _said(words.WRONG_PHONE.say(lang), {"missing": "phone", "wrong": number})
    order = known.orders.find(number)
    return _told(order, memory, lang) if order is not None else _said(words.no_such_order(number, lang), {})


def _told(order: FoundOrder, memory: SupportMemory, lang: Lang) -> TurnReply:
    memory.number, memory.pending, memory.misses = order.number, None, 0
    return _said(words.order_text(order, lang), {"order": order.number})


def _said(text: str, details: dict[str, Any]) -> TurnReply:
    return TurnReply(text=text, intent="order", by="order", details=details)


def _same_phone(given: str, known: str) -> bool:
    """The last four digits, and of a whole number the last eight."""
    given, known = digits_of(given), digits_of(known)
    size = min(8, len(known)) if len(given) >= 8 else 4
    return len(given) >= 4 and given[-size:] == known[-size:]


def _names_one(slots: Slots) -> bool:
    return slots.number is not None or slots.unknown is not None


def _fills(slots: Slots, pending: str | None) -> bool:
    return (pending is not None and (_names_one(slots) or slots.phone is not None)) or (
        pending == "number" and slots.phone is not None
    )


def _is_short(text: str, slots: Slots) -> bool:
    """Whether little more than the number is said."""
    rest = text.replace(slots.number or slots.unknown or "", " ")
    return len([t for t in content_terms(rest) if len(t) > 1 and not t.isdigit()]) <= _FEW_WORDS


def _question_in(entry: FaqEntry, lang: Lang) -> str:
    return next((q for q in entry.questions if language_of(q) == lang), entry.questions[0])


def _language(text: str, memory: SupportMemory) -> Lang:
    """The message's; one without words goes on in the language before."""
    has_words = any("\u3400" <= c <= "\u9fff" for c in text) or sum(c.isalpha() for c in text) >= 4
    if has_words or memory.lang is None:
        memory.lang = language_of(text)
    return memory.lang
