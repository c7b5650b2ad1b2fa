"""Follow-up questions: rewritten to stand alone for retrieval, and checked, because a rewrite can invent things.

``history`` holds the earlier turns of a conversation, ``[{"role", "content"}]``; only its questions are used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from zhilu.client import ModelClient
from zhilu.errors import ZhiluError
from zhilu.prompts import is_refusal, language_of, rewrite_messages
from zhilu.text.terms import content_terms, query_terms

__all__ = [
    "about",
    "depends_on_history",
    "earlier_answer",
    "is_elliptic",
    "is_faithful",
    "opening_question",
    "stand_alone",
]

_POINTING = re.compile(
    r"\b(?:he|she|it|they|him|her|his|hers|its|them|their|theirs|this|that|these|those|there|one|ones|another|other)\b"
    r"|^(?:and|but|or|so|what about|how about|why)\b"
    r"|[他她它]|这|那|该|其|此|^(?:还有|另外|然后|所以|为什么|那么)|呢[？?]?$",
    re.IGNORECASE,
)
# A short Chinese question that begins with its verb or with what it asks for has left out what it speaks of: 要赔多少, 最晚哪天.
_NO_SUBJECT = re.compile(r"^(?:要|需要|得|能|可以|最[晚早多少迟快慢]|几|多[少久长大高重远]|什么时候|哪|怎么|一共|大概)")
_SHORT_HAN = 8
_ELLIPTIC = re.compile(r"^(?:and|but|or|what about|how about)\b|^[那还]|呢[？?]?$", re.IGNORECASE)
_FRAME = re.compile(
    r"^(?:and|but|or|so|then|what about|how about)\b(?:\s+(?:what about|how about|for|with|in|on|at)\b)?|^(?:那么|那|还有|另外)|呢?[？?]*$",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"\b(?:who|whom|whose|when|where|why|which|how (?!about)|what (?!about))\b"
    r"|^\W*(?:(?:and|but|or|so|then)\s+)?(?:is|are|was|were|do|does|did|can|could|may|must|should|will|has|have)\b|谁|哪|几|何|怎|多[少久大长重高远厚宽深贵]|什么|吗|能不能|是不是",
    re.IGNORECASE,
)
_ONLY_QUOTED = re.compile(r"The document says|No answer that|文档原文|没有得到")
_DECORATION = re.compile(
    r" — “[^”“\n]{0,450}”| ?\[\d{1,3}\]|\(The model's own words[^()\n]{0,60}\)|（这是模型自己的说法[^（）\n]{0,40}）"
)
_LONGEST_ANSWER = 300  # characters
_FEW = 8  # terms; what says more asks by itself
_KEPT_QUESTIONS = 4


def depends_on_history(question: str) -> bool:
    """True if a question points back ("it", "那个…"), is too short to stand alone, or leaves out what it speaks of (要赔多少)."""
    question = question.strip()
    if _POINTING.search(question) or len(query_terms(question)) < 3:
        return True
    return sum("\u4e00" <= c <= "\u9fff" for c in question) <= _SHORT_HAN and bool(_NO_SUBJECT.match(question))


def is_elliptic(question: str) -> bool:
    """True if a question leaves out what it asks ("And on Thursdays?", "那婚假呢"): only the one before says it."""
    return bool(_ELLIPTIC.search(question.strip())) or not content_terms(question)


def about(question: str) -> str | None:
    """What a follow-up that leaves out its question speaks of: "the dryer" of "And the dryer?", 婚假 of 那婚假呢. None where the
    question says more than that, or nothing."""
    if not is_elliptic(question) or _ASKS.search(question):
        return None
    left = _FRAME.sub("", question.strip()).strip(" ,，、?？。.")
    return left if content_terms(left) and len(query_terms(left)) <= _FEW else None


def is_faithful(rewritten: str, question: str, history: Sequence[str]) -> bool:
    """True if a rewrite keeps what was asked and brings no word that nobody said."""
    new, asked = set(content_terms(rewritten)), set(content_terms(question))
    said = asked.union(*map(content_terms, history))
    return (
        bool(new)
        and len(rewritten) < 400
        and language_of(rewritten) == language_of(question)
        and len(new & asked) >= 0.6 * len(asked)
        and len(new - said) <= 0.1 * len(new)
    )


def opening_question(question: str, history: Sequence[Mapping[str, Any]]) -> str | None:
    """The earlier question that a follow-up goes on from: the last one that stood alone. None if it stands alone itself."""
    earlier = [str(m["content"]) for m in history if m.get("role") == "user" and m.get("content")]
    if not earlier or not depends_on_history(question):
        return None
    return next((q for q in reversed(earlier) if not depends_on_history(q)), earlier[0])


def earlier_answer(opening: str, history: Sequence[Mapping[str, Any]]) -> str | None:
    """What was answered to ``opening``, without its quotation, marks and caveats. None where it was refused, or only quoted."""
    said = [(str(m.get("role")), str(m.get("content") or "")) for m in history]
    at = next((i for i in range(len(said) - 1, -1, -1) if said[i] == ("user", opening)), None)
    if at is None or at + 1 >= len(said) or said[at + 1][0] != "assistant":
        return None
    text = said[at + 1][1]
    if is_refusal(text) or _ONLY_QUOTED.match(text):
        return None
    text = _DECORATION.sub("", text).strip()
    return text[:_LONGEST_ANSWER] or None


async def stand_alone(
    question: str, history: Sequence[Mapping[str, Any]], client: ModelClient, model: str
) -> tuple[str, dict[str, Any] | None]:
    """``(query, note for the trace)``: the question as it should be searched for.

    Where the model's rewrite is not faithful, or there is none, the last question's words are searched along.
    """
    earlier = [str(m["content"]) for m in history if m.get("role") == "user" and m.get("content")][-_KEPT_QUESTIONS:]
    if not earlier or not depends_on_history(question):
        return question, None
    try:
        answer = await client.chat(rewrite_messages(earlier, question), model=model, temperature=0, max_tokens=96)
        raw = str(answer["choices"][0]["message"]["content"] or "").strip()
    except ZhiluError as error:
        raw = ""
        reason = error.message.en
    else:
        reason = "the rewrite lost the question or added to it"
    rewritten = raw.split("\n")[0].strip().strip('"“”')
    if is_faithful(rewritten, question, earlier):
        return rewritten, {"rewritten": rewritten, "by": model}
    return f"{earlier[-1]} {question}", {
        "rewritten": f"{earlier[-1]} {question}",
        "by": "rule",
        "refused": raw,
        "why": reason,
    }
