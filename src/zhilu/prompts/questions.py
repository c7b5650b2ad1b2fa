"""Questions that a person would ask of a document, for measuring: one with its answer, and one that the text leaves open."""

from __future__ import annotations

from zhilu.messages import T
from zhilu.prompts.message import Lang, Message, language_of

__all__ = ["is_answered_messages", "open_question_messages", "question_messages"]

_ASK = T(
    en="Write one question that a person who has never seen this text might type into a search box, and that the text "
    "answers. Name what it is about; never say “the text”. Use other words than the text where you can. Then give the "
    "answer in as few words as possible, copied from the text.",
    zh="写一个没有看过这段资料的人可能会提出的问题，答案要在资料里。问题要说清楚问的是什么，不要出现“资料”“文中”这样的词，"
    "尽量换一种说法。然后从资料中抄出尽可能短的答案。",
)
_OPEN = T(
    en="Write one question that a person interested in this text might ask next, and that the text does not answer. Name what "
    "it is about; never say “the text”. Reply with the question only.",
    zh="写一个对这段资料感兴趣的人接下来可能会问、但资料里没有答案的问题。问题要说清楚问的是什么，不要出现“资料”“文中”这样的词。"
    "只回复问题。",
)
# One example each: without it a model of 1.5 B parameters asks about the wording, or asks two things at once.
_TEXT = T(
    en="Lost property\nThings found on our trams are kept at the depot in Mill Lane for six weeks. After that they are given "
    "to charity. Bring a photo identity card when you collect something.",
    zh="失物招领\n电车上捡到的物品会在磨坊巷车库保存六周，之后捐给慈善机构。领取时请带上有照片的身份证件。",
)
_ASKED = T(
    en="Question: How long do I have to pick up an umbrella I left on the tram?\nAnswer: six weeks",
    zh="问题：雨伞忘在电车上了，多长时间之内可以去取？\n答案：六周",
)
_LEFT_OPEN = T(
    en="How much does it cost to get something back from the tram depot?", zh="到磨坊巷车库领回失物要付多少钱？"
)

_IS_ANSWERED = T(
    en="Does the text above state the answer to this question: “{question}” Reply with yes or no only.",
    zh="上面的资料里有没有这个问题的答案：“{question}”只回答“有”或“没有”。",
)


def question_messages(title: str, text: str, lang: Lang | None = None) -> list[Message]:
    """Ask for ``Question: …`` and ``Answer: …`` (``问题：…``, ``答案：…``) on one passage under its ``title``."""
    return _with_example(_ASK, _ASKED, title, text, lang)


def open_question_messages(title: str, text: str, lang: Lang | None = None) -> list[Message]:
    """Ask for a question near the passage that it does not answer."""
    return _with_example(_OPEN, _LEFT_OPEN, title, text, lang)


def _with_example(task: T, example: T, title: str, text: str, lang: Lang | None) -> list[Message]:
    lang = lang or language_of(text)
    return [
        {"role": "system", "content": task.say(lang)},
        {"role": "user", "content": _TEXT.say(lang)},
        {"role": "assistant", "content": example.say(lang)},
        {"role": "user", "content": f"{title.strip()}\n{text.strip()}".strip()},
    ]


def is_answered_messages(question: str, text: str, lang: Lang | None = None) -> list[Message]:
    """Ask whether ``text`` answers ``question``: yes or no (有, 没有)."""
    lang = lang or language_of(question)
    asked = _IS_ANSWERED.say(lang).format(question=question.strip())
    return [{"role": "user", "content": f"{text.strip()}\n\n{asked}"}]
