"""Events on their way through: whole or not at all, unchanged, however the network cut them."""

import itertools
import json

from hypothesis import given
from hypothesis import strategies as st

from zhilu.serving.gateway.stream import EventStream

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def event(choices: list[dict], **rest: object) -> bytes:
    body = json.dumps({"choices": choices, **rest}, separators=(",", ":"), ensure_ascii=False)
    return f"data: {body}\n\n".encode()


PIECES = [event([{"delta": {"content": text}}]) for text in ("你好", 'a "usage": {} b', "[DONE]", "\n\n")]
COUNTS = event([], usage=USAGE)
DONE = b"data: [DONE]\n\n"


def cut(data: bytes, places: list[int]) -> list[bytes]:
    borders = sorted({0, len(data), *(place % len(data) for place in places)})
    return [data[a:b] for a, b in itertools.pairwise(borders)]


@given(st.lists(st.integers(0, 10_000), max_size=12), st.booleans())
def test_any_cut_gives_the_same_bytes(places: list[int], hide: bool) -> None:
    stream = EventStream(hide_usage=hide)
    got = b"".join(stream.feed(part) for part in cut(b"".join([*PIECES, COUNTS, DONE]), places))
    assert got == b"".join([*PIECES, *([] if hide else [COUNTS]), DONE])
    assert stream.usage == USAGE
    assert stream.finished
    assert stream.num_events == len(PIECES) + (not hide)


@given(st.lists(st.integers(0, 10_000), max_size=12))
def test_half_an_event_is_never_given_out(places: list[int]) -> None:
    stream = EventStream()
    got = b"".join(stream.feed(part) for part in cut(b"".join(PIECES) + b'data: {"half', places))
    assert got == b"".join(PIECES)
    assert not stream.finished


def test_counts_beside_a_choice_are_not_hidden() -> None:
    last = event([{"delta": {}, "finish_reason": "stop"}], usage=USAGE)
    stream = EventStream(hide_usage=True)
    assert stream.feed(last + DONE) == last + DONE
    assert stream.usage == USAGE


def test_other_line_ends_and_no_space_are_understood() -> None:
    stream = EventStream()
    assert stream.feed(b'data:{"choices":[],"usage":{"total_tokens":1}}\r\n\r\n') != b""
    stream.feed(b"data:[DONE]\r\n\r\n")
    assert stream.usage == {"total_tokens": 1}
    assert stream.finished
