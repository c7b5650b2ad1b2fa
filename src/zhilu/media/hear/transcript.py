"""What was said, with times, and the ways it is written: OpenAI's two JSON forms, plain text, SRT and WebVTT."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Transcript", "json_form", "srt", "verbose_form", "vtt"]

_CJK = "\u3400-\u9fff\uf900-\ufaff"
# Whisper puts a Latin comma after a Chinese character.
_LATIN_MARKS = {",": "，", "?": "？", "!": "！", ":": "：", ";": "；"}
_AFTER_CJK = re.compile(rf"(?<=[{_CJK}])\s*([,?!:;])\s*|(?<=[{_CJK}])\.(?=\s|$)")


@dataclass
class Transcript:
    """Segments have ``start`` and ``end`` in seconds, ``text`` and ``words`` (empty unless they were asked for)."""

    model: str
    language: str = ""
    duration: float = 0.0
    segments: list[dict[str, Any]] = field(default_factory=list)

    def take(self, said: dict[str, Any]) -> dict[str, Any] | None:
        """Take in what a worker says; the segment, if it was one."""
        if "segment" in said:
            segment = said["segment"]
            segment["id"] = len(self.segments)
            segment["text"] = in_own_marks(segment["text"], self.language)
            self.segments.append(segment)
            return dict(segment)
        if "language" in said:
            self.language, self.duration = said["language"], said["duration"]
        return None

    @property
    def text(self) -> str:
        return in_own_marks("".join(str(segment["text"]) for segment in self.segments), self.language).strip()


def in_own_marks(text: str, language: str) -> str:
    """Chinese with Chinese punctuation; other languages as they are."""
    if language != "zh":
        return text
    return _AFTER_CJK.sub(lambda found: _LATIN_MARKS[found[1]] if found[1] else "。", text)


def json_form(heard: Transcript) -> dict[str, Any]:
    return {"text": heard.text, "usage": _usage(heard)}


def verbose_form(heard: Transcript, granularities: Sequence[str]) -> dict[str, Any]:
    """OpenAI's ``verbose_json``; words only where they were asked for, segments unless words alone were."""
    own = ("words",)
    segments = [{key: value for key, value in s.items() if key not in own} for s in heard.segments]
    reply: dict[str, Any] = {
        "task": "transcribe",
        "language": heard.language,
        "duration": heard.duration,
        "text": heard.text,
        "usage": _usage(heard),
    }
    if "segment" in granularities or not granularities:
        reply["segments"] = segments
    if "word" in granularities:
        reply["words"] = [word for segment in heard.segments for word in segment["words"]]
    return reply


def srt(heard: Transcript) -> str:
    """SubRip: numbered from 1, comma before the milliseconds."""
    blocks = [
        f"{number}\n{_clock(s['start'], ',')} --> {_clock(s['end'], ',')}\n{s['text'].strip()}\n"
        for number, s in enumerate(heard.segments, start=1)
    ]
    return "\n".join(blocks)


def vtt(heard: Transcript) -> str:
    """WebVTT."""
    cues = [f"{_clock(s['start'], '.')} --> {_clock(s['end'], '.')}\n{s['text'].strip()}\n" for s in heard.segments]
    return "\n".join(["WEBVTT\n", *cues])


def _usage(heard: Transcript) -> dict[str, Any]:
    return {"type": "duration", "seconds": round(heard.duration)}


def _clock(seconds: float, mark: str) -> str:
    whole = round(seconds * 1000)
    return f"{whole // 3_600_000:02}:{whole // 60_000 % 60:02}:{whole // 1000 % 60:02}{mark}{whole % 1000:03}"
