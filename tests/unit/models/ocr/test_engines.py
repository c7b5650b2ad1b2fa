"""Both engines read a page whose words are known, and say where they stand."""

from __future__ import annotations

import re

import pytest

from zhilu.models.ocr import OcrEngine, choose_ocr, find_ocr, paragraphs
from zhilu.models.ocr.tesseract import has_tesseract

WORDS = [
    (90, 80, "施工与装修管理规定"),
    (90, 200, "第二条 电梯困人时请拨打 010-6688-1234，物业 15 分钟内到场。"),
    (90, 320, "Invoice No. AX-2047-B"),
    (90, 440, "The warranty lasts 36 months from the date of purchase."),
]


@pytest.fixture(scope="module", params=["rapidocr", "tesseract"])
def engine(request: pytest.FixtureRequest) -> OcrEngine:
    if request.param == "rapidocr":
        pytest.importorskip("rapidocr", reason="the extra ocr")
    elif not has_tesseract():
        pytest.skip("tesseract is not installed")
    return choose_ocr(request.param)


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


def test_reads_chinese_and_english(engine: OcrEngine, draw) -> None:
    lines = engine.read(draw(WORDS))
    read = squeezed("".join(p.text for p in paragraphs(lines)))
    for part in ("施工与装修管理规定", "电梯困人时请拨打010-6688-1234", "AX-2047-B", "Thewarrantylasts36months"):
        assert part in read


def test_says_where_a_line_stands(engine: OcrEngine, draw) -> None:
    lines = engine.read(draw(WORDS))
    left, top, right, bottom = next(x for x in lines if "warranty" in x.text).box
    assert left == pytest.approx(90 / 1240, abs=0.01) and 0.5 < right < 0.95
    assert 435 / 1754 < top < bottom < 500 / 1754
    assert all(0.5 < line.score <= 1 for line in lines)


def test_finds_nothing_on_an_empty_page(engine: OcrEngine, draw) -> None:
    assert list(engine.read(draw([]))) == []


def test_what_is_missing_is_said_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zhilu.models.ocr.choose.find_spec", lambda name: None)
    monkeypatch.setattr("zhilu.models.ocr.choose.has_tesseract", lambda: False)
    assert find_ocr() is None
    with pytest.raises(Exception, match="not installed") as caught:
        choose_ocr()
    assert caught.value.code == "ocr_missing" and caught.value.fix == "zhilu setup ocr"


@pytest.mark.parametrize("words", [[(90, 100, "电梯")], [(90, 80, "Rules"), (90, 1650, "Page 3")]])
def test_a_word_alone_on_a_page_is_not_overlooked(engine: OcrEngine, draw, words) -> None:
    if engine.name == "tesseract" and len(words) == 1:
        pytest.skip("tesseract reads 电梯 alone as something else")
    read = squeezed("".join(line.text for line in engine.read(draw(words))))
    assert all(squeezed(text) in read for _, _, text in words)
