"""Text to phonemes: every letter is one that Kokoro knows, whatever a stranger writes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("misaki", reason="needs zhilu[speech]")
pytest.importorskip("cn2an", reason="needs zhilu[speech]")

from zhilu.media.speak import english
from zhilu.media.speak.phonemes import MOST, is_chinese, pieces

# Kokoro's vocabulary (its vocab.json), without the letters that no rule of ours writes.
KNOWN = set(';:,.!?—…"()“” ') | set(
    "ʣʥʦʨᵝꭧAIOQSTWYᵊabcdefhijklmnopqrstuvwxyzɑɐɒæβɔɕçɖðʤəɚɛɜɟɡɥɨɪʝɯɰŋɳɲɴøɸθœɹɾɻʁɽʂʃʈʧʊʋʌɣɤχʎʒʔˈˌːʰʲ↓→↗↘ᵻ"
)


def test_chinese_has_tones_and_english_inside_is_english() -> None:
    assert pieces("今天天气很好。")[0].startswith("ʨi→n")
    (mixed,) = pieces("我用Python写程序。")
    assert "pˈIθɑn" in mixed.replace(" ", "") or "pˈIθ" in mixed
    assert is_chinese("我用Python") and not is_chinese("Python!")


def test_a_reading_depends_on_the_word() -> None:
    assert pieces("银行里")[0] != pieces("行走里")[0]
    assert "xa↗ŋ" in pieces("我去银行取钱")[0].replace(" ", "")


def test_numbers_are_read_in_the_language_around_them() -> None:
    assert "sa→n" in pieces("一共3本书。")[0] and "θɹˈi" in pieces("3 books.")[0]


def test_endings_follow_the_sound_before() -> None:
    said = {
        word: english.english_phonemes(word)
        for word in ("opens", "books", "classes", "wanted", "asked", "running", "GPUs")
    }
    assert said["opens"].endswith("nz") and said["books"].endswith("ks") and said["classes"].endswith("ᵻz")
    assert said["wanted"].endswith("ᵻd") and said["asked"].endswith("kt") and said["running"].endswith("ɪŋ")
    assert said["GPUs"].endswith("z")


def test_an_unknown_word_is_said_without_espeak_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(english, "word_phonemes", lambda word: None)
    assert english.english_phonemes("workbench llamafile xqzt").count(" ") == 2


@pytest.mark.parametrize("text", ["x" * 3000, "我" * 2000, "word " * 700, "。" * 50, "1" * 40])
def test_long_texts_come_in_pieces_that_fit(text: str) -> None:
    assert all(len(piece) <= MOST for piece in pieces(text))


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=st.characters(blacklist_categories=("Cs",)), max_size=40))
def test_no_text_breaks_it(text: str) -> None:
    for piece in pieces(text):
        assert len(piece) <= MOST
        assert set(piece) <= KNOWN, set(piece) - KNOWN
