"""What a loader is, and what it returns.

A loader turns one file into plain text whose character offsets never change: pages, headings, chunks, citations and
highlights all point into ``Loaded.text``. Offsets count Unicode code points (Python's ``str`` indices).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from zhilu.errors import InputError
from zhilu.messages import T

__all__ = ["Heading", "Limits", "Loaded", "Loader", "LoaderFacts", "Page", "TextBuilder", "nothing_to_read"]


@dataclass(frozen=True)
class Page:
    """One printed page: ``text[start:end]``; ``page`` counts from 1."""

    page: int
    start: int
    end: int


@dataclass(frozen=True)
class Heading:
    """A heading of ``level`` 1 (outermost) to 6, whose line begins at ``start``."""

    level: int
    title: str
    start: int


@dataclass(frozen=True)
class Loaded:
    """A document as text, with its printed pages (if the format has them) and its headings in order.

    ``scanned``: pages whose text is not in ``text``, because they are pictures or their characters cannot be mapped.
    """

    text: str
    mime: str
    pages: tuple[Page, ...] = ()
    outline: tuple[Heading, ...] = ()
    scanned: tuple[int, ...] = ()

    def data(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, data: dict[str, Any]) -> Loaded:
        return cls(
            text=data["text"],
            mime=data["mime"],
            pages=tuple(Page(**p) for p in data["pages"]),
            outline=tuple(Heading(**h) for h in data["outline"]),
            scanned=tuple(data["scanned"]),
        )


@dataclass(frozen=True)
class Limits:
    """What one parse may cost. Beyond it the parser's process is ended and the file is refused, nothing else happens."""

    seconds: int = 120
    memory_mb: int = 2048
    max_chars: int = 20_000_000
    archive_entries: int = 10_000
    archive_total_mb: int = 512
    archive_ratio: int = 200


@dataclass(frozen=True)
class LoaderFacts:
    """A loader's row in the docs and in the upload dialog's list of formats.

    ``modules``: what ``load`` imports and what takes long to import; done once for many files (see ``server``).
    """

    name: str
    title: T
    mime: str
    extensions: tuple[str, ...]
    modules: tuple[str, ...] = ()


class Loader(Protocol):
    """Reads one format.

    ``load`` is called in a process of its own with time and memory limits, on a file whose type was already told from
    its content. It raises ``InputError`` with one clear message for a file it cannot read, and may raise anything else
    for a broken one: the caller turns that into a refusal. It must not write anywhere nor open the network.
    """

    facts: LoaderFacts

    def load(self, path: Path, limits: Limits) -> Loaded: ...


@dataclass
class TextBuilder:
    """Collects paragraphs and remembers where headings and pages fall."""

    parts: list[str] = field(default_factory=list)
    outline: list[Heading] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    length: int = 0

    def add(self, paragraph: str, *, level: int = 0) -> None:
        """Append a paragraph, separated by an empty line; ``level`` above 0 makes it a heading."""
        paragraph = paragraph.strip("\n")
        if not paragraph.strip():
            return
        if self.length:
            self.parts.append("\n\n")
            self.length += 2
        if level:
            self.outline.append(Heading(min(level, 6), " ".join(paragraph.split()), self.length))
        self.parts.append(paragraph)
        self.length += len(paragraph)

    def end_page(self, number: int, start: int) -> None:
        self.pages.append(Page(number, start, self.length))

    def loaded(self, mime: str) -> Loaded:
        return Loaded("".join(self.parts), mime, tuple(self.pages), tuple(self.outline))


def nothing_to_read(kind: Sequence[str] = ("file", "文件")) -> InputError:
    """The refusal of a file that holds no text at all."""
    return InputError(
        T(
            en=f"This {kind[0]} holds no text that could be read, so there is nothing to search in it.",
            zh=f"这个{kind[1]}里没有可以读取的文字，因此没有内容可供检索。",
        ),
        code="no_text",
    )
