"""Plain text in any encoding. Chapter lines ("第三章 …", "Chapter 4") become headings."""

from __future__ import annotations

import re
from pathlib import Path

from zhilu.messages import T
from zhilu.rag.load.base import Heading, Limits, Loaded, LoaderFacts, nothing_to_read
from zhilu.rag.load.decode import decode

__all__ = ["LOADER", "TextLoader"]

_CHAPTER = re.compile(
    r"^[ \t\u3000]*((?:第[0-9零一二三四五六七八九十百千两]{1,6}([编卷部章回节条]))(?:[ \t\u3000]+\S.{0,40}|)|"
    r"(?:Chapter|CHAPTER|Part|PART|Section|SECTION) [0-9IVXLC]+\b.{0,60})$",
    re.MULTILINE,
)
_LEVELS = {"编": 1, "卷": 1, "部": 1, "章": 2, "回": 2, "节": 3, "条": 4}


class TextLoader:
    facts = LoaderFacts("text", T(en="Plain text", zh="纯文本"), "text/plain", (".txt", ".text", ".log"))

    def load(self, path: Path, limits: Limits) -> Loaded:
        text, _ = decode(path.read_bytes())
        text = text.strip("\n")
        if not text.strip():
            raise nothing_to_read()
        return Loaded(text, self.facts.mime, outline=chapters(text))


def chapters(text: str) -> tuple[Heading, ...]:
    """Lines that stand alone and are numbered as a chapter or section."""
    found = []
    for match in _CHAPTER.finditer(text):
        level = _LEVELS.get(match.group(2) or "", 1 if match.group(1)[:4].lower() == "part" else 2)
        found.append(Heading(level, match.group(1).strip(), match.start(1)))
    return tuple(found)


LOADER = TextLoader()
