"""Markdown: the source itself is the text, so that a citation shows what the author wrote; headings give the outline."""

from __future__ import annotations

import re
from pathlib import Path

from zhilu.messages import T
from zhilu.rag.load.base import Heading, Limits, Loaded, LoaderFacts, nothing_to_read
from zhilu.rag.load.decode import decode

__all__ = ["LOADER", "MarkdownLoader", "headings"]

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n.*?\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_ATX = re.compile(r"^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_SETEXT = re.compile(r"^ {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")


class MarkdownLoader:
    facts = LoaderFacts("markdown", T(en="Markdown", zh="Markdown"), "text/markdown", (".md", ".markdown", ".mdx"))

    def load(self, path: Path, limits: Limits) -> Loaded:
        text, _ = decode(path.read_bytes())
        text = _FRONT_MATTER.sub("", text).strip("\n")
        if not text.strip():
            raise nothing_to_read()
        return Loaded(text, self.facts.mime, outline=headings(text))


def headings(text: str) -> tuple[Heading, ...]:
    """ATX and setext headings outside fenced code (CommonMark 4.2, 4.3), with markup taken out of their titles."""
    found: list[Heading] = []
    fence = ""
    start = previous_start = 0
    previous = ""
    for line in text.splitlines(keepends=True):
        bare = line.rstrip("\n")
        opening = _FENCE.match(bare)
        if fence:
            if opening and opening.group(1).startswith(fence) and not bare.strip(" `~"):
                fence = ""
        elif opening:
            fence = opening.group(1)[:3] if len(opening.group(1)) == 3 else opening.group(1)
        elif atx := _ATX.match(bare):
            if title := _plain(atx.group(2) or ""):
                found.append(Heading(len(atx.group(1)), title, start))
        elif (setext := _SETEXT.match(bare)) and previous.strip() and _ends_a_title(previous):
            found.append(Heading(1 if setext.group(1)[0] == "=" else 2, _plain(previous), previous_start))
        previous, previous_start = ("" if fence else bare), start
        start += len(line)
    return tuple(found)


def _ends_a_title(line: str) -> bool:
    """A line above ``---`` is a setext heading only if it is no list item, quote, table row or heading of its own."""
    return not re.match(r"\s*(?:[-*+>|#]|\d+[.)])", line) and len(line) < 200


def _plain(title: str) -> str:
    title = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", title)
    title = re.sub(r"<[^>]+>|\{#[^}]*\}|[*`]|(?<!\w)_|_(?!\w)", "", title)
    return " ".join(title.split())


LOADER = MarkdownLoader()
