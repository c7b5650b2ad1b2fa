"""English text to Kokoro's phonemes: misaki's dictionaries, its rules for endings, and espeak-ng for what they do not know.

Only the dictionaries of misaki are read (Apache-2.0, 180,000 words with stress), not its parser, which asks for spaCy. Where
espeak-ng is not installed, an unknown word is read by its parts or spelled.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from importlib.resources import files

from zhilu.media.speak.espeak import word_phonemes
from zhilu.media.speak.numbers import in_words

__all__ = ["english_phonemes", "marks"]

_WORD = re.compile(r"[A-Za-z]+(?:['’][A-Za-z]+)*|[^A-Za-z]+")
_VOWELS = "AIOQWYaeiouæɑɒɔəɛɜɪʊʌᵻɐ"
_TAUS = "AIOWYiuæɑəɛɪɹʊʌ"  # sounds after which an American t is tapped
# Said without stress inside a sentence.
_WEAK = {"a": "ɐ", "an": "ən", "and": "ænd", "the": "ðə", "to": "tə", "of": "ʌv", "i": "ˌI"}


def english_phonemes(text: str) -> str:
    """Phonemes of ``text`` with its punctuation, words apart."""
    said = []
    pieces = _WORD.findall(in_words(text))
    for number, piece in enumerate(pieces):
        if not piece[0].isalpha():
            said.append(marks(piece))
            continue
        after = next((p for p in pieces[number + 1 :] if p[0].isalpha()), "")
        said.append(_in_sentence(piece.replace("’", "'"), after))
    return "".join(said).strip()


def _in_sentence(word: str, after: str) -> str:
    low = word.lower()
    if low not in _WEAK or (len(word) > 1 and word.isupper()):
        return _word(word)
    if low in ("the", "to") and after and _word(after).lstrip("ˈˌ")[:1] in _VOWELS:
        return "ði" if low == "the" else "tʊ"
    return _WEAK[low]


def _word(word: str) -> str:
    """One word; never empty."""
    found = _known(word) or _with_ending(word)
    if found:
        return found
    if len(word) > 1 and word.isupper() and len(word) <= 5:
        return _spelled(word)
    return word_phonemes(word) or _in_parts(word) or _spelled(word)


def _known(word: str) -> str | None:
    for lexicon in _lexicons():
        for form in (word, word.lower(), word.capitalize()):
            entry = lexicon.get(form)
            if entry:
                said = entry if isinstance(entry, str) else entry.get("DEFAULT")
                if said:
                    return said
    return None


def _with_ending(word: str) -> str | None:
    """A known word with -s, -ed or -ing, as misaki joins them."""
    low = word.lower()
    if low.endswith("s") and not low.endswith("ss"):
        for stem in (
            low[:-1].rstrip("'"),
            low[:-2] if low.endswith("es") else "",
            low[:-3] + "y" if low.endswith("ies") else "",
        ):
            if len(stem) > 1 and (said := _known(stem if not word[:-1].isupper() else word[:-1])):
                return said + ("s" if said[-1] in "ptkfθ" else "ᵻz" if said[-1] in "szʃʒʧʤ" else "z")
        if len(word) > 2 and word[:-1].isupper():  # GPUs
            return _spelled(word[:-1]) + "z"
    if low.endswith("ed"):
        for stem in (low[:-1], low[:-2], low[:-3] if low[-3:-2] == low[-4:-3] else ""):
            if len(stem) > 2 and (said := _known(stem)):
                if said[-1] == "t" and said[-2:-1] in _TAUS:
                    return said[:-1] + "ɾᵻd"
                return said + ("t" if said[-1] in "pkfθʃsʧ" else "ᵻd" if said[-1] in "dt" else "d")
    if low.endswith("ing"):
        for stem in (low[:-3], low[:-3] + "e", low[:-4] if low[-4:-3] == low[-5:-4] else ""):
            if len(stem) > 1 and (said := _known(stem)):
                return (said[:-1] + "ɾɪŋ") if said[-1] == "t" and said[-2:-1] in _TAUS else said + "ɪŋ"
    return None


def _in_parts(word: str) -> str | None:
    """Two known words in one (``workbench``): the longest first part of at least three letters."""
    for cut in range(len(word) - 3, 2, -1):
        first, second = _known(word[:cut]), _known(word[cut:]) or _with_ending(word[cut:])
        if first and second:
            return first + second.replace("ˈ", "ˌ")
    return None


def _spelled(word: str) -> str:
    letters = [str(_lexicons()[0][letter.upper()]) for letter in word if letter.isascii() and letter.isalpha()]
    return "".join(letter.replace("ˈ", "ˌ") for letter in letters[:-1]) + letters[-1] if letters else ""


def marks(text: str) -> str:
    """Punctuation that Kokoro knows; every other sign is a pause between words."""
    kept = "".join(c if c in ';:,.!?—…"()“” ' else " " for c in text.replace("\n", ", "))
    return re.sub(r"\s+", " ", kept)


@lru_cache(maxsize=1)
def _lexicons() -> tuple[dict[str, str | dict[str, str]], ...]:
    data = files("misaki.data")
    return tuple(json.loads((data / f"us_{name}.json").read_text(encoding="utf-8")) for name in ("gold", "silver"))
