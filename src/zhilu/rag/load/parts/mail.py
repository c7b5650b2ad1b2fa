"""E-mail (.eml): who wrote what to whom and when, the text, and the names of what is attached."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage, MIMEPart
from pathlib import Path

from zhilu.messages import T
from zhilu.rag.load.base import Heading, Limits, Loaded, LoaderFacts, TextBuilder, nothing_to_read
from zhilu.rag.load.decode import clean, decode
from zhilu.rag.load.html import page_text

__all__ = ["LOADER", "MailLoader"]

_DEPTH = 20  # a mail within a mail


class MailLoader:
    facts = LoaderFacts(
        "mail", T(en="E-mail", zh="电子邮件"), "message/rfc822", (".eml",), ("trafilatura", "lxml.html")
    )

    def load(self, path: Path, limits: Limits) -> Loaded:
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        out = TextBuilder()
        assert isinstance(message, EmailMessage)
        _write(message, out, 0)
        if not out.length:
            raise nothing_to_read(("mail", "邮件"))
        return out.loaded(self.facts.mime)


def _write(message: EmailMessage, out: TextBuilder, depth: int) -> None:
    if subject := _header(message, "Subject"):
        out.add(subject, level=min(depth + 1, 6))
    lines = [f"{name}: {text}" for name in ("From", "To", "Cc", "Date") if (text := _header(message, name))]
    out.add("\n".join(lines))
    body = message.get_body(("plain", "html"))
    if body is not None:
        start = out.length + 2 if out.length else 0
        text, headings = _text(body)
        out.add(text)
        out.outline += [Heading(h.level, h.title, h.start + start) for h in headings]
    names = []
    for part in message.iter_attachments():
        inside = part.get_payload() if part.get_content_type() == "message/rfc822" else None
        if isinstance(inside, list) and inside and isinstance(inside[0], EmailMessage) and depth < _DEPTH:
            _write(inside[0], out, depth + 1)
        elif name := part.get_filename():
            names.append(clean(str(name)))
    if names:
        out.add("Attachments: " + ", ".join(names))


def _text(body: MIMEPart) -> tuple[str, tuple[Heading, ...]]:
    data = body.get_payload(decode=True)
    if not isinstance(data, bytes) or not data.strip():
        return "", ()
    text = _decoded(data, body.get_content_charset())
    if body.get_content_subtype() == "html":
        found, headings = page_text(text.encode(), whole=True)
        return found, headings
    return text.strip("\n"), ()


def _decoded(data: bytes, charset: str | None) -> str:
    """As the mail says; a mail that says what is not so is decoded by its bytes."""
    if charset:
        name = {"gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs"}.get(charset.lower(), charset)
        try:
            return clean(data.decode(name))
        except (UnicodeDecodeError, LookupError):
            pass
    return clean(decode(data)[0])


def _header(message: EmailMessage, name: str) -> str:
    try:
        return clean(" ".join(str(message.get(name, "")).split()))
    except (ValueError, IndexError, AttributeError):  # a header that Python's parser trips over
        return ""


LOADER = MailLoader()
