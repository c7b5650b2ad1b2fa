"""Reading the training data: clean, decontaminated, split. The folder is a parameter; nothing here knows a fixed path.

A data folder holds ``text/{zh,en}-NN.jsonl.zst``, ``qa/``, ``rewrite/``, ``tools/`` and ``dev/`` (measured on, never trained on).
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from zhilu.errors import SettingsError
from zhilu.messages import T

__all__ = [
    "Context",
    "DevGuard",
    "Question",
    "data_folder",
    "group_contexts",
    "is_clean",
    "is_held_out",
    "paragraphs",
    "read_jsonl",
    "texts",
]

_MOJIBAKE = re.compile("\ufffd|锟斤拷|烫烫烫|Ã[\x80-\xbf]|â€|ï¼|[\ue000-\uf8ff]|[\x80-\x9f]")
_MARKUP = re.compile(r"[|{}<>\\`]|https?://|\]\(|^\s*(?:#|[-*+] |\d+\. |!|>|:)")


def data_folder(path: str | os.PathLike[str] | None = None) -> Path:
    """The data folder: ``path``, else ``$ZHILU_DATA``. Raises SettingsError where neither names a folder."""
    given = path or os.environ.get("ZHILU_DATA")
    if not given or not Path(given).is_dir():
        raise SettingsError(
            T(en=f"No training data: {given!r} is not a folder.", zh=f"没有训练数据：{given!r} 不是文件夹。"),
            param="data",
            fix="export ZHILU_DATA=PATH_TO_DATA",
        )
    return Path(given)


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Records of a ``.jsonl.zst`` file, split on ``\\n`` only: texts may hold U+2028, which ``splitlines`` breaks at."""
    import zstandard

    with path.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as plain:
        for line in io.TextIOWrapper(plain, encoding="utf-8", newline="\n"):
            if line.strip():
                yield json.loads(line)


def is_clean(text: str) -> bool:
    """False where the text shows wrongly decoded bytes, private-use characters or C1 controls."""
    return not _MOJIBAKE.search(text)


def is_held_out(context: str, percent: int = 4) -> bool:
    """True for the share of contexts that this project keeps as its own test split (by hash: stable across runs)."""
    return hashlib.sha1(context.encode()).digest()[0] * 100 < percent * 256


class DevGuard:
    """Knows every run of characters of ``dev/`` and tells whether a text shares one.

    Letters and digits only, lower case. A shared run of 1.5 times ``SIZE`` is always found (texts are sampled every half run).
    """

    SIZE: ClassVar[dict[str, int]] = {"en": 36, "zh": 14}

    def __init__(self, folder: Path) -> None:
        self._seen: dict[str, set[int]] = {lang: set() for lang in self.SIZE}
        for path in sorted((folder / "dev").glob("*.jsonl.zst")):
            for record in read_jsonl(path):
                self.add(record["context"], record["lang"])
                self.add(record["question"], record["lang"])

    def add(self, text: str, lang: str) -> None:
        """Remember every run of ``text``."""
        plain, size = _letters(text), self.SIZE[lang]
        self._seen[lang].update(hash(plain[i : i + size]) for i in range(len(plain) - size + 1))

    def leaks(self, text: str, lang: str) -> bool:
        """True if ``text`` shares a run with the development set."""
        plain, size, seen = _letters(text), self.SIZE[lang], self._seen[lang]
        return any(hash(plain[i : i + size]) in seen for i in range(0, len(plain) - size + 1, size // 2))


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())


def texts(folder: Path, lang: str, max_chars: int, guard: DevGuard) -> Iterator[str]:
    """Clean plain-text documents of one language, at most ``max_chars`` in all, taken evenly from every file."""
    files = sorted((folder / "text").glob(f"{lang}-*.jsonl.zst"))
    for path in files:
        left = max_chars // len(files)
        for record in read_jsonl(path):
            text = record["text"]
            if is_clean(text) and not guard.leaks(text, lang):
                yield text[:left]
                left -= len(text)
            if left <= 0:
                break


def paragraphs(document: str, lang: str) -> Iterator[str]:
    """Prose paragraphs: no markup or code, 50-400 Chinese characters or 150-1,400 English ones."""
    low, high = (50, 400) if lang == "zh" else (150, 1400)
    for line in document.split("\n"):
        line = line.strip()
        prose = low <= len(line) <= high and not _MARKUP.search(line) and line[-1] in '.。!！?？”"'
        if prose and (lang == "en" or sum("\u4e00" <= c <= "\u9fff" for c in line) * 2 > len(line)):
            yield line


@dataclass(frozen=True)
class Question:
    """A question and its answer's place in the context; ``start`` is -1 where the context does not hold it."""

    text: str
    answer: str
    start: int


@dataclass
class Context:
    """One passage with all the questions put to it."""

    text: str
    lang: str
    questions: list[Question] = field(default_factory=list)


def group_contexts(folder: Path, guard: DevGuard, held_out: bool = False) -> list[Context]:
    """The QA sets grouped by context: the training part, or (``held_out``) the project's own test part.

    The shortest annotated answer is taken: the product shows a span, and a short one is the surest to be copied whole.
    """
    found: dict[str, Context] = {}
    for path in sorted((folder / "qa").glob("*.jsonl.zst")):
        if "yesno" in path.name:  # answers that no passage contains cannot be copied
            continue
        for record in read_jsonl(path):
            text, lang = record["context"], record["lang"]
            if is_held_out(text) != held_out or not is_clean(text):
                continue
            if text not in found:
                if guard.leaks(text, lang):
                    continue
                found[text] = Context(text, lang)
            if guard.leaks(record["question"], lang):
                continue
            placed = [a for a in record["answers"] if a["start"] >= 0 and text.startswith(a["text"], a["start"])]
            answer = min(placed, key=lambda a: len(a["text"]), default=None)
            if answer and answer["text"].strip():
                found[text].questions.append(Question(record["question"], answer["text"], answer["start"]))
            elif not record["answerable"]:
                found[text].questions.append(Question(record["question"], "", -1))
    return [context for context in found.values() if context.questions]
