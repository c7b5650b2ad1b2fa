"""Server-sent events, written in one place (WHATWG HTML, section 9.2).

An event stays one line for every reader: some readers also break lines at U+0085, U+2028 and U+2029, which JSON allows in a text.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

__all__ = ["HEADERS", "MEDIA_TYPE", "STILL_HERE", "Event", "frame", "one_line"]

MEDIA_TYPE = "text/event-stream"
# The last is for proxies that collect a response before they pass it on (nginx).
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
STILL_HERE = b": still here\n\n"  # a comment, so that nobody on the way takes a quiet stream for a dead one

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_LINE_ENDS = re.compile("[\x85\u2028\u2029]")


class Event(NamedTuple):
    """What happened, under the name that a page listens for."""

    name: str
    data: dict[str, Any]

    def frame(self) -> bytes:
        return frame(self.data, self.name)


def frame(data: Any, name: str | None = None, id: int | None = None) -> bytes:
    """One event as bytes. OpenAI's streams have no event name; the workbench's have. ``id`` is where a reader goes on."""
    head = (f"id: {id}\n" if id is not None else "") + (f"event: {name}\n" if name else "")
    return f"{head}data: {one_line(data)}\n\n".encode()


def one_line(data: Any) -> str:
    """JSON that no reader breaks into lines."""
    text = _ENCODER.encode(data)
    return text if text.isascii() else _LINE_ENDS.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
