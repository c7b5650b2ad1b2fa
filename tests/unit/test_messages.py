from __future__ import annotations

import pytest

from zhilu.messages import T, current_lang, pick_lang, set_lang, system_lang, use_lang


def test_text_speaks_the_language_in_force() -> None:
    text = T(en="yes", zh="是")
    with use_lang("zh"):
        assert text.say() == "是"
        with use_lang("en"):
            assert str(text) == "yes"
        assert current_lang() == "zh"
    assert text.say("zh") == "是"


def test_data_round_trip() -> None:
    text = T("a", "甲")
    assert T.of(text.data()) == text
    assert T.of("same") == T("same", "same")
    assert T.of(text) is text


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("fr,zh;q=0.5,en;q=0.7", "en"),
        ("en;q=0,zh;q=0.1", "zh"),
        ("zh;q=broken,en", "en"),
        ("de", "zh"),
        ("", "zh"),
        (None, "zh"),
    ],
)
def test_accept_language(header: str | None, expected: str) -> None:
    assert pick_lang(header, "zh") == expected


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LC_ALL": "en_US.UTF-8", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LANG": "fr_FR"}, "en"),
    ],
)
def test_locale(env: dict[str, str], expected: str) -> None:
    assert system_lang(env) == expected


def test_auto_goes_back_to_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    set_lang("en")
    assert current_lang() == "en"
    set_lang("auto")
    assert current_lang() == "zh"
