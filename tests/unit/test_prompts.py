from __future__ import annotations

import pytest

from zhilu.prompts import (
    REFUSAL,
    chat_messages,
    grounded_messages,
    is_refusal,
    language_of,
    rewrite_messages,
    title_messages,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What is RAG?", "en"),
        ("什么是 RAG？", "zh"),
        ("vLLM 的 PagedAttention 是什么", "zh"),
        ("", "en"),
        ("Peking 北京 is the capital city", "en"),
    ],
)
def test_language(text: str, expected: str) -> None:
    assert language_of(text) == expected


def test_passages_are_numbered_from_one_between_the_question_and_the_question() -> None:
    system, user = grounded_messages(
        "谁写的？", [{"title": "书 › 作者", "text": "鲁迅。"}, {"title": "", "text": "无题。"}]
    )
    assert REFUSAL.zh in (system["content"] or "")
    assert user["content"] == "问题：谁写的？\n\n[1] 书 › 作者\n鲁迅。\n\n[2] 无题。\n\n问题：谁写的？"


@pytest.mark.parametrize(
    "answer", ["The documents do not say.", " the documents do not say", "文档中没有提到。", "文档中没有提到，抱歉"]
)
def test_refusals_are_recognised(answer: str) -> None:
    assert is_refusal(answer)


def test_an_answer_is_no_refusal() -> None:
    assert not is_refusal("In 1918 the documents do not say. [1]")


def test_a_system_message_of_the_history_is_kept() -> None:
    own = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert chat_messages(own) == own  # type: ignore[arg-type]
    assert chat_messages([{"role": "user", "content": "你好"}])[0]["content"].startswith("你是指路")  # type: ignore[union-attr]


def test_rewriting_lists_the_questions_in_order() -> None:
    assert rewrite_messages(["Who wrote it?"], "When?")[1]["content"] == "- Who wrote it?\n- When?"
    assert title_messages("你好")[1]["content"] == "你好"
