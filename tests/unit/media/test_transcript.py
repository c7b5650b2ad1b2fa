"""What was said, written in every form."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from zhilu.media.hear.transcript import Transcript, json_form, srt, verbose_form, vtt


def _segment(start: float, end: float, text: str) -> dict[str, object]:
    return {
        "segment": {
            "id": 7,
            "start": start,
            "end": end,
            "text": text,
            "words": [{"word": text, "start": start, "end": end}],
        }
    }


def _heard() -> Transcript:
    heard = Transcript("whisper-base")
    heard.take({"language": "zh", "duration": 4000.5})
    heard.take(_segment(0.0, 1.25, "今天天气很好,"))
    heard.take(_segment(3661.5, 3662.0, "去散步吗?"))
    return heard


def test_subtitles_are_numbered_and_timed() -> None:
    assert srt(_heard()) == (
        "1\n00:00:00,000 --> 00:00:01,250\n今天天气很好，\n\n2\n01:01:01,500 --> 01:01:02,000\n去散步吗？\n"
    )
    assert vtt(_heard()).startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.250\n今天天气很好，\n")


def test_words_come_only_where_they_were_asked_for() -> None:
    heard = _heard()
    assert json_form(heard) == {"text": "今天天气很好，去散步吗？", "usage": {"type": "duration", "seconds": 4000}}
    plain, both, words = (verbose_form(heard, g) for g in ([], ["segment", "word"], ["word"]))
    assert "words" not in plain and "words" not in plain["segments"][0] and plain["segments"][1]["id"] == 1
    assert len(both["words"]) == 2 and "segments" in both and "segments" not in words


def test_other_languages_keep_their_marks() -> None:
    heard = Transcript("w", language="en")
    heard.take(_segment(0, 1, " Well, who?"))
    assert heard.text == "Well, who?"


@given(st.lists(st.tuples(st.floats(0, 1e6), st.text(max_size=20)), max_size=5))
def test_any_text_makes_well_formed_times(said: list[tuple[float, str]]) -> None:
    heard = Transcript("w", language="zh")
    for at, text in said:
        heard.take(_segment(at, at + 1, text))
    times = [
        line
        for line in srt(heard).splitlines()
        if re.fullmatch(r"\d\d+:\d\d:\d\d,\d{3} --> \d\d+:\d\d:\d\d,\d{3}", line)
    ]
    assert len(times) == len(said)
