from __future__ import annotations

from pathlib import Path

import pytest

from zhilu.errors import SettingsError
from zhilu.training.nano.data import (
    DevGuard,
    data_folder,
    group_contexts,
    is_clean,
    is_held_out,
    paragraphs,
    read_jsonl,
    texts,
)

from .conftest import write_jsonl


def test_records_are_split_on_newlines_only(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl.zst", [{"text": "one\u2028two\u0085three"}, {"text": "four"}])
    assert [r["text"] for r in read_jsonl(tmp_path / "a.jsonl.zst")] == ["one\u2028two\u0085three", "four"]


def test_a_missing_folder_names_the_variable_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZHILU_DATA", raising=False)
    with pytest.raises(SettingsError) as caught:
        data_folder()
    assert "ZHILU_DATA" in (caught.value.fix or "")


@pytest.mark.parametrize("text", ["锟斤拷锟斤拷", "cafÃ© au lait", "broken \ufffd char", "private \ue001 use"])
def test_mojibake_is_refused(text: str) -> None:
    assert not is_clean(text)
    assert is_clean("正常的中文 and plain English, café.")


def test_text_that_shares_a_run_with_dev_is_left_out(data: Path) -> None:
    guard = DevGuard(data)
    assert guard.leaks("前文。赞巴拉的高塔矗立在伏尔塔瓦河的左岸，这条河每到冬天都会结冰，后文。", "zh")
    assert guard.leaks(
        "As we know, THE TOWER of Zembla -- stands on the left bank of the Vltava, a river, they say.", "en"
    )
    assert not guard.leaks("青岩古镇建于1801年，由三位商人共同出资，行会主要经营茶叶。", "zh")
    leaked = "The tower of Zembla stands on the left bank of the Vltava, a river that freezes in winter."
    guard.add(next(iter(texts(data, "en", 10_000, DevGuard(data)))), "en")
    assert leaked not in "".join(texts(data, "en", 10_000, guard))


def test_held_out_contexts_are_disjoint_from_training_ones(data: Path) -> None:
    guard = DevGuard(data)
    training = {c.text for c in group_contexts(data, guard)}
    held = {c.text for c in group_contexts(data, guard, held_out=True)}
    assert training
    assert not training & held
    assert all(is_held_out(text) for text in held)
    shares = [is_held_out(f"context number {i}") for i in range(4000)]
    assert 0.02 < sum(shares) / len(shares) < 0.06


def test_questions_are_grouped_with_their_answers_in_place(data: Path) -> None:
    for context in group_contexts(data, DevGuard(data)):
        assert len(context.questions) == 3
        for question in context.questions:
            assert question.start == -1 or context.text.startswith(question.answer, question.start)


def test_paragraphs_leave_code_and_lists_out() -> None:
    prose = "这是一个完整的自然段，" * 6 + "说明了古镇的由来和发展。"
    document = f"# 标题\n{prose}\n- 列表项，{prose}\n`code` {prose}\n短句。"
    assert list(paragraphs(document, "zh")) == [prose]
