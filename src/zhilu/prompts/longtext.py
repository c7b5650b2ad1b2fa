"""A text longer than the context, piece by piece: a question to each piece, notes put together, an answer made better, a summary."""

from __future__ import annotations

from collections.abc import Sequence

from zhilu.messages import T
from zhilu.prompts.message import Lang, Message, language_of

__all__ = [
    "join_summary_messages",
    "notes_messages",
    "part_messages",
    "part_summary_messages",
    "refine_messages",
    "says_none",
]

_PART = T(
    en="{part}\n\nThe text above is part of a longer one. Answer the question from it in one short sentence. If it does not say, "
    "reply with NONE only.\nQuestion: {question}",
    zh="{part}\n\n以上是一篇长文的一部分。请根据它用一句简短的话回答问题。如果其中没有答案，只回复“无”。\n问题：{question}",
)
_NOTES = T(
    en="Notes from several parts of one text:\n{part}\n\nAnswer the question from these notes in one short sentence.\nQuestion: {question}",
    zh="从同一篇长文的几个部分得到的笔记：\n{part}\n\n请根据这些笔记用一句简短的话回答问题。\n问题：{question}",
)
_REFINE = T(
    en="Question: {question}\nAnswer so far: {answer}\n\nNext part of the text:\n{part}\n\nIf this part says more about the question, "
    "write a better answer in one short sentence. Else repeat the answer so far.",
    zh="问题：{question}\n目前的回答：{answer}\n\n文章的下一部分：\n{part}\n\n如果这一部分有助于回答问题，用一句简短的话写出更好的回答；"
    "否则重复目前的回答。",
)
_SUMMARY = T(
    en="{part}\n\nSummarise the text above in two or three sentences. Keep its names and numbers as they are.",
    zh="{part}\n\n用两三句话概括以上文字，人名、地名和数字保持原样。",
)
_JOIN = T(
    en="Summaries of the parts of one text, in its order:\n{part}\n\nWrite one summary of the whole in at most {most} sentences. "
    "Keep names and numbers as they are.",
    zh="同一篇文章各部分的概括，按原文顺序：\n{part}\n\n写出全文的概括，最多{most}句话，人名、地名和数字保持原样。",
)
_NONE = ("none", "无", "没有")


def part_messages(question: str, part: str, lang: Lang | None = None) -> list[Message]:
    """A question to one part; it may reply NONE (无)."""
    return _user(_PART, lang or language_of(question), part=part, question=question)


def notes_messages(question: str, notes: Sequence[str], lang: Lang | None = None) -> list[Message]:
    return _user(_NOTES, lang or language_of(question), part="\n".join(f"- {n}" for n in notes), question=question)


def refine_messages(question: str, answer: str, part: str, lang: Lang | None = None) -> list[Message]:
    return _user(_REFINE, lang or language_of(question), part=part, question=question, answer=answer)


def part_summary_messages(part: str, lang: Lang | None = None) -> list[Message]:
    return _user(_SUMMARY, lang or language_of(part), part=part)


def join_summary_messages(summaries: Sequence[str], most: int, lang: Lang | None = None) -> list[Message]:
    """One summary of at most ``most`` sentences from those of the parts."""
    return _user(_JOIN, lang or language_of(summaries[0]), part="\n".join(f"- {s}" for s in summaries), most=str(most))


def says_none(reply: str) -> bool:
    """Whether a part was said to hold no answer."""
    said = reply.strip().strip("“”\"'。.!！* ").lower()
    return not said or said in _NONE or said.startswith(("none.", "none\n", "none,"))


def _user(template: T, lang: Lang, **values: str) -> list[Message]:
    text = template.say(lang)
    for name, value in values.items():
        # One after the other, the document last: braces in it are its own.
        if name != "part":
            text = text.replace(f"{{{name}}}", value.strip())
    return [{"role": "user", "content": text.replace("{part}", values["part"].strip(), 1)}]
