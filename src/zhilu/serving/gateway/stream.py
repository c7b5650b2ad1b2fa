"""Server-sent events on their way through, cut at event borders, so that an error can be inserted between two of them."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["EventStream"]

_DONE = (b"data: [DONE]", b"data:[DONE]")


class EventStream:
    """Collects raw bytes and gives out whole events. No I/O.

    Args:
        hide_usage: keep back the chunk without choices that only carries token counts: the gateway asked for it, the
            client did not.

    Attributes:
        usage: the token counts that went by, or None.
        num_events: events given out, ``[DONE]`` not counted.
        finished: True once ``[DONE]`` was seen. A stream that ends without it has broken off.
    """

    def __init__(self, *, hide_usage: bool = False) -> None:
        self._hide_usage = hide_usage
        self._rest = b""
        self.usage: dict[str, Any] | None = None
        self.num_events = 0
        self.finished = False

    def feed(self, data: bytes) -> bytes:
        """The whole events that ``data`` completes, byte for byte as they came (CRLF becomes LF); often empty."""
        text = (self._rest + data).replace(b"\r\n", b"\n")
        end = text.rfind(b"\n\n") + 2
        if end < 2:
            self._rest = text
            return b""
        whole, self._rest = text[:end], text[end:]
        return self._look(whole)

    def chunks(self, data: bytes) -> list[dict[str, Any]]:
        """The chunks that ``data`` completes, read: for an answer in another API's words."""
        events = (e for e in self.feed(data).split(b"\n\n") if e.startswith(b"data:") and not e.startswith(_DONE))
        return [chunk for event in events if (chunk := _chunk(event))]

    def _look(self, whole: bytes) -> bytes:
        if b'"usage":' not in whole and b"[DONE]" not in whole:  # nearly always: nothing to look into
            self.num_events += whole.count(b"\n\n")
            return whole
        kept = [event for event in whole[:-2].split(b"\n\n") if self._keep(event)]
        return b"".join(event + b"\n\n" for event in kept)

    def _keep(self, event: bytes) -> bool:
        if event.startswith(_DONE):
            self.finished = True
            return True
        hidden = False
        if b'"usage":' in event:
            chunk = _chunk(event)
            if isinstance(chunk.get("usage"), dict):
                self.usage = chunk["usage"]
                hidden = self._hide_usage and not chunk.get("choices")
        self.num_events += not hidden
        return not hidden


def _chunk(event: bytes) -> dict[str, Any]:
    data = b"\n".join(line[5:] for line in event.split(b"\n") if line.startswith(b"data:"))
    try:
        value = json.loads(data)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
