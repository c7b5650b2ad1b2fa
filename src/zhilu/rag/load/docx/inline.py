"""The text of one Word paragraph: its runs inside all wrappers, and what is attached to it (boxes, notes, diagrams)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Inline", "inline_text", "local", "value"]

_SKIPPED = frozenset(
    {
        "del", "moveFrom", "delText", "instrText", "delInstrText", "rPr", "pPr", "sdtPr", "sdtEndPr", "rt", "ffData",
        "proofErr", "bookmarkStart", "bookmarkEnd", "fPr", "numPr", "ctrlPr", "annotationRef",
    }
)  # fmt: skip
_CHARACTERS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_NOTES = {"footnoteReference": "footnote", "endnoteReference": "endnote", "commentReference": "comment"}
# How Office's equations are written on a line: what stands before, between and after an element's parts.
_MATH = {
    "f": ("(", ")/(", ")"),
    "sSup": ("", "^", ""),
    "sSub": ("", "_", ""),
    "sSubSup": ("", "_", ""),
    "d": ("(", ",", ")"),
    "rad": ("√(", "", ")"),
}


@dataclass
class Inline:
    """``boxes`` are the contents of text boxes; ``notes`` (kind, id); ``diagrams`` the relations of SmartArt's data."""

    text: str = ""
    boxes: list[Any] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    diagrams: list[str] = field(default_factory=list)


def local(element: Any) -> str:
    """The element's name without its namespace; empty for comments and processing instructions."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def value(element: Any, name: str) -> str:
    """The attribute ``name`` in whatever namespace; empty if there is none."""
    for key, given in element.attrib.items():
        if key.rpartition("}")[2] == name:
            return str(given)
    return ""


def inline_text(paragraph: Any) -> Inline:
    """Everything that a reader of the paragraph sees."""
    found = Inline()
    parts: list[str] = []
    _walk(paragraph, parts, found)
    found.text = "".join(parts)
    return found


def _walk(parent: Any, parts: list[str], found: Inline) -> None:
    for element in parent:
        name = local(element)
        if not name or name in _SKIPPED:
            if name == "ffData":
                parts.append(_form_value(element))
        elif name == "t":
            parts.append(element.text or "")
        elif name in _CHARACTERS:
            parts.append(_CHARACTERS[name])
        elif name == "sym":
            parts.append(_symbol(element))
        elif name in _NOTES:
            found.notes.append((_NOTES[name], value(element, "id")))
            if name != "commentReference":
                parts.append(f"[^{value(element, 'id')}]")
        elif name == "txbxContent":
            found.boxes.append(element)
        elif name == "relIds":
            found.diagrams.append(value(element, "dm"))
        elif name == "AlternateContent":
            _alternative(element, parts, found)
        elif name in _MATH:
            _math(element, name, parts, found)
        else:
            _walk(element, parts, found)


def _alternative(element: Any, parts: list[str], found: Inline) -> None:
    """The first form of a drawing that says anything."""
    for choice in element:
        inner = Inline()
        pieces: list[str] = []
        _walk(choice, pieces, inner)
        if "".join(pieces).strip() or inner.boxes or inner.diagrams or inner.notes:
            parts += pieces
            found.boxes += inner.boxes
            found.notes += inner.notes
            found.diagrams += inner.diagrams
            return


def _math(element: Any, name: str, parts: list[str], found: Inline) -> None:
    before, between, after = _MATH[name]
    pieces = []
    for part in element:
        if local(part) in ("fPr", "sSupPr", "sSubPr", "sSubSupPr", "dPr", "radPr"):
            continue
        inner: list[str] = []
        _walk(part, inner, found)
        if "".join(inner).strip():
            pieces.append("".join(inner))
    if name == "sSubSup" and len(pieces) == 3:
        parts.append(f"{pieces[0]}_{pieces[1]}^{pieces[2]}")
    else:
        parts += [before, between.join(pieces), after]


def _symbol(element: Any) -> str:
    """A character by its number; those of a symbol font (private use area) are only bullets to a reader of text."""
    try:
        number = int(value(element, "char"), 16)
    except ValueError:
        return ""
    return "•" if 0xE000 <= number <= 0xF8FF else chr(number) if 0 < number < 0x110000 else ""


def _form_value(element: Any) -> str:
    """What a legacy form field shows: the chosen entry of a list, the state of a box. Text fields come as runs."""
    for field_ in element.iter():
        if local(field_) == "ddList":
            entries = [value(e, "val") for e in field_ if local(e) == "listEntry"]
            chosen = next((value(e, "val") for e in field_ if local(e) in ("result", "default")), "0")
            return entries[int(chosen)] if chosen.isdecimal() and int(chosen) < len(entries) else ""
        if local(field_) == "checkBox":
            states = {local(e): value(e, "val") or "1" for e in field_}
            return "☒" if states.get("checked", states.get("default", "0")) in ("1", "true", "on") else "☐"
    return ""
