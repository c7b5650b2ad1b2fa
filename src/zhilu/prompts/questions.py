"""Questions that a person would ask of a document, for measuring: one with its answer, and one that the text leaves open.

What a text leaves open is not for a small model to find: asked for "something that the text does not answer", one of 1.5 B
parameters asks what it answers, or what nobody would ask. So it is told what to ask for, and only words the question.
"""

from __future__ import annotations

from collections.abc import Sequence

from zhilu.messages import T
from zhilu.prompts.message import Lang, Message, language_of

__all__ = ["open_question_messages", "question_messages"]

_ASK = T(
    en="Write one question that a person who has never seen this text might type into a search box, and that the text "
    "answers. Name what it is about; never say “the text”. Use other words than the text where you can. Then give the "
    "answer in as few words as possible, copied from the text.",
    zh="写一个没有看过这段资料的人可能会提出的问题，答案要在资料里。问题要说清楚问的是什么，不要出现“资料”“文中”这样的词，"
    "尽量换一种说法。然后从资料中抄出尽可能短的答案。",
)
_OPEN = T(
    en="Write one short question that a person interested in this might ask next. It asks for one of these: {aspects}; for the "
    "one that suits best. Name what it is about; never say “the text”. Reply with the question only.",
    zh="写一个对此感兴趣的人接下来可能会问的简短问题，问的是以下内容之一：{aspects}；选最合适的一个。问题要说清楚问的是什么，"
    "不要出现“资料”“文中”这样的词。只回复问题。",
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
_EXAMPLE_ASPECTS = T(en="the price or fee, a phone number", zh="价格或费用、电话号码")


def question_messages(title: str, text: str, lang: Lang | None = None) -> list[Message]:
    """Ask for ``Question: …`` and ``Answer: …`` (``问题：…``, ``答案：…``) on one passage under its ``title``."""
    return _with_example(_ASK, _ASKED, title, text, lang)


def open_question_messages(title: str, text: str, aspects: Sequence[T], lang: Lang | None = None) -> list[Message]:
    """Ask for a question about the passage that asks for one of ``aspects``, which the passage says nothing of."""
    lang = lang or language_of(text)
    named = ("、" if lang == "zh" else ", ").join(aspect.say(lang) for aspect in aspects)
    return [
        {
            "role": "user",
            "content": f"{_TEXT.say(lang)}\n\n{_OPEN.say(lang).format(aspects=_EXAMPLE_ASPECTS.say(lang))}",
        },
        {"role": "assistant", "content": _LEFT_OPEN.say(lang)},
        {
            "role": "user",
            "content": f"{title.strip()}\n{text.strip()}\n\n{_OPEN.say(lang).format(aspects=named)}".strip(),
        },
    ]


def _with_example(task: T, example: T, title: str, text: str, lang: Lang | None) -> list[Message]:
    lang = lang or language_of(text)
    return [
        {"role": "system", "content": task.say(lang)},
        {"role": "user", "content": _TEXT.say(lang)},
        {"role": "assistant", "content": example.say(lang)},
        {"role": "user", "content": f"{title.strip()}\n{text.strip()}".strip()},
    ]
