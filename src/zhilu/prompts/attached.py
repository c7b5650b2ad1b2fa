"""A question about files that a person attached to it."""

from __future__ import annotations

from collections.abc import Sequence

from zhilu.messages import T
from zhilu.prompts.message import Lang, language_of

__all__ = ["attached_message"]

_FILE = T(en="File {name}{part}:", zh="文件 {name}{part}：")
_PART = T(en=" (parts of it)", zh="（节选）")
_GAP = "[…]"


def attached_message(question: str, files: Sequence[tuple[str, Sequence[str], bool]], lang: Lang | None = None) -> str:
    """The question with the files before it. ``files``: name, pieces in their order, whether that is all of it.

    What stands in a file is shown between fences that it cannot close."""
    lang = lang or language_of(question)
    shown = []
    for name, pieces, is_whole in files:
        text = (f"\n{_GAP}\n" if not is_whole else "\n").join(pieces)
        fence = "`" * max(3, _longest_run(text) + 1)
        head = _FILE.say(lang).format(name=name, part="" if is_whole else _PART.say(lang))
        shown.append(f"{head}\n{fence}\n{text}\n{fence}")
    return "\n\n".join([*shown, question])


def _longest_run(text: str) -> int:
    longest = run = 0
    for letter in text:
        run = run + 1 if letter == "`" else 0
        longest = max(longest, run)
    return longest
