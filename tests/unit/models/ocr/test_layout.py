"""Lines to paragraphs by their boxes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zhilu.models.ocr import OcrLine, paragraphs
from zhilu.models.ocr.layout import in_reading_order


def line(text: str, left: float, top: float, right: float, height: float = 0.02) -> OcrLine:
    return OcrLine(text, (left, top, right, top + height), 0.99)


def test_full_lines_join_and_a_short_one_ends_its_paragraph() -> None:
    page = [
        line("The lease runs for twelve months and is", 0.1, 0.10, 0.9),
        line("renewed in March.", 0.1, 0.13, 0.4),
        line("Pets are allowed.", 0.1, 0.20, 0.4),
    ]
    assert [p.text for p in paragraphs(page)] == [
        "The lease runs for twelve months and is renewed in March.", "Pets are allowed.",
    ]  # fmt: skip


def test_chinese_lines_join_without_a_space() -> None:
    page = [line("装修施工时间为每日九点至", 0.1, 0.1, 0.9), line("十八点。", 0.1, 0.13, 0.3)]
    assert [p.text for p in paragraphs(page)] == ["装修施工时间为每日九点至十八点。"]


def test_cells_of_a_row_stand_in_one_line() -> None:
    page = [
        line("E1024", 0.6, 0.1, 0.7),
        line("张伟", 0.1, 0.1, 0.2),
        line("李娜", 0.1, 0.15, 0.2),
        line("E2077", 0.6, 0.15, 0.7),
    ]
    assert [p.text for p in paragraphs(page)] == ["张伟\tE1024", "李娜\tE2077"]


def test_two_columns_are_read_one_after_the_other() -> None:
    page = [line("Title over both columns of the page", 0.1, 0.05, 0.9)]
    for n in range(6):
        page += [line(f"left {n}", 0.1, 0.1 + n * 0.03, 0.47), line(f"right {n}", 0.53, 0.1 + n * 0.03, 0.9)]
    assert [x.text for x in in_reading_order(page)] == [
        "Title over both columns of the page", *(f"left {n}" for n in range(6)), *(f"right {n}" for n in range(6)),
    ]  # fmt: skip


def test_a_table_is_not_taken_for_columns() -> None:
    page = [line(t, x, 0.1 + n * 0.03, x + 0.08) for n in range(8) for t, x in ((f"a{n}", 0.1), (f"b{n}", 0.7))]
    page.append(line("a longer cell of the table", 0.1, 0.4, 0.45))
    assert [x.text for x in in_reading_order(page)][:4] == ["a0", "b0", "a1", "b1"]


boxes = st.tuples(*[st.floats(0, 1)] * 4).map(
    lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
)


@given(st.lists(st.builds(OcrLine, st.text("ab中。 ", min_size=1, max_size=6), boxes, st.just(0.9)), max_size=30))
def test_every_line_stands_in_the_text_once_where_its_span_says(lines: list[OcrLine]) -> None:
    found = paragraphs(lines)
    spans = [(p.text[start:end], line) for p in found for start, end, line in p.spans]
    assert all(text == line.text for text, line in spans)
    assert sorted(map(repr, (line for _, line in spans))) == sorted(map(repr, lines))
