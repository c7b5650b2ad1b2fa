"""Which format a file has, recognised from its first bytes. The name only decides between Markdown and plain text.

This runs in the gateway before a file is accepted, so it looks only at a bounded beginning, and at each character a bounded
number of times. Anything that needs the whole file is left to the loader in its limited process.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path, PurePath

from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.rag.load.admission import check_archive
from zhilu.rag.load.base import Limits, nothing_to_read
from zhilu.rag.load.code import SUFFIXES as CODE
from zhilu.rag.load.decode import decode

__all__ = ["sniff"]

_HTML = re.compile(r"<(?:!doctype[ \t\n]+html|html|head|body)\b", re.IGNORECASE)
_MARKDOWN = re.compile(
    r"^(?:#{1,6} \S|```|~~~|[ \t]*[-*+] \[[ x]\] |\|(?:[ \t]*:?-+:?[ \t]*\|)+[ \t]*$|\[[^\]\n]+\]: \S)", re.MULTILINE
)
_HEADER = re.compile(r"^([A-Za-z][A-Za-z-]{1,40}):", re.MULTILINE)
_HEAD = 64 * 1024
_IMAGE = re.compile(rb"\x89PNG|\xff\xd8\xff|GIF8[79]a|II\*\0|MM\0\*|RIFF....WEBP|BM....\0\0\0\0", re.DOTALL)
# Formats people do drop here, each named in the refusal with what to do instead.
_FOREIGN: tuple[tuple[bytes, int, T], ...] = (
    (b"\xd0\xcf\x11\xe0", 0, T("an old or password-protected Office file; save it as DOCX without a password",
                               "旧版或加密的 Office 文件；请另存为不带密码的 DOCX")),
    (b"{\\rtf", 0, T("an RTF file; save it as DOCX", "RTF 文件；请另存为 DOCX")),
    (b"\x1f\x8b", 0, T("a gzip archive; unpack it and add the files", "gzip 压缩包；请解压后添加文件")),
    (b"7z\xbc\xaf", 0, T("a 7z archive; unpack it and add the files", "7z 压缩包；请解压后添加文件")),
    (b"Rar!", 0, T("a RAR archive; unpack it and add the files", "RAR 压缩包；请解压后添加文件")),
    (b"\x7fELF", 0, T("a program", "可执行程序")),
    (b"MZ", 0, T("a program", "可执行程序")),
    (b"ftyp", 4, T("a video or audio file", "音视频文件")),
    (b"ID3", 0, T("an audio file", "音频文件")),
)  # fmt: skip


def sniff(path: Path, name: str, limits: Limits) -> str:
    """The loader's name for this file: ``pdf``, ``docx``, ``pptx``, ``sheets``, ``epub``, ``mail``, ``html``, ``csv``, ``json``,
    ``image``, ``code``, ``markdown`` or ``text``. Between the kinds of plain text, its name decides.

    Raises:
        InputError: empty, an unsupported format (named), an archive bomb, or no text in any known encoding.
    """
    size = path.stat().st_size
    if size == 0:
        raise InputError(T(en="This file is empty (0 bytes).", zh="这个文件是空的（0 字节）。"), code="empty_file")
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _sniff_zip(path, limits)
    if _IMAGE.match(head):
        return "image"
    for magic, offset, what in _FOREIGN:
        # "MZ" also begins English words, so a program must hold a NUL as well
        if head[offset:].startswith(magic) and (magic != b"MZ" or b"\0" in head[:512]):
            raise _unsupported(what)
    if not head.strip() and size <= _HEAD:
        raise nothing_to_read()
    text = decode(head, is_whole=size <= _HEAD)[0][:20_000]
    suffix = PurePath(name).suffix.lower()
    if _is_mail(text, suffix):
        return "mail"
    if _is_html(text) and suffix not in CODE:
        return "html"
    if suffix in (".csv", ".tsv"):
        return "csv"
    if suffix in (".json", ".jsonl", ".ndjson", ".geojson") and text.lstrip()[:1] in ("{", "["):
        return "json"
    if suffix in CODE:
        return "code"
    if suffix in (".md", ".markdown", ".mdx"):
        return "markdown"
    return "markdown" if suffix not in (".txt", ".csv", ".log") and len(_MARKDOWN.findall(text)) >= 2 else "text"


def _is_mail(text: str, suffix: str) -> bool:
    """True if it begins with the headers of a mail; where the name does not say so, with those that only mail has."""
    head = text[:8_000].lstrip().partition("\n\n")[0]
    names = {match.group(1).lower() for match in _HEADER.finditer(head)}
    if not head or _HEADER.match(head) is None or "from" not in names:
        return False
    return suffix == ".eml" or bool(names & {"received", "message-id", "mime-version"} and "subject" in names)


def _is_html(text: str) -> bool:
    """True if the first tag, behind an XML declaration and comments, is one that a page begins with."""
    at = _skip_space(text, 0)
    if text.startswith("<?xml", at):
        at = _skip_space(text, text.find("?>", at) + 2)
    while text.startswith("<!--", at):
        end = text.find("-->", at + 4)
        if end < 0:
            return False
        at = _skip_space(text, end + 3)
    return _HTML.match(text, at) is not None


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _sniff_zip(path: Path, limits: Limits) -> str:
    check_archive(path, limits)
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        kind = archive.read("mimetype")[:100] if "mimetype" in names else b""
    if "word/document.xml" in names:
        return "docx"
    if "ppt/presentation.xml" in names:
        return "pptx"
    if names & {"xl/workbook.xml", "xl/workbook.bin"} or kind.startswith(
        b"application/vnd.oasis.opendocument.spreadsheet"
    ):
        return "sheets"
    if "META-INF/container.xml" in names and (kind.startswith(b"application/epub") or not kind):
        return "epub"
    if kind.startswith(b"application/vnd.oasis.opendocument"):
        raise _unsupported(
            T("an OpenDocument file; save it as DOCX or PPTX", "OpenDocument 文件；请另存为 DOCX 或 PPTX")
        )
    raise _unsupported(
        T("a ZIP archive within another; unpack it and add the files", "压缩包中的压缩包；请解压后添加文件")
    )


def _unsupported(what: T) -> InputError:
    return InputError(
        T(
            en=f"This file is {what.en}. Zhilu reads PDF, Word, PowerPoint, spreadsheets, "
            "EPUB, e-mail, HTML, Markdown, CSV, JSON, source code, text files and pictures.",
            zh=f"这个文件是{what.zh}。指路可读取 PDF、Word、PowerPoint、电子表格、EPUB、电子邮件、HTML、"
            "Markdown、CSV、JSON、源代码、文本文件和图片。",
        ),
        code="unsupported_format",
    )
