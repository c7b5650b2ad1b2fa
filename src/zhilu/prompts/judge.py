"""A model that judges another's answer against what was wanted: right or wrong, in one word."""

from __future__ import annotations

from zhilu.messages import T
from zhilu.prompts.message import Lang, Message, language_of

__all__ = ["judge_messages", "read_judgement"]

_JUDGE = T(
    en="You check answers. Does the answer meet what is wanted? What is said in other words counts; what is missing, added "
    "or wrong does not. Reply with yes or no only.",
    zh="你负责检查回答。这个回答符合要求吗？意思对、说法不同也算；缺了、多了或错了都不算。只回答“是”或“否”。",
)
_ASKED = T(
    en="Task:\n{task}\n\nWanted:\n{wanted}\n\nAnswer:\n{answer}\n\nDoes the answer meet what is wanted? yes or no:",
    zh="任务：\n{task}\n\n要求：\n{wanted}\n\n回答：\n{answer}\n\n回答符合要求吗？是或否：",
)
_YES, _NO = ("yes", "是", "符合", "对", "正确"), ("no", "否", "不", "错", "没")


def judge_messages(task: str, wanted: str, answer: str, lang: Lang | None = None) -> list[Message]:
    """Ask whether ``answer`` to ``task`` is what was ``wanted``: yes or no (是, 否)."""
    lang = lang or language_of(wanted)
    asked = _ASKED.say(lang)
    for name, value in (("task", task), ("wanted", wanted), ("answer", answer)):
        asked = asked.replace(f"{{{name}}}", value.strip() or "–", 1)
    return [{"role": "system", "content": _JUDGE.say(lang)}, {"role": "user", "content": asked}]


def read_judgement(said: str) -> bool | None:
    """True or False by how the judge's reply begins; None: it said neither."""
    word = said.strip().lstrip("*“\"'# ").lower()
    if word.startswith(_NO):
        return False
    return True if word.startswith(_YES) else None
