"""Is what the model said about the code so? Names and numbers it gives must stand in the code that it cites; lines it cites must
exist.

This checks what can be read off: that a name stands there, not that the sentence about it is true.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pydantic import BaseModel

from zhilu.apps.coder.questions.choose import CodePassage
from zhilu.text.sentences import sentences

__all__ = ["CodeCite", "CodeSentence", "check"]

_MARK = re.compile(r"[\[【［]\s*(\d{1,3}(?:\s*[,，、]\s*\d{1,3})*)\s*[\]】］]")
_BEHIND = re.compile(r"(?<![。！？.!?])([。！？.!?])((?:\s*[\[【［]\s*\d[\d\s,，、]{0,40}[\]】］])+)")
_PLACE = re.compile(r"(?<![\w./-])([\w./-]{1,200}\.\w{1,5}):(\d{1,7})(?:-(\d{1,7}))?")
_TICKED = re.compile(r"`([^`\n]{1,300})`")
_NAME = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)
_CALLED = re.compile(r"(?<![\w$])[A-Za-z_$][\w$]{0,100}(?=\()", re.ASCII)
_DOTTED = re.compile(r"(?<![\w$/.-])[A-Za-z_]\w{0,100}\.[A-Za-z_]\w{0,100}(?:\.\w{1,100})?", re.ASCII)
_ALONE = re.compile(r"[A-Za-z_$][\w$.]{1,200}", re.ASCII)  # an answer that is a name and nothing else
_NUMBER = re.compile(r"(?<![\w.,:-])\d[\d_,]{0,20}\d(?:\.\d{1,9})?(?![\w:-])", re.ASCII)  # of two digits and more
_IN_CODE = re.compile(r"\d[\d_,]*(?:\.\d+)?", re.ASCII)
_SHAPED = re.compile(r"(?<![\w$/.-])[A-Za-z]\w{0,100}", re.ASCII)
# What every program knows, whatever code was shown.
_KNOWN = frozenset(
    {*keyword.kwlist, *dir(builtins), "self", "cls", "null", "undefined", "this", "true", "false", "void", "nil"}
)


class CodeCite(BaseModel):
    """Lines that a sentence rests on; ``moved``: the model cited another piece or none, and the names stand in this one."""

    path: str
    start: int
    end: int
    symbol: str = ""
    moved: bool = False


class CodeSentence(BaseModel):
    """``names``: those that stand in the cited code. ``missing``: names, lines or places that do not. A sentence is founded where
    nothing is missing and there was something to check: names in it, or its lines of code. ``from_index``: no model said it."""

    text: str
    is_code: bool = False
    names: list[str] = []
    cites: list[CodeCite] = []
    missing: list[str] = []
    is_founded: bool = False
    from_index: bool = False


@dataclass(frozen=True)
class _Piece:
    text: str
    is_code: bool


def check(reply: str, passages: Sequence[CodePassage]) -> list[CodeSentence]:
    """The reply, sentence by sentence, each block of code as one."""
    said = [_block(p.text, passages) if p.is_code else _sentence(p.text, passages) for p in _pieces(reply)]
    for one in said:
        one.is_founded = bool(one.cites and (one.names or one.is_code)) and not one.missing
    said = [one for one in said if any(c.isalnum() for c in one.text)]
    return said or _pointed_at(reply, passages)


def _pointed_at(reply: str, passages: Sequence[CodePassage]) -> list[CodeSentence]:
    """An answer that is numbers and nothing else points at pieces: what they define is named."""
    numbers = dict.fromkeys(int(n) for group in _MARK.findall(reply) for n in re.split(r"[,，、]", group))
    found = [passages[n - 1] for n in numbers if 1 <= n <= len(passages) and passages[n - 1].symbol]
    return [CodeSentence(text=f"`{p.symbol}`", names=[p.symbol], cites=[_cite(p)], is_founded=True) for p in found]


def _pieces(reply: str) -> list[_Piece]:
    found: list[_Piece] = []
    held: list[str] = []
    is_code = False
    for line in [*reply.split("\n"), "```"]:
        if not line.lstrip().startswith("```"):
            held.append(line)
            continue
        text = "\n".join(held)
        held = []
        if is_code:
            found += [_Piece(text, True)] if text.strip() else []
        else:
            text = _BEHIND.sub(
                r"\2\1", text
            )  # the mark of a sentence before its full stop, so that they are not parted
            found += [_Piece(text[a:z], False) for a, z in sentences(text)]
        is_code = not is_code
    return found


def _sentence(text: str, passages: Sequence[CodePassage]) -> CodeSentence:
    numbers = [int(n) for group in _MARK.findall(text) for n in re.split(r"[,，、]", group)]
    bare = re.sub(r"(?<! ) +(?=[.。,，])", "", _MARK.sub("", text)).strip().lstrip("-*• ").strip()
    made = CodeSentence(text=bare)
    cited = [passages[n - 1] for n in dict.fromkeys(numbers) if 1 <= n <= len(passages)]
    made.missing += [f"[{n}]" for n in dict.fromkeys(numbers) if not 1 <= n <= len(passages)]
    for path, first, last in _PLACE.findall(text):
        held = [p for p in passages if _is_path(p.path, path) and p.start <= int(first) <= int(last or first) <= p.end]
        if held:
            cited += [p for p in held if p not in cited]
        else:
            made.missing.append(f"{path}:{first}" + (f"-{last}" if last else ""))
    names = _names(bare)
    moved: list[CodePassage] = []
    for name in names:
        if any(_holds(p, name) for p in (*cited, *moved)):
            made.names.append(name)
            continue
        found = next((p for p in passages if _holds(p, name)), None)
        if found is None:
            made.missing.append(name)
        else:
            moved.append(found)
            made.names.append(name)
    made.cites = [_cite(p) for p in cited] + [_cite(p, moved=True) for p in moved]
    return made


def _block(text: str, passages: Sequence[CodePassage]) -> CodeSentence:
    """Code that the model wrote: each of its lines stands in what was shown, or the first that do not are named."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    shown = {p.number: {line.strip() for line in p.text.split("\n")} for p in passages}
    missing = [line[:120] for line in lines if not any(line in held for held in shown.values())]
    cited = [p for p in passages if any(len(line) > 3 and line in shown[p.number] for line in lines)]
    return CodeSentence(text=text, is_code=True, cites=[_cite(p, moved=True) for p in cited[:2]], missing=missing[:3])


def _names(text: str) -> list[str]:
    """Names of code in a sentence: all of what stands in backticks, words that no prose has (``total_price``, ``addItem``), and numbers."""
    text = _PLACE.sub("", text)
    found: list[str] = []
    for ticked in _TICKED.findall(text):
        if not ticked.startswith(("'", '"')):
            found.extend(_NAME.findall(ticked))
    bare = _TICKED.sub(" ", text)
    found.extend(name for name in _CALLED.findall(bare) if len(name) > 1)
    for dotted in _DOTTED.findall(bare):
        found.extend(_NAME.findall(dotted))
    if _ALONE.fullmatch(text.strip().rstrip(".。")):
        found.extend(_NAME.findall(bare))
    found.extend(w for w in _SHAPED.findall(bare) if "_" in w.strip("_") or _has_inner_capital(w))
    found.extend(_digits(number) for number in _NUMBER.findall(bare))
    return [name for name in dict.fromkeys(found) if name not in _KNOWN]


def _has_inner_capital(word: str) -> bool:
    """``addItem``, ``HttpClient``; not ``HTTP``, not ``APIs``."""
    return any(a.islower() and b.isupper() for a, b in pairwise(word))


def _digits(number: str) -> str:
    return number.replace(",", "").replace("_", "")


def _holds(passage: CodePassage, name: str) -> bool:
    if name[0].isdigit():
        return name in {_digits(number) for number in _IN_CODE.findall(passage.text)}
    words = set(_NAME.findall(passage.text)) | set(_NAME.findall(passage.symbol)) | set(_NAME.findall(passage.path))
    return name in words


def _is_path(path: str, said: str) -> bool:
    return path == said or path.endswith(f"/{said}")


def _cite(passage: CodePassage, *, moved: bool = False) -> CodeCite:
    return CodeCite(path=passage.path, start=passage.start, end=passage.end, symbol=passage.symbol, moved=moved)
