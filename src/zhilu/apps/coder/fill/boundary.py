"""Where a completion ends: the model often goes on with the next function, or with what stands behind the cursor already."""

from __future__ import annotations

__all__ = ["cut", "is_single_line"]

_OPENERS = (":", "{", "(", "[", "=>")
_CLOSERS = ("}", ")", "]")
_MOST_LINES = 40


def is_single_line(suffix: str) -> bool:
    """The cursor stands in the middle of a line: only that line is completed. Closing brackets behind it count for nothing."""
    return bool(suffix.split("\n", 1)[0].strip(" \t)]};,:'\""))


def cut(text: str, prefix: str, suffix: str) -> tuple[str, bool]:
    """The completion up to its boundary, and whether one was reached: more of the model's text would change nothing.

    It ends at the end of the line where ``is_single_line``; before a line that is indented less than the block that the cursor
    is in; before a line that stands right behind the cursor already; and after ``_MOST_LINES``.
    """
    if is_single_line(suffix):
        first, is_ended, _ = text.partition("\n")
        return first, bool(is_ended)
    above, _, here = prefix.rpartition("\n")
    floor = _floor(here, above)
    coming = _first_line(suffix)
    kept: list[str] = []
    lines = text.split("\n")
    for number, line in enumerate(lines):
        is_whole = number < len(lines) - 1
        bare = line.strip()
        if number and bare and is_whole and coming and bare == coming:
            return _joined(kept), True
        if number and bare and _indent(line) < floor and (is_whole or len(bare) > 0):
            if (
                bare[0] in _CLOSERS
                and _indent(line) == floor - 1
                and here.rstrip().endswith(("{", "(", "["))
                and bare != coming
            ):
                return _joined([*kept, line]), True
            return _joined(kept), True
        if not here.strip() and not floor and line.startswith(_HEADS) and any(k.startswith(_HEADS) for k in kept):
            return _joined(kept), True  # a second definition
        if len(kept) == _MOST_LINES:
            return _joined(kept), True
        kept.append(line)
    return text, False


def _floor(here: str, above: str) -> int:
    """The least indentation of further lines of the block."""
    if not here.strip():
        last = next((line for line in reversed(above.split("\n")) if line.strip()), "")
        opened = _indent(last) + 1 if last.rstrip().endswith(_OPENERS) else 0
        return max(len(here.expandtabs(4)), opened)
    # A line that opens a block is followed by deeper ones; else by lines like itself.
    return _indent(here) + 1 if here.rstrip().endswith(_OPENERS) or here.lstrip().startswith(_HEADS) else _indent(here)


_HEADS = ("def ", "async def ", "class ", "function ", "if ", "for ", "while ", "func ")


def _indent(line: str) -> int:
    wide = line.expandtabs(4)
    return len(wide) - len(wide.lstrip(" "))


def _first_line(suffix: str) -> str:
    return next((line.strip() for line in suffix.split("\n") if len(line.strip()) > 3), "")


def _joined(lines: list[str]) -> str:
    """Without the blank lines before a boundary."""
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    return "\n".join(lines)
