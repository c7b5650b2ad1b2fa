from __future__ import annotations

import pytest

from zhilu.models.shipped import NANO
from zhilu.training.nano.tokenizer import (
    END,
    END_ID,
    IM_END,
    IM_END_ID,
    SPECIAL_TOKENS,
    load_tokenizer,
    train_tokenizer,
)

TEXTS = [
    "The Panthers gave up just 308 points, ranking sixth (1987).",
    "黑豹队的防守只丢了 308分，在联赛中排名第六。",
    "魑魅魍魉 🐼 naïve café\n\n\tdef f(x):\r\n    return {'a': [1, 2]}  ",
    "line\u2028separator",
]


@pytest.mark.parametrize("text", TEXTS)
def test_round_trip_is_lossless(text: str) -> None:
    tokenizer = load_tokenizer(NANO / "tokenizer.json")
    assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


def test_a_span_is_cut_alike_in_the_passage_and_in_the_answer() -> None:
    tokenizer = load_tokenizer(NANO / "tokenizer.json")
    passage = "据《明史》记载，他生于1368年。He met “Gary Kubiak” in Denver, 1987."
    inside = tokenizer.encode(passage).ids
    for span in ("明史", "1368年", " Denver", "Gary Kubiak"):
        alone = tokenizer.encode(span).ids
        assert any(inside[i : i + len(alone)] == alone for i in range(len(inside))), span


def test_special_tokens_come_first_and_tool_tags_survive_decoding() -> None:
    tokenizer = train_tokenizer(["some text 一些文字"] * 3, 400)
    assert [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS] == list(range(len(SPECIAL_TOKENS)))
    assert (tokenizer.token_to_id(END), tokenizer.token_to_id(IM_END)) == (END_ID, IM_END_ID)


def test_tool_tags_survive_decoding_and_control_tokens_do_not() -> None:
    tokenizer = load_tokenizer(NANO / "tokenizer.json")
    ids = tokenizer.encode("<tool_call>\n{}\n</tool_call><|im_end|>").ids
    assert tokenizer.decode(ids) == "<tool_call>\n{}\n</tool_call>"


def test_special_text_in_a_document_does_not_grow_the_vocabulary() -> None:
    assert train_tokenizer(["abc 甲乙丙"] * 9, 300).get_vocab_size() <= 300
