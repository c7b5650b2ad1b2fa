"""Where the tokens of a reply stand in its prompt, which supervised attention is shown (``train.guides_of``).

Places are token numbers; ``starts`` holds the character at which each token of a text begins.
"""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Iterator, Sequence

__all__ = ["call_places", "copied_tokens", "quoted_place", "span_place"]

_REPLY = re.compile(r"(.+) \[(\d)\]<\|im_end\|>", re.DOTALL)
_LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?')
_CALL = re.compile(r'<tool_call>\n(\{"name": .*?\})\n</tool_call>', re.DOTALL)
_SIGNATURE = '{{"type": "function", "function": {{"name": {name}'
_TOOLS_END = "\n</tools>"


def span_place(reply: str, prompt: str) -> tuple[int, int] | None:
    """Of ``SPAN [n]``: the characters of the prompt where its span and its passage's number stand; None unless the span stands
    in that passage just once."""
    cited = _REPLY.fullmatch(reply)
    if not cited:
        return None
    span, number = cited.group(1), int(cited.group(2))
    opening = re.search(rf"\n\[{number}\] ", prompt)
    if not opening:
        return None
    closing = prompt.find(f"\n[{number + 1}] ", opening.end())
    region = prompt[: closing if closing > 0 else prompt.rfind("\n\n")]
    place = region.find(span, opening.end() - 1)
    if place < 0 or region.find(span, place + 1) >= 0:
        return None
    return place, opening.start() + 2


def call_places(reply: str, prompt: str) -> Iterator[tuple[int, int, int]]:
    """Of function calls: ``(character of the reply, character of the prompt, length)`` of every name and value that can be copied.

    A function's and its arguments' names stand in its signature; a value in what was said (the last time it was), else among
    the signature's choices.
    """
    said_from = prompt.rfind(_TOOLS_END)
    if said_from < 0:
        return
    for call in _CALL.finditer(reply):
        made = json.loads(call.group(1))
        signature = prompt.find(_SIGNATURE.format(name=json.dumps(made["name"], ensure_ascii=False)))
        if signature < 0:
            continue
        end = prompt.find("\n", signature)
        for literal in _LITERAL.finditer(call.group(1)):
            if literal.group() in ('"name"', '"arguments"') and literal.start() < call.group(1).find("{", 1):
                continue
            text, at = literal.group(), call.start(1) + literal.start()
            if text.startswith('"'):
                text, at = text[1:-1], at + 1
            follows = call.group(1)[literal.end() : literal.end() + 1]
            place = -1
            if text and (follows == ":" or literal.start() < 12):
                place = prompt.find(f'"{text}"', signature, end)
                place += place >= 0
            elif text:
                place = max(prompt.rfind(text), prompt.lower().rfind(text.lower()))
                if place < said_from:
                    place = prompt.find(f'"{text}"', signature, end)
                    place += place >= 0
            if place >= 0:
                yield at, place, len(text)


def quoted_place(reply: str, prompt: str) -> Iterator[tuple[int, int, int]]:
    """Of a reply that is a quotation as a whole (a summary): as ``call_places``; nothing where it stands nowhere."""
    said = reply.removesuffix("<|im_end|>")
    place = prompt.find(said)
    if said and place >= 0:
        yield 0, place, len(said)


def copied_tokens(
    at: int, place: int, length: int, reply_starts: Sequence[int], prompt_starts: Sequence[int]
) -> tuple[tuple[int, int] | None, list[tuple[int, int]]]:
    """A copied text as tokens: (the reply's first token of it, the prompt's), and the later ones that line up.

    The first is None where the reply has no token that begins there.
    """
    first = bisect.bisect_left(reply_starts, at)
    if first >= len(reply_starts) or reply_starts[first] >= at + length:
        return None, []
    begun = (first, bisect.bisect_right(prompt_starts, place + reply_starts[first] - at) - 1)
    later = []
    for number in range(first + 1, len(reply_starts)):
        offset = reply_starts[number] - at
        if offset >= length:
            break
        there = bisect.bisect_left(prompt_starts, place + offset)
        if there < len(prompt_starts) and prompt_starts[there] == place + offset:
            later.append((number, there))
    return begun, later
