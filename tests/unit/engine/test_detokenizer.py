from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zhilu.engine.text.detokenizer import StopWatch


def run(stops: list[str], pieces: list[str], include: bool = False) -> tuple[str, str | None]:
    watch, shown = StopWatch(stops, include), ""
    for piece in pieces:
        text, met = watch.push(piece)
        shown += text
        if met is not None:
            return shown, met
    return shown + watch.flush(), None


def test_a_stop_string_split_over_pieces_is_never_shown() -> None:
    assert run(["END"], ["abE", "N", "Dxyz"]) == ("ab", "END")
    assert run(["END"], ["abE", "N", "x"]) == ("abENx", None)
    assert run(["END"], ["abEN"]) == ("abEN", None)
    assert run(["END"], ["ab", "END"], include=True) == ("abEND", "END")


def test_text_is_shown_as_soon_as_it_cannot_belong_to_a_stop() -> None:
    watch = StopWatch(["</s>"])
    assert watch.push("a<") == ("a", None)
    assert watch.push("b") == ("<b", None)


def test_the_earliest_stop_wins() -> None:
    assert run(["cd", "b"], ["abcd"]) == ("a", "b")


@given(st.text("ab", max_size=30), st.lists(st.text("ab", min_size=1, max_size=4), max_size=3), st.data())
def test_pieces_do_not_matter(text: str, stops: list[str], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    shown, met = run(stops, pieces)
    ends = [text.find(stop) + len(stop) for stop in stops if stop in text]
    if not ends:
        assert (shown, met) == (text, None)
    else:
        assert met is not None and text.startswith(shown + met)
        assert len(shown + met) <= max(ends) and not any(stop in shown for stop in stops)
