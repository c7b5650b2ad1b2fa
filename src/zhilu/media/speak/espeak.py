"""espeak-ng, where it is installed: the phonemes of an English word that no dictionary has, and a voice where Kokoro is not here.

espeak-ng is under the GPL. It is a program of its own: called, never linked, never shipped.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import wave
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["NAME", "espeak_samples", "has_espeak", "word_phonemes"]

NAME = "espeak-ng"
_WORDS_A_MINUTE = 170
_SECONDS = 60
# Its IPA (with ties) in Kokoro's letters; after misaki's table.
_KOKORO = (
    ("ʔˌn\u0329", "ʔn"), ("ʔn\u0329", "ʔn"), ("ə͡l", "ᵊl"), ("a͡ɪ", "I"), ("a͡ʊ", "W"), ("d͡ʒ", "ʤ"), ("e͡ɪ", "A"),
    ("t͡ʃ", "ʧ"), ("ɔ͡ɪ", "Y"), ("o͡ʊ", "O"), ("ɚ", "əɹ"), ("ʲo", "jo"), ("ʲə", "jə"), ("ʲ", ""), ("e", "A"), ("r", "ɹ"),
    ("x", "k"), ("ç", "k"), ("ɐ", "ə"), ("ɬ", "l"), ("\u0303", ""), ("ɜːɹ", "ɜɹ"), ("ɜː", "ɜɹ"), ("ɪə", "iə"), ("ː", ""),
    ("o", "ɔ"), ("ɾ", "ɾ"), ("ʔ", "t"),
)  # fmt: skip

# What Kokoro has letters for; espeak-ng knows more sounds (clicks, tones, other languages').
_LETTERS = frozenset(" AIOQSTWYᵊabcdefhijklmnopqrstuvwxyzɑɐɒæβɔɕçɖðʤəɚɛɜɟɡɥɨɪʝɯɰŋɳɲɴøɸθœɹɾɻʁɽʂʃʈʧʊʋʌɣɤχʎʒʔˈˌːʰʲᵻ")


def has_espeak() -> bool:
    return shutil.which(NAME) is not None


@lru_cache(maxsize=4096)
def word_phonemes(word: str) -> str | None:
    """None where espeak-ng is not installed or says nothing."""
    if not has_espeak():
        return None
    done = _run("-q", "--ipa=3", "--tie=͡", "-v", "en-us", word)
    # A line for each clause that it hears, and "(fr)" before what it takes for another language.
    said = re.sub(r"\([a-z-]{2,12}\)", "", " ".join(done.decode("utf-8", "replace").split()))
    said = said.replace("\u200d", "͡").replace("_", "")
    for old, new in _KOKORO:
        said = said.replace(old, new)
    said = re.sub(r"(\S)\u0329", r"ᵊ\1", said)
    return "".join(letter for letter in said if letter in _LETTERS) or None


def espeak_samples(text: str, speed: float) -> tuple[NDArray[np.float32], int]:
    """English spoken by espeak-ng alone: samples of one channel, -1 to 1, and how many a second."""
    sound = _run("--stdout", "-v", "en-us", "-s", str(round(_WORDS_A_MINUTE * speed)), text)
    with wave.open(io.BytesIO(sound)) as opened:
        rate = opened.getframerate()
        # Written to a pipe, its header does not know the length.
        raw = opened.readframes(len(sound) // 2)
    return np.frombuffer(raw[: len(raw) // 2 * 2], dtype="<i2").astype(np.float32) / 32768.0, rate


def _run(*arguments: str) -> bytes:
    *options, text = arguments
    # By standard input: a text that begins with "-" is no option there.
    return subprocess.run(
        [NAME, *options, "--stdin"], input=text.encode(), capture_output=True, timeout=_SECONDS, check=True
    ).stdout
