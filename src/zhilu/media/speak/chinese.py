"""Chinese text to Kokoro's phonemes: pinyin of the whole phrase (so that 行 in 银行 is háng), then misaki's table to IPA."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["HAN", "chinese_phonemes", "spelled_numbers"]

HAN = "\u3400-\u9fff\uf900-\ufaff"
# Tone letters and syllabic consonants as Kokoro learned them (misaki's own replacements).
_KOKORO = (
    ("˧˩˧", "↓"), ("˧˥", "↗"), ("˥˩", "↘"), ("˥", "→"), ("ɻ̩", "ɨ"), ("ɹ̩", "ɨ"), ("\u032f", ""), ("\u0329", ""),
)  # fmt: skip


def chinese_phonemes(text: str) -> str:
    """Phonemes of Han characters alone, a space between words."""
    from pypinyin import Style, lazy_pinyin
    from pypinyin.contrib.mmseg import seg

    # One reading of all of it, cut into words afterwards: a word is read right only beside its neighbours.
    syllables = lazy_pinyin(text, style=Style.TONE3, neutral_tone_with_five=True, tone_sandhi=True)
    words, at, said = list(seg.cut(text)), 0, []
    if sum(map(len, words)) != len(syllables):
        return " ".join(map(_syllable, syllables))
    for word in words:
        said.append("".join(map(_syllable, syllables[at : at + len(word)])))
        at += len(word)
    return " ".join(said)


def spelled_numbers(text: str) -> str:
    """Numbers, dates and percentages in a Chinese text as they are read."""
    import cn2an

    text = re.sub(r"(\d{1,2}):(\d{2})(?!\d)", lambda found: _time(int(found[1]), int(found[2])), text)
    try:
        return str(cn2an.transform(text, "an2cn"))
    except (ValueError, IndexError):  # a number it does not read stays as it is: digit by digit
        return re.sub(r"\d", lambda found: "零一二三四五六七八九"[int(found[0])], text)


def _time(hours: int, minutes: int) -> str:
    if minutes == 0:
        return f"{hours}点"
    return f"{hours}点{'零' if minutes < 10 else ''}{minutes}分"


@lru_cache(maxsize=4096)
def _syllable(pinyin: str) -> str:
    from misaki.transcription import pinyin_to_ipa

    try:
        said = "".join(pinyin_to_ipa(pinyin)[0])
    except ValueError:  # a rare character without a reading, an exclamation such as "hng"
        return ""
    for old, new in _KOKORO:
        said = said.replace(old, new)
    return said
