"""Bytes to text: Unicode first, then the encodings in which East Asian files are really found, then detection.

Statistical detectors are weak on short Chinese files, so GB18030 and Big5 are told apart by how many characters are everyday
ones. Both standards put the frequent characters (GB 2312 level 1, Big5 level 1) in one range of lead bytes, and a file read with
the wrong one of the two falls out of that range. Japanese and Korean are tried first, because most of their bytes look like
everyday Chinese to GB18030. Japanese cannot be written without kana, which have the same place in both standards. Korean is
nearly all hangul between spaces, whereas half of Chinese read as Korean is rare characters.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from itertools import pairwise

from zhilu.errors import InputError
from zhilu.messages import T

__all__ = ["clean", "decode"]

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Letters beside a to z of languages whose files share the same bytes; what no language has all of is the wrong encoding.
_LETTERS = (
    "ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîșşțţ", "čćđšž", "áéëíóúñü", "äöüß", "àâæçéèêëîïôœùûüÿ",
    "ãáàâçéêíõóôúü", "àèéìíîòóùú", "åäöæøéü", "áæðéíóöúýþ", "çğıİöşüâî",
)  # fmt: skip
_SEPARATORS = frozenset(" \n\r\t.,。，、")
_SAMPLE = 200_000  # bytes looked at by the detectors; decoding itself always reads everything
_SIGN_IN_WORD = re.compile(r"[^\W\d_][\u00a1-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u02c7\u02d8-\u02dd][^\W\d_]")
_KEEP = frozenset("\n\t\u200d\u200c")  # control and format characters that carry meaning


def decode(data: bytes, *, is_whole: bool = True) -> tuple[str, str]:
    """``(text, encoding)`` of a text file, or of its beginning: a character that the end cuts in two then counts as none.

    Raises:
        InputError: the bytes are no text in any encoding known here (code ``not_text``).
    """
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return _or_refuse(_try(data, encoding, is_whole), encoding)
    if (unmarked := _unmarked_utf16(data[:_SAMPLE])) is not None:
        return _or_refuse(_try(data, unmarked, is_whole), unmarked)
    text = _try(data, "utf-8", is_whole)
    if text is not None and not (_is_marks_alone(text[:_SAMPLE]) and _chinese_encoding(data[:_SAMPLE])):
        return _or_refuse(text, "utf-8")
    if _has_binary_bytes(data[:_SAMPLE]):
        raise _not_text()
    sample = data[:_SAMPLE]
    name = _japanese_or_korean(sample) or _european(sample) or _chinese_encoding(sample) or _detected(sample)
    if name is None:
        raise _not_text()
    return _or_refuse(_try(data, name, is_whole), name)


def clean(text: str) -> str:
    """Line ends as ``\\n``; no NUL, lone surrogate, byte-order mark or control character; canonical composition."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x0c", "\n").replace("\xa0", " ")
    if not text.isascii() or not text.isprintable():
        text = "".join(c for c in text if c in _KEEP or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Cn"))
    return unicodedata.normalize("NFC", text)


def _try(data: bytes, encoding: str, is_whole: bool) -> str | None:
    try:
        return codecs.getincrementaldecoder(encoding)().decode(data, final=is_whole)
    except (UnicodeDecodeError, LookupError):
        return None


def _or_refuse(text: str | None, encoding: str) -> tuple[str, str]:
    if text is None or _looks_binary(text[:_SAMPLE]):
        raise _not_text()
    return clean(text), encoding


def _looks_binary(text: str) -> bool:
    odd = sum(1 for c in text if (c < " " and c not in "\t\n\r\x0c\x1b") or c == "\ufffd")
    return odd > 0.01 * len(text)


def _is_marks_alone(text: str) -> bool:
    """Accents and points with hardly a letter to stand on: Chinese whose bytes are also valid UTF-8 (知 and U+05AA are D6 AA)."""
    kinds = [unicodedata.category(c)[0] for c in text if c >= "\u0080"]
    return kinds.count("M") > kinds.count("L")


def _has_binary_bytes(sample: bytes) -> bool:
    return sum(b < 9 or 13 < b < 27 for b in sample) > 0.005 * len(sample)


def _unmarked_utf16(sample: bytes) -> str | None:
    """``utf-16-le`` or ``utf-16-be`` for a file without a byte-order mark. Its line ends and spaces have a byte of 0 on one
    side, and read so it holds characters of everyday scripts; read the other way round it is scattered over all of them."""
    if b"\0" not in sample:
        return None
    best: tuple[float, str] = (0.0, "")
    for encoding in ("utf-16-le", "utf-16-be"):
        text = _try(sample, encoding, False)
        # writing has spaces, line ends or stops; bytes that only happen to fall among letters do not
        if text and "\0" not in text and sum(c in _SEPARATORS for c in text) >= 0.02 * len(text):
            best = max(best, (sum(map(_is_everyday, text)) / len(text), encoding))
    return best[1] if best[0] >= 0.95 else None


def _is_everyday(c: str) -> bool:
    """Of the scripts that documents are written in: Latin to Hebrew, punctuation, kana, Han, hangul."""
    return (
        c.isspace() or " " <= c <= "\u05ff" or "\u2010" <= c <= "\u203f" or "\u3000" <= c <= "\u30ff"
        or "\u4e00" <= c <= "\u9fff" or "\uac00" <= c <= "\ud7a3" or "\uff01" <= c <= "\uff5e"
    )  # fmt: skip


def _japanese_or_korean(sample: bytes) -> str | None:
    for encoding in ("euc_jp", "cp932"):
        wide = [c for c in _try(sample, encoding, False) or "" if c >= "\u0080"]
        kana = sum("\u3041" <= c <= "\u30fe" for c in wide)
        if wide and kana >= 0.15 * len(wide) and sum(map(_is_everyday, wide)) >= 0.95 * len(wide):
            return encoding
    text = _try(sample, "cp949", False) or ""
    letters = [c for c in text if "\uac00" <= c <= "\ud7a3" or "\u4e00" <= c <= "\u9fff"]
    hangul = sum(c >= "\uac00" for c in letters)
    if hangul >= 10 and hangul >= 0.95 * len(letters) and text.count(" ") >= 0.1 * hangul:
        return "cp949"
    return None


def _chinese_encoding(sample: bytes) -> str | None:
    """``gb18030`` or ``big5hkscs`` if the sample reads as everyday Chinese in it, else None."""
    best: tuple[float, str] = (0.0, "")
    for encoding, low, high in (("gb18030", 0xB0, 0xD7), ("big5hkscs", 0xA4, 0xC6)):
        text = _try(sample, encoding, is_whole=False)  # the sample's end may cut a character
        if text is None:
            continue
        wide = [c for c in text if ord(c) >= 0x80]
        han = [c for c in wide if "\u4e00" <= c <= "\u9fff"]
        if not wide or len(han) < 0.5 * len(wide):  # none: all there is, is half a character
            continue
        common = sum(low <= c.encode(encoding)[0] <= high and len(c.encode(encoding)) == 2 for c in han)
        best = max(best, (common / len(wide), encoding))
    return best[1] if best[0] >= 0.5 else None


def _detected(sample: bytes) -> str | None:
    from charset_normalizer import from_bytes

    found = from_bytes(sample)
    best = found.best()
    if best is None or best.chaos >= 0.2:
        return None
    # Western Europe's code page is the likeliest of those that explain the bytes about as well
    western = next((m for m in found if m.encoding == "cp1252" and m.chaos <= best.chaos + 0.1), None)
    return (western or best).encoding


def _european(data: bytes) -> str | None:
    """Which of the Latin code pages makes all accented letters those of one language; None if none does, or if the text is not
    mostly in plain Latin letters. Where several do, the letters are the same in them, and Western Europe's is named."""
    runs = re.findall(rb"[\x80-\xff]+", data)
    # two bytes a character come in pairs, accented letters mostly alone
    if not runs or sum(len(run) == 1 for run in runs) < 0.5 * len(runs):
        return None
    for encoding in ("cp1252", "iso8859_2", "cp1250", "iso8859_15"):
        text = _try(data, encoding, False)
        if text is None:
            continue
        accented = [c for c in text.lower() if c.isalpha() and not c.isascii()]
        if not accented or 2 * len(accented) > sum(c.isalpha() for c in text):
            continue
        # C1 controls and signs between letters are letters of another code page
        if any("\x80" <= c <= "\x9f" for c in text) or _SIGN_IN_WORD.search(text):
            continue
        if any(c.isupper() and before.islower() and not (before + c).isascii() for before, c in pairwise(text)):
            continue  # no capital stands within a word
        best = max(sum(c in letters for c in accented) for letters in _LETTERS)
        if best == len(accented):
            return encoding
    return None


def _not_text() -> InputError:
    return InputError(
        T(
            en="This is not a text file: its bytes are no text in any known encoding. If its letters are shown "
            "right in an editor, save it as UTF-8 there.",
            zh="这不是文本文件：它的字节不符合任何已知编码。如果编辑器里显示正常，请在编辑器中另存为 UTF-8。",
        ),
        code="not_text",
    )
