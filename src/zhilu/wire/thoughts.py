"""A thinking model's answer told apart: what stands between ``<think>`` marks at its beginning becomes ``reasoning_content``.

Only the beginning counts: an answer that speaks about the marks, or shows them in code, stays as it is. Where the prompt has
left the mark open, the answer begins with thoughts and only the closing one comes. No I/O.
"""

from __future__ import annotations

from typing import Any

__all__ = ["ThoughtReplies", "ThoughtSplitter", "split_thoughts"]

OPEN, CLOSE = "<think>", "</think>"


class ThoughtSplitter:
    """One answer as it comes in; ``push`` gives what is decided of it as (thought, answer).

    Args:
        opens: the prompt ended with the opening mark.
    """

    def __init__(self, opens: bool = False) -> None:
        self._state = "before"
        self._opens = opens
        self._held = ""
        self._given = False  # something of the thought
        self._line = ""  # what was given out of the thought's current line

    def push(self, text: str) -> tuple[str, str]:
        self._held += text
        thought = ""
        if self._state == "before" and not self._begin():
            return "", ""
        if self._state == "thinking":
            thought = self._think()
        if self._state == "after":
            self._held = self._held.lstrip()
            if self._held:
                self._state = "answering"
        if self._state == "answering":
            answer, self._held = self._held, ""
            return thought, answer
        return thought, ""

    def finish(self) -> tuple[str, str]:
        """What is still held back: a thought that was cut off, or an answer that is no longer than a mark."""
        held, self._held = self._held, ""
        if self._state == "before":
            return (held.strip(), "") if self._opens else ("", held)
        if self._state == "thinking":
            # The closing mark may have been held back for the character behind it.
            return held.removesuffix(CLOSE) if held.endswith(CLOSE) else held, ""
        return "", ""

    def _begin(self) -> bool:
        """Decide what the answer begins with; False where that cannot be said yet."""
        start = self._held.lstrip()
        if not start or (OPEN.startswith(start) and start != OPEN):
            return False
        if start.startswith(OPEN):
            self._held, self._state = start[len(OPEN) :], "thinking"
        elif self._opens:
            self._held, self._state = start, "thinking"
        else:
            self._state = "answering"
        return True

    def _think(self) -> str:
        """The thought that is decided; moves on where it ends. A mark that is a piece of code by itself is spoken about."""
        if not self._given:
            self._held = self._held.lstrip("\n")
        at = 0
        while (at := self._held.find(CLOSE, at)) >= 0:
            end = at + len(CLOSE)
            line = (self._line + self._held[:at]).rpartition("\n")[2]
            in_code = line.endswith("`") and line.count("`") % 2 == 1
            if in_code and end == len(self._held):
                return self._give(at)  # the next character tells
            if not in_code or self._held[end] != "`":
                thought, self._held, self._state = self._held[:at], self._held[end:], "after"
                return thought.rstrip()
            at = end
        keep = next((n for n in range(len(CLOSE) - 1, 0, -1) if self._held.endswith(CLOSE[:n])), 0)
        return self._give(len(self._held) - keep)

    def _give(self, length: int) -> str:
        # Blanks wait for what follows: those before the closing mark belong to nobody.
        length = len(self._held[:length].rstrip())
        given, self._held = self._held[:length], self._held[length:]
        self._given = self._given or bool(given)
        self._line = (self._line + given).rpartition("\n")[2]
        return given


def split_thoughts(text: str, opens: bool = False) -> tuple[str, str]:
    """A whole answer as (thought, answer); an answer without thoughts comes back as it is."""
    splitter = ThoughtSplitter(opens)
    first, rest = splitter.push(text), splitter.finish()
    return first[0] + rest[0], first[1] + rest[1]


class ThoughtReplies:
    """One request's answers; ``whole`` for a reply, ``chunk`` for each chunk of a stream.

    What an engine tells apart by itself is left so; its ``reasoning`` is called ``reasoning_content`` as well.
    """

    def __init__(self, opens: bool = False) -> None:
        self._opens = opens
        self._choices: dict[int, ThoughtSplitter | None] = {}  # None: the engine tells the thoughts itself

    def whole(self, reply: dict[str, Any]) -> dict[str, Any]:
        return {**reply, "choices": [self._whole(choice) for choice in reply.get("choices") or ()]}

    def _whole(self, choice: dict[str, Any]) -> dict[str, Any]:
        message = dict(choice.get("message") or {})
        if not _named(message) and isinstance(message.get("content"), str):
            thought, answer = split_thoughts(message["content"], self._opens)
            message["content"] = answer
            if thought:
                message["reasoning_content"] = thought
        return {**choice, "message": message}

    def chunk(self, chunk: dict[str, Any]) -> list[dict[str, Any]]:
        """The chunks to send for this one; none where all of it is held back."""
        sent: list[dict[str, Any]] = []
        kept = []
        for choice in chunk.get("choices") or ():
            delta, ended = dict(choice.get("delta") or {}), choice.get("finish_reason")
            text = delta.pop("content", None)
            thought, answer = self._take(choice.get("index", 0), delta, text, bool(ended))
            said = {**delta, **({"reasoning_content": thought} if thought else {})}
            if answer or (text is not None and not text and not thought):
                said["content"] = answer
            if ended and (thought or answer):  # the end is told by itself
                usage = {"usage": None} if "usage" in chunk else {}
                sent.append({**chunk, "choices": [{**choice, "delta": said, "finish_reason": None}], **usage})
                said = {}
            if ended or said or choice.get("logprobs"):
                kept.append({**choice, "delta": said})
        if kept or chunk.get("usage") or not chunk.get("choices"):
            sent.append({**chunk, "choices": kept})
        return sent

    def _take(self, index: int, delta: dict[str, Any], text: str | None, ended: bool) -> tuple[str, str]:
        if _named(delta):
            self._choices[index] = None
        splitter = self._choices.setdefault(index, ThoughtSplitter(self._opens))
        if splitter is None:
            return "", text or ""
        thought, answer = splitter.push(text) if text else ("", "")
        if ended:
            more = splitter.finish()
            thought, answer = thought + more[0], answer + more[1]
        return thought, answer


def _named(message: dict[str, Any]) -> bool:
    """Whether the engine has told the thoughts apart; under one name from here on."""
    if message.get("reasoning") and not message.get("reasoning_content"):
        message["reasoning_content"] = message["reasoning"]
    return bool(message.get("reasoning_content"))
