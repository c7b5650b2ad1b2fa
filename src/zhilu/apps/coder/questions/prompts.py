"""What the model is told about a question."""

from __future__ import annotations

import re
from collections.abc import Sequence

from zhilu.apps.coder.questions.choose import CodePassage

__all__ = ["NOT_THERE", "code_block", "language_of", "question_messages", "word_messages"]

NOT_THERE = {"en": "Not in the code shown.", "zh": "所给代码中没有。"}

_ANSWER = {
    "en": "You answer a question about a repository from the numbered pieces of its code, and from nothing else. One to four short "
    "sentences, in English. Write names of functions, classes and variables exactly as they stand in the code, between backticks. "
    "End each sentence with the number of the piece it rests on, like [1].",
    "zh": "你只根据下面编号的代码片段回答关于代码仓库的问题。用中文写一到四句短句。函数、类和变量的名字必须与代码中完全一致，并放在反引号里。"
    "每句话末尾写上所依据片段的编号，例如 [1]。",
}
_REFUSE = {
    "en": f" Only where none of the pieces has to do with the question, write: {NOT_THERE['en']}",
    "zh": f"只有当所有片段都与问题无关时，才写：{NOT_THERE['zh']}",
}
_WORDS = (
    "A question about a program follows. Write up to eight English words that names of functions or comments in the code about it "
    "would hold. Only the words, in lower case, separated by spaces."
)


def language_of(question: str) -> str:
    return "zh" if re.search("[\u4e00-\u9fff]", question) else "en"


def question_messages(
    question: str, passages: Sequence[CodePassage], *, may_refuse: bool = True
) -> list[dict[str, str]]:
    """``may_refuse``: whether the model is offered a way to say that the code does not answer."""
    lang = language_of(question)
    told = _ANSWER[lang] + (_REFUSE[lang] if may_refuse else "")
    shown = "\n\n".join(code_block(p) for p in passages)
    asked = {"en": "Question", "zh": "问题"}[language_of(question)]
    return [
        {"role": "system", "content": told},
        {"role": "user", "content": f"{shown}\n\n{asked}: {question}"},
    ]


def code_block(passage: CodePassage) -> str:
    within = f" {passage.symbol}" if passage.symbol else ""
    return f"[{passage.number}] {passage.path}{within}\n```\n{passage.text}\n```"


def word_messages(question: str) -> list[dict[str, str]]:
    """For a question in another language than the code's names are in."""
    return [{"role": "system", "content": _WORDS}, {"role": "user", "content": question}]
