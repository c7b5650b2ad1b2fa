"""Thoughts told apart from the answer, however a stream cuts them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zhilu.wire.thoughts import ThoughtReplies, ThoughtSplitter, split_thoughts

WORDS = st.lists(
    st.sampled_from(["<think>", "</think>", "<th", "ink>", "</", "think", "`", "```", "\n", " ", "x", "答", "<"]),
    max_size=12,
).map("".join)


@pytest.mark.parametrize(
    ("text", "opens", "thought", "answer"),
    [
        ("4", False, "", "4"),
        ("<think>\n2 and 2\n</think>\n\n4", False, "2 and 2", "4"),
        ("\n<think>a</think>b", False, "a", "b"),
        ("2 and 2\n</think>\n\n4", True, "2 and 2", "4"),
        ("<think>\na</think>b", True, "a", "b"),
        ("<think>\n\n</think>\n\n4", False, "", "4"),
        ("<think>cut off by its length", False, "cut off by its length", ""),
        ("cut off", True, "cut off", ""),
        ("<think>", False, "", ""),
        ("<thin", False, "", "<thin"),
        ("", True, "", ""),
        (
            "Use `<think>` marks:\n```\n<think>x</think>\n```",
            False,
            "",
            "Use `<think>` marks:\n```\n<think>x</think>\n```",
        ),
        ("<think>a</think>b <think>c</think>", False, "a", "b <think>c</think>"),
        ("<think>it wants `</think>` in code</think>Yes", False, "it wants `</think>` in code", "Yes"),
        ("<think>code `x`</think>`y`", False, "code `x`", "`y`"),
        ("a </think> b", False, "", "a </think> b"),
    ],
)
def test_what_is_a_thought(text: str, opens: bool, thought: str, answer: str) -> None:
    assert split_thoughts(text, opens) == (thought, answer)


@given(WORDS, st.lists(st.integers(0, 60), max_size=8), st.booleans())
@example("<think>\nx</think>y", [7], False)
@example("<think>a `</think>` b</think>\n c", [10, 18, 19], False)
def test_a_stream_cut_anywhere_says_the_same(text: str, cuts: list[int], opens: bool) -> None:
    splitter, thought, answer = ThoughtSplitter(opens), "", ""
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [splitter.push(text[a:b]) for a, b in pairwise(places)]
    for t, a in (*pieces, splitter.finish()):
        thought, answer = thought + t, answer + a
    assert (thought, answer) == split_thoughts(text, opens)


@given(WORDS, st.booleans())
def test_nothing_is_lost_or_made_up(text: str, opens: bool) -> None:
    thought, answer = split_thoughts(text, opens)
    assert thought in text
    assert answer in text
    if not opens and not text.lstrip().startswith("<think>"):
        assert (thought, answer) == ("", text)
    kept = text.replace("<think>", "", 1).replace("</think>", "", 1)
    assert len(thought) + len(answer) >= len("".join(kept.split())) - 2 * len("</think>")


def _chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def _told(chunks: list[dict[str, Any]], opens: bool = False) -> list[tuple[Any, Any, Any]]:
    replies = ThoughtReplies(opens)
    sent = [told for chunk in chunks for told in replies.chunk(chunk)]
    return [
        (c["choices"][0]["delta"].get("reasoning_content"), c["choices"][0]["delta"].get("content"), c["choices"][0]["finish_reason"])
        for c in sent
    ]  # fmt: skip


def test_a_streams_chunks() -> None:
    chunks = [
        _chunk(role="assistant", content=""),
        *(_chunk(content=c) for c in ("<thi", "nk>ab", "c</thi", "nk>\n", "4")),
    ]
    assert _told([*chunks, _chunk("stop")]) == [
        (None, "", None), ("ab", None, None), ("c", None, None), (None, "4", None), (None, None, "stop"),
    ]  # fmt: skip
    assert _told([_chunk(content="<think>cut"), _chunk("length")]) == [("cut", None, None), (None, None, "length")]
    assert _told([_chunk(content="so"), _chunk("stop", content="</think>4")], opens=True) == [
        ("so", None, None), (None, "4", None), (None, None, "stop"),
    ]  # fmt: skip


def test_an_engine_that_tells_them_itself_is_left_alone() -> None:
    chunks = [_chunk(reasoning="why"), _chunk(content="</think> is a mark"), _chunk("stop")]
    assert _told(chunks, opens=True) == [("why", None, None), (None, "</think> is a mark", None), (None, None, "stop")]
    whole = {"choices": [{"message": {"content": "4", "reasoning_content": "why"}, "finish_reason": "stop"}]}
    assert ThoughtReplies(True).whole(whole) == whole


def test_a_whole_reply() -> None:
    reply = {"choices": [{"message": {"role": "assistant", "content": "<think>why</think>4"}, "finish_reason": "stop"}]}
    message = ThoughtReplies().whole(reply)["choices"][0]["message"]
    assert message == {"role": "assistant", "content": "4", "reasoning_content": "why"}
