"""From a stream of token ids to a stream of text that can be shown at once.

Two things must not reach a reader: half a character (a token may end inside a UTF-8 sequence), and the first half of a stop
string that the next token completes. Both are held back until they are decided.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from zhilu.engine.text.tokenizer import Tokenizer

__all__ = ["IncrementalText", "StopWatch", "overlap"]

_UTF8 = codecs.getincrementaldecoder("utf-8")


class IncrementalText:
    """Decodes one token at a time. ``push`` returns the characters that this token completes, often none or several."""

    def __init__(self, tokenizer: Tokenizer, skip_special_tokens: bool = True) -> None:
        self._tokenizer = tokenizer
        self._skip = skip_special_tokens
        self._window: list[int] = []  # tokens whose text may still depend on what follows
        self._shown = 0  # how many of the window's tokens have been shown
        # Where a text is its tokens' bytes, one after the other, there is nothing to look back for.
        self._utf8 = _UTF8("replace") if tokenizer.is_byte_level else None

    def push(self, token_id: int) -> str:
        if self._skip and token_id in self._tokenizer.special_ids:
            return ""
        if self._utf8:
            return self._utf8.decode(self._tokenizer.token_bytes(token_id))
        self._window.append(token_id)
        # Some decoders strip a leading space, so text is the difference of two decodes that share their beginning.
        before = self._tokenizer.decode(self._window[: self._shown], self._skip)
        now = self._tokenizer.decode(self._window, self._skip)
        if now.endswith("\ufffd") and self._ends_inside_character():
            return ""
        self._window, self._shown = self._window[self._shown :], len(self._window) - self._shown
        return now[len(before) :]

    def _ends_inside_character(self) -> bool:
        """More bytes can still complete the last character; bytes that are broken for good are not waited for."""
        decoder = _UTF8("replace")
        decoder.decode(b"".join(map(self._tokenizer.token_bytes, self._window[self._shown :])))
        return bool(decoder.getstate()[0])


class StopWatch:
    """Finds the first of several stop strings in text that arrives in pieces."""

    def __init__(self, stops: Sequence[str], include_in_output: bool = False) -> None:
        self._stops = list(stops)
        self._include = include_in_output
        self._held = ""

    def push(self, text: str) -> tuple[str, str | None]:
        """Returns what may be shown and the stop string that was met, if any (then nothing may follow)."""
        text = self._held + text
        met = min(((text.find(stop), stop) for stop in self._stops if stop in text), default=None)
        if met:
            self._held = ""
            at, stop = met
            return text[: at + len(stop) if self._include else at], stop
        keep = max((overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep], None

    def flush(self) -> str:
        """What was held back, once no more text comes."""
        held, self._held = self._held, ""
        return held


def overlap(text: str, mark: str) -> int:
    """Length of the longest end of ``text`` that is a beginning, but not all, of ``mark``."""
    for length in range(min(len(text), len(mark) - 1), 0, -1):
        if text.endswith(mark[:length]):
            return length
    return 0
