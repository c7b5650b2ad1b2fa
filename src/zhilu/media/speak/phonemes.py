"""A text in Chinese, English or both, as pieces that Kokoro can say in one breath."""

from __future__ import annotations

import re

from zhilu.media.speak.chinese import HAN, chinese_phonemes, spelled_numbers
from zhilu.media.speak.english import english_phonemes, marks

__all__ = ["MOST", "is_chinese", "pieces"]

MOST = 400  # phonemes; Kokoro takes 510
_MARKS = str.maketrans({
    "、": ", ", "，": ", ", "。": ". ", "．": ". ", "！": "! ", "？": "? ", "：": ": ", "；": "; ", "（": " (", "）": ") ",
    "《": " “", "》": "” ", "「": " “", "」": "” ", "【": " “", "】": "” ", "«": " “", "»": "” ", "·": " ", "～": "…",
})  # fmt: skip
_RUNS = re.compile(rf"[{HAN}]+|[^{HAN}]+")
_SENTENCE = re.compile(r"(?<=[。！？!?；;…\n])\s*|(?<=[.:])\s+")
_CLAUSE = re.compile(r"(?<=[，,、：])\s*|(?<=[—–])")


def is_chinese(text: str) -> bool:
    return re.search(f"[{HAN}]", text) is not None


def pieces(text: str) -> list[str]:
    """Phonemes, at most ``MOST`` a piece: sentence by sentence, a long sentence clause by clause, a longer clause at a word."""
    said = []
    for sentence in filter(str.strip, _SENTENCE.split(text)):
        whole = _phonemes(sentence)
        if len(whole) <= MOST:
            said.append(whole)
            continue
        for clause in filter(str.strip, _CLAUSE.split(sentence)):
            said += _cut(_phonemes(clause))
    return [piece for piece in _joined(said) if re.search(r"\w", piece)]


def _phonemes(sentence: str) -> str:
    if not is_chinese(sentence):
        return english_phonemes(sentence)
    runs = _RUNS.findall(spelled_numbers(sentence).translate(_MARKS))
    said = [chinese_phonemes(run) if is_chinese(run) else _between(run) for run in runs]
    return re.sub(r"\s+", " ", "".join(said)).strip()


def _between(run: str) -> str:
    """What stands between Chinese: marks, or English words set apart."""
    return f" {english_phonemes(run)} " if re.search(r"[A-Za-z]", run) else marks(run)


def _joined(said: list[str]) -> list[str]:
    """Very short pieces with the next one: Kokoro speaks a lone syllable badly."""
    found: list[str] = []
    for piece in said:
        if found and len(found[-1]) < 20 and len(found[-1]) + len(piece) < MOST:
            found[-1] += " " + piece
        else:
            found.append(piece)
    return found


def _cut(phonemes: str) -> list[str]:
    found = []
    while len(phonemes) > MOST:
        at = phonemes.rfind(" ", 0, MOST)
        at = at if at > 0 else MOST
        found.append(phonemes[:at])
        phonemes = phonemes[at:].strip()
    return [*found, phonemes]
