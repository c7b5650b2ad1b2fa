"""Pieces, methods, needles and citations, driven without a model."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhilu.errors import InputError, NotFoundError
from zhilu.longtext.asking import LongtextStep, place_of
from zhilu.longtext.methods import METHODS, Call, Problem, is_supported, method_of
from zhilu.longtext.needle import make_haystack
from zhilu.longtext.pieces import cut, own_tokens
from zhilu.longtext.room import Room, was_cut
from zhilu.longtext.runs import LongtextRuns, LongtextWish
from zhilu.longtext.summary import _cited
from zhilu.messages import T
from zhilu.prompts import part_messages, says_none

ROOM = Room("m", 600, 1.0)


@given(st.text(max_size=400), st.integers(1, 40), st.integers(0, 20))
def test_pieces_hold_all_the_ink_in_order_and_none_is_too_long(text: str, size: int, overlap: int) -> None:
    pieces = cut(text, size, overlap)
    covered = {place for piece in pieces for place in range(piece.start, piece.end)}
    assert all(place in covered for place, letter in enumerate(text) if own_tokens(letter))
    assert all(own_tokens(text[p.start : p.end]) <= size for p in pieces)
    assert [p.start for p in pieces] == sorted(p.start for p in pieces)
    assert len(set(pieces)) == len(pieces)


def test_windows_overlap() -> None:
    text = " ".join(f"Sentence number {n} stands here." for n in range(40))
    pieces = cut(text, 60, overlap=20)
    assert all(b.start < a.end for a, b in itertools.pairwise(pieces))
    assert pieces[-1].end == len(text)


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("depth", [0.0, 0.3, 1.0])
def test_a_needle_lies_where_it_should_and_only_there(lang: str, depth: float) -> None:
    hay = make_haystack(3000, depth, 7, "zh" if lang == "zh" else "en")
    assert hay.text.count(hay.answer) == 1 and hay.answer in hay.text[hay.start : hay.end]
    assert hay.start / len(hay.text) == pytest.approx(depth, abs=0.03)
    assert own_tokens(hay.text) == pytest.approx(3000, rel=0.03)
    assert make_haystack(3000, depth, 8).answer != hay.answer


def _drive(name: str, problem: Problem, reply: Callable[[Call], str]) -> tuple[str, list[Call]]:
    work, made = METHODS[name].run(problem), []
    try:
        calls = next(work)
        while True:
            made += calls
            calls = work.send([reply(call) for call in calls])
    except StopIteration as end:
        return str(end.value), made


def _reader(wanted: str) -> Callable[[Call], str]:
    """A model that reads well: it gives the code where it stands in its prompt, and says NONE where it does not."""

    def reply(call: Call) -> str:
        told = str(call.messages[-1]["content"])
        if wanted in told:
            return f"The code is {wanted}."
        return told.partition("Answer so far: ")[2].partition("\n")[0] or "NONE"

    return reply


@pytest.mark.parametrize("name", [name for name in METHODS if name != "beginning"])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_way_but_the_beginning_finds_what_lies_deep(name: str, lang: str) -> None:
    hay = make_haystack(2500, 0.8, 3, "zh" if lang == "zh" else "en")
    problem = Problem(hay.text, hay.question, ROOM)
    answer, calls = _drive(name, problem, _reader(hay.answer))
    assert hay.answer in answer
    assert all(ROOM.tokens(str(c.messages[0]["content"])) + 128 <= ROOM.context for c in calls), (
        "a prompt that does not fit"
    )
    assert len(calls) == 1 if name == "retrieval" else len(calls) > 3


def test_the_beginning_is_blind_to_what_lies_deep() -> None:
    hay = make_haystack(2500, 0.8, 3)
    answer, calls = _drive("beginning", Problem(hay.text, hay.question, ROOM), _reader(hay.answer))
    assert answer == "" and len(calls) == 1


def test_what_a_model_makes_up_is_no_note() -> None:
    hay = make_haystack(2500, 0.8, 3)
    assert _drive("map-reduce", Problem(hay.text, hay.question, ROOM), lambda call: "It is ZEBRA9.")[0] == ""
    assert _drive("sliding", Problem(hay.text, hay.question, ROOM), lambda call: "It is ZEBRA9.")[0] == ""
    assert not is_supported("It is ZEBRA9.", hay.question, hay.text)


def test_many_notes_are_put_together_until_one_is_left() -> None:
    text = "\n".join(f"Stall {n} sells pears for {n} coins." for n in range(600))
    room = Room("m", 420, 1.0)
    seen: list[int] = []

    def reply(call: Call) -> str:
        if call.pieces:
            return text[call.pieces[0].start : call.pieces[0].end].partition("\n")[0]
        seen.append(1)
        return "Many stalls sell pears."

    answer, calls = _drive("map-reduce", Problem(text, "Who sells pears?", room), reply)
    assert answer == "Many stalls sell pears." and len(seen) > 1
    assert all(room.tokens(str(c.messages[0]["content"])) + 128 <= room.context for c in calls)


def test_too_little_room_is_said() -> None:
    with pytest.raises(InputError, match="too few"):
        _ = Problem("text", "question", Room("m", 256, 1.0)).size
    with pytest.raises(NotFoundError, match="map-reduce"):
        method_of("mapreduce")


@pytest.mark.parametrize(("read", "is_cut"), [(1000, False), (900, False), (600, True), (0, None), (None, None)])
def test_a_cut_prompt_is_known_by_what_was_read(read: int | None, is_cut: bool | None) -> None:
    messages = part_messages("q", "word " * 900)
    assert was_cut(Room("m", 512, 1.0), messages, {} if read is None else {"prompt_tokens": read}) is is_cut


@pytest.mark.parametrize(
    ("said", "none"),
    [
        ("NONE", True),
        ("None.", True),
        ("无。", True),
        ("“无”", True),
        ("", True),
        ("无锡", False),
        ("None of them left", False),
    ],
)
def test_none_is_none(said: str, none: bool) -> None:
    assert says_none(said) is none


def test_a_sentence_is_cited_where_it_stands() -> None:
    text = "The ferry costs 14 euros.\nThe library opens at nine.\n图书馆周一闭馆。"
    good = _cited("A ferry ride costs 14 euros.", text)
    assert (
        good.supported
        and good.place is not None
        and text[good.place.start : good.place.end] == "The ferry costs 14 euros."
    )
    assert not _cited("A ferry ride costs 15 euros.", text).supported, "a number that stands nowhere"
    assert not _cited("Bicycles are forbidden on trains.", text).supported
    place = place_of(text, "周一", "图书馆哪天闭馆？")
    assert place is not None and place.quote == "图书馆周一闭馆。"


def test_steps_survive_a_kill_at_any_byte(own_home: object) -> None:
    from zhilu.context import open_context

    context = open_context()
    runs = LongtextRuns(context)
    run = runs.begin(LongtextWish(question="q", methods=["retrieval"]), "some text", "m")
    step = LongtextStep(
        key="a",
        method="retrieval",
        what=T("x", "一"),
        pieces=[(0, 4)],
        said="é",
        prompt_tokens=1,
        completion_tokens=1,
        cut=None,
    )
    runs.keep(run.id, step)
    path = runs.folder / run.id / "steps.jsonl"
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        assert runs.steps(run.id) == {}
        runs.keep(run.id, step.model_copy(update={"key": "b"}))
        assert set(runs.steps(run.id)) - {"a"} == {"b"}
        assert "a" not in runs.steps(run.id) or end == len(whole) - 1, "only its newline was missing"
    assert runs.text(run.id) == "some text"
    runs.delete(run.id)
    with pytest.raises(NotFoundError):
        runs.get(run.id)


@pytest.mark.parametrize(
    "wish",
    [LongtextWish(question=" "), LongtextWish(want="needle", depths=[1.5]), LongtextWish(want="needle", lengths=[10])],
)
def test_what_cannot_be_asked_is_refused(wish: LongtextWish, own_home: object) -> None:
    from zhilu.context import open_context

    with pytest.raises(InputError):
        LongtextRuns(open_context()).begin(wish, "text", "m")
