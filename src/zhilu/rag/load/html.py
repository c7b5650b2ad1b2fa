"""HTML: the article without menus and footers (trafilatura), or everything in the body if it finds no article."""

from __future__ import annotations

import re
from pathlib import Path

from zhilu.messages import T
from zhilu.rag.load.base import Heading, Limits, Loaded, LoaderFacts, nothing_to_read
from zhilu.rag.load.decode import clean, decode
from zhilu.rag.load.markdown import headings

__all__ = ["LOADER", "HtmlLoader", "page_text"]

_DECLARED = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([A-Za-z0-9_-]+)", re.IGNORECASE)


class HtmlLoader:
    facts = LoaderFacts(
        "html", T(en="Web page", zh="网页"), "text/html", (".html", ".htm", ".xhtml"), ("trafilatura", "lxml.html")
    )

    def load(self, path: Path, limits: Limits) -> Loaded:
        text, outline = page_text(path.read_bytes())
        if not text.strip():
            raise nothing_to_read(("web page", "网页"))
        return Loaded(text, self.facts.mime, outline=outline)


def page_text(data: bytes, *, whole: bool = False) -> tuple[str, tuple[Heading, ...]]:
    """A page as Markdown, and its headings. ``whole``: it has no menus, as a book's chapter or a mail, so that what the search for
    an article leaves out is text, too. Empty where there is none."""
    import trafilatura

    source = _decode_declared(data)
    if not source.strip():
        return "", ()
    found = trafilatura.extract(
        source, output_format="markdown", include_tables=True, include_comments=False, include_links=False,
        include_images=False, favor_recall=True, deduplicate=False,
    )  # fmt: skip
    text = clean(found or "").strip("\n")
    everything = _body_text(source)
    if whole:
        is_poorer = len(text) < 0.9 * len(everything) or len(headings(text)) < len(headings(everything))
    else:  # a short page without an article: a form letter, a table, a fragment
        is_poorer = len(text) < 0.2 * len(everything) and len(everything) < 5000
    if is_poorer:
        text = everything
    return text, headings(text)


def _decode_declared(data: bytes) -> str:
    """The page says its encoding more reliably than a detector guesses it."""
    match = _DECLARED.search(data[:4096])
    if match:
        name = match.group(1).decode("ascii").lower()
        name = {"gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs"}.get(name, name)
        try:
            return data.decode(name)
        except (UnicodeDecodeError, LookupError):
            pass
    return decode(data)[0]


def _body_text(source: str) -> str:
    import lxml.html  # type: ignore[import-untyped]

    root = lxml.html.fromstring(source.encode("utf-8"), parser=lxml.html.HTMLParser(encoding="utf-8"))
    blocks: list[str] = []
    for element in root.iter():
        if not isinstance(element.tag, str) or element.tag in (
            "script",
            "style",
            "noscript",
            "template",
            "head",
            "title",
        ):
            if element.tail and element.tail.strip():
                blocks.append(element.tail)
            continue
        level = int(element.tag[1]) if re.fullmatch(r"h[1-6]", element.tag) else 0
        if element.tag in _BLOCKS:
            blocks.append("\n\n" + "#" * level + (" " if level else ""))
        if element.tag in ("td", "th"):
            blocks.append(" | ")  # a row's cells stay apart
        if element.text and not _inside_skipped(element):
            blocks.append(element.text)
        if element.tail and not _inside_skipped(element):
            blocks.append(element.tail)
    lines = [" ".join(line.split()) for line in "".join(blocks).split("\n\n")]
    return clean("\n\n".join(line for line in lines if line.strip("# ")))


_BLOCKS = frozenset(
    [
        "p",
        "div",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "li",
        "tr",
        "table",
        "ul",
        "ol",
        "section",
        "article",
        "blockquote",
        "pre",
        "br",
        "dt",
        "dd",
    ]
)


def _inside_skipped(element: object) -> bool:
    parent = element.getparent()  # type: ignore[attr-defined]
    while parent is not None:
        if parent.tag in ("script", "style", "noscript", "template", "head"):
            return True
        parent = parent.getparent()
    return False


LOADER = HtmlLoader()
