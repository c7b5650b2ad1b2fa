"""What a message is. Rules say what they can say exactly; the model sorts the rest, and can only say a listed intent."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Any, Literal

from zhilu.client import ModelClient
from zhilu.errors import UnsupportedError, ZhiluError
from zhilu.prompts.message import Lang
from zhilu.prompts.support import (
    INTENTS,
    NO,
    YES,
    intent_messages,
    intent_schema,
    same_question_messages,
    small_talk_messages,
)

__all__ = [
    "Intent",
    "Yes",
    "asks_the_same",
    "by_rule",
    "chat_back",
    "is_about_us",
    "is_greeting",
    "is_question",
    "sort_by_model",
    "yes_or_no",
]

Intent = Literal["faq", "order", "document", "small_talk", "complaint", "person"]
Yes = Literal["yes", "no"]

_PERSON = (
    re.compile(
        r"\b(?:talk|speak|chat)\s+(?:to|with)\s+(?:(?:a|an|the|your|some|real|live|human|actual)\s+){0,4}"
        r"(?:person|people|human|someone|somebody|agent|representative|operator|manager|employee|colleague)\b"
    ),
    re.compile(
        r"\b(?:connect|transfer|hand|put|pass|forward|give|get|want|need|call)\b[^.?!\n]{0,24}"
        r"\b(?:human|agent|representative|operator|real person|live person|to a person|manager)\b"
    ),
    re.compile(r"(?:转|接|找|要|叫|换|请|联系|呼叫)[^，。！？,.!?\n]{0,5}(?:人工(?!智能|费)|真人|活人|客服|专员)"),
    re.compile(
        r"(?:跟|和|同)[^，。！？,.!?\n]{0,3}(?:真人|人工|活人|你们的人)[^，。！？,.!?\n]{0,3}(?:说|聊|谈|讲|沟通)"
    ),
)
_NOT = re.compile(
    r"(?:\bnot\b|\bno $|n't|\bdont\b|\bno need\b|\bnever\b|\bwithout\b|不用|不要|不需要|不想|不必|别)[^，。！？,.!?\n]{0,16}$"
)
_ORDER = (
    re.compile(
        r"\b(?:where(?:'s|s| is| are)|track|trace|status of|look up|check(?: on)?)\s+(?:my|the|an)\s+"
        r"(?:order|orders|parcel|package|shipment|delivery)\b"
    ),
    re.compile(
        r"\b(?:my|the)\s+(?:order|parcel|package|shipment)\s+(?:status|has not|hasn't|did not|didn't|is late|is missing)"
    ),
    re.compile(r"\b(?:has|did|was)\s+my\s+(?:order|parcel|package|shipment)\b"),
    re.compile(
        r"(?:查|查询|查下|查一下|看看|看下|看一下|跟踪|追踪)(?:我的|我|一下|下){0,2}(?:订单|物流|快递|包裹)(?!的?发票|的?地址)"
    ),
    re.compile(
        r"(?:订单|包裹|快递|物流)[^，。！？,.!?\n]{0,4}"
        r"(?:到哪|在哪|哪里了|哪儿了|什么状态|状态|进度|发货了吗|发货没|发了吗|发了没|还没到|没收到|没到)"
    ),
)
_COMPLAINT = re.compile(r"\b(?:complain|complaint|complaints)\b|投诉|差评|举报你们")
# Whole messages, without spaces and marks.
_PERSON_WORDS = """
human agent person operator representative realperson humanplease agentplease personplease anagentplease ahumanplease
人工 人工客服 人工服务 真人 真人客服 客服 转接
"""
_QUESTION = re.compile(
    r"[?？吗呢]|什么|怎么|怎样|如何|多少|多久|多大|多重|多长|几|哪|谁|能否|是否|告诉我|讲讲|介绍一下"
    r"|\b(?:tell|show|give|explain to) me\b"
    r"|^\s*(?:how|what|which|when|where|who|why|can|may|is|are|do|does|will)\b"
)
_GREETING_WORDS = """
hi hello hey hithere hellothere goodmorning goodafternoon goodevening 你好 您好 嗨 哈喽 早上好 下午好 晚上好 在吗 你好啊
"""
_THANKS_WORDS = """
thanks thankyou thankyouverymuch thx cheers great perfect bye goodbye 谢谢 多谢 谢谢你 谢谢您 感谢 再见 拜拜 好的谢谢
"""
_YES_WORDS = "yes y yeah yep sure ok okay please yesplease 是 是的 要 好 好的 可以 行 嗯 需要 对 麻烦了 转吧"
_NO_WORDS = "no n nope nothanks nothankyou 不 不用 不用了 不要 不需要 算了 没事 否"
_PERSON_ALONE, _GREETINGS, _THANKS, _YES, _NO = (
    frozenset(words.split()) for words in (_PERSON_WORDS, _GREETING_WORDS, _THANKS_WORDS, _YES_WORDS, _NO_WORDS)
)
_MAX_SAID = 240
_SURE = 0.72  # of yes: of 36 that are meant 26 are found with Qwen2.5-Coder-1.5B, of 16 strangers one is taken
# All words of a question about whoever answers; one that is not here makes it a question about something else.
_US_WORDS = "you your you're u"
_ABOUT_US_WORDS = """
a ai am an and are assistant being bot call called can chatbot computer could day do doing feel feeling good hello help here hey hi
how how's human i i'm is it live machine me my name nice okay ok or person please real robot someone talking talk tell there to today
us we well what what's who who's with
"""
_US, _ABOUT_US = frozenset(_US_WORDS.split()), frozenset(_US_WORDS.split() + _ABOUT_US_WORDS.split())
_ABOUT_US_ZH = re.compile(
    r"[你您](?:好[吗嘛么]|是谁|是什么|是(?:不是)?(?:机器人|真人|人工|人|ai|智能)|叫什么|的名字|能(?:做|干|帮我做)(?:什么|啥)|会(?:做)?(?:什么|啥)|还好吗|怎么样|忙吗)"
)


def by_rule(text: str) -> Intent | None:
    """What the words say beyond doubt."""
    said = unicodedata.normalize("NFKC", text).lower().replace("’", "'")[:2000]
    alone = _letters(said)
    if alone in _PERSON_ALONE or any(_is_meant(pattern, said) for pattern in _PERSON):
        return "person"
    if _is_meant(_COMPLAINT, said):
        return "complaint"
    if alone in _GREETINGS or alone in _THANKS:
        return "small_talk"
    return "order" if any(pattern.search(said) for pattern in _ORDER) else None


def is_greeting(text: str) -> bool:
    return _letters(unicodedata.normalize("NFKC", text).lower()) in _GREETINGS


def is_question(text: str) -> bool:
    return _QUESTION.search(text.lower()) is not None


def is_about_us(text: str) -> bool:
    """A question about whoever answers ("how are you?", "你是机器人吗"), which has no facts to get wrong; the weather is none."""
    said = unicodedata.normalize("NFKC", text).lower()
    if _ABOUT_US_ZH.search(said):
        return True
    words = re.findall(r"[a-z']+", said)
    return bool(words) and _US.intersection(words) != set() and _ABOUT_US.issuperset(words)


def yes_or_no(text: str) -> Yes | None:
    alone = _letters(unicodedata.normalize("NFKC", text).lower())
    return "yes" if alone in _YES else "no" if alone in _NO else None


async def sort_by_model(
    client: ModelClient, model: str, text: str, lang: Lang, intents: Sequence[str] = INTENTS
) -> Intent | None:
    """One of ``intents``; None where the model cannot be asked, or did not answer in the form that was asked for."""
    schema = {"name": "sorted", "schema": intent_schema(intents)}
    try:
        reply = await client.chat(
            intent_messages(text, lang),
            model=model, temperature=0, max_tokens=40, response_format={"type": "json_schema", "json_schema": schema},
        )  # fmt: skip
        said: Any = json.loads(_said(reply))
        intent = said["intent"]
    except (ZhiluError, ValueError, KeyError, TypeError, IndexError):
        return None
    return intent if intent in intents else None


async def asks_the_same(client: ModelClient, model: str, text: str, question: str, lang: Lang) -> bool:
    """Whether the model is sure that a message asks what a canned answer's question asks; its word alone where the server gives
    no probabilities, False where it cannot be asked."""
    messages = same_question_messages(text, question, lang)
    asked: dict[str, Any] = {"model": model, "temperature": 0, "max_tokens": 4}
    try:
        try:
            reply = await client.chat(messages, **asked, logprobs=True, top_logprobs=8)
        except UnsupportedError:
            reply = await client.chat(messages, **asked)
    except ZhiluError:
        return False
    sure = _share_of_yes(reply)
    return _is_yes(_said(reply)) if sure is None else sure >= _SURE


def _share_of_yes(reply: dict[str, Any]) -> float | None:
    """Of the first token, yes against no; None where the reply does not tell."""
    try:
        told = reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        each = [(str(one["token"]).strip(), math.exp(one["logprob"])) for one in told]
    except (KeyError, TypeError, IndexError, ValueError, OverflowError):
        return None
    yes = sum(share for token, share in each if token and _is_yes(token))
    no = sum(share for token, share in each if token and token.lower().startswith((NO.en, NO.zh)))
    return yes / (yes + no) if yes + no else None


def _is_yes(said: str) -> bool:
    return said.lower().startswith((YES.en, YES.zh))


async def chat_back(client: ModelClient, model: str, text: str, lang: Lang) -> str | None:
    """A friendly sentence of the model's; None where it said something that it may not, or nothing."""
    try:
        reply = await client.chat(small_talk_messages(text, lang), model=model, temperature=0, max_tokens=80)
    except ZhiluError:
        return None
    choice, said = reply["choices"][0], " ".join(_said(reply).split())
    is_plain = said and len(said) <= _MAX_SAID and not any(c.isdigit() or c in "<>{}[]@€$￥¥`" for c in said)
    return said if is_plain and "http" not in said.lower() and choice.get("finish_reason") != "length" else None


def _said(reply: dict[str, Any]) -> str:
    return str(reply["choices"][0]["message"].get("content") or "").rpartition("</think>")[2].strip()


def _is_meant(pattern: re.Pattern[str], said: str) -> bool:
    found = pattern.search(said)
    return found is not None and _NOT.search(said[max(0, found.start() - 24) : found.start()]) is None


def _letters(text: str) -> str:
    return "".join(c for c in text if c.isalnum())[:60]
