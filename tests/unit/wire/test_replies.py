from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from zhilu.wire import HOLE, sse, sse_frame


def event(text: str) -> dict[str, object]:
    return {"id": "x", "choices": [{"delta": {"content": text}, "n": 1}], "model": '模型 "m"'}


@given(st.text())
def test_a_frame_writes_what_the_whole_event_would_be(text: str) -> None:
    framed = sse_frame(event(HOLE))(text)
    assert framed == sse(event(text))
    lines = framed.decode().splitlines()  # as httpx's iter_lines cuts
    assert lines[1:] == [""] and json.loads(lines[0].removeprefix("data: ")) == event(text)
