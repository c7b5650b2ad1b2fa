"""What counts as supported, where it stands, and what does not pass."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhilu.rag.answer.evidence import PassageEvidence, quotation
from zhilu.rag.answer.ground import ground, locate, split_answer
from zhilu.rag.retrieve.followup import depends_on_history, is_faithful

PASSAGES = [
    "The Denver Broncos defeated the Carolina Panthers 24–10 to earn their third Super Bowl title. It was in 2016.",
    "入职满一年的员工每年有十五天年假。年假须提前两周申请。",
    "The installer needs 300 MB of disk space and administrator rights.",
]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Denver Broncos [1]", [("Denver Broncos", (0,))]),
        ("Denver Broncos. [1][2] In 2016 [1].", [("Denver Broncos.", (0, 1)), ("In 2016.", (0,))]),
        ("十五天【2】。两周［2，3］", [("十五天。", (1,)), ("两周", (1, 2))]),
        ("No marks here", [("No marks here", ())]),
        ("[1]", []),
        ("", []),
    ],
)
def test_split_answer(answer: str, expected: list[tuple[str, tuple[int, ...]]]) -> None:
    assert split_answer(answer) == expected


def test_exact_words_are_placed() -> None:
    grounded = ground("the denver broncos", [0], PASSAGES)
    assert grounded.support == "exact" and grounded.quote is not None
    assert PASSAGES[0][grounded.quote.start : grounded.quote.end] == "The Denver Broncos"


def test_a_wrong_citation_is_moved() -> None:
    grounded = ground("十五天", [0], PASSAGES)
    assert (grounded.claimed, grounded.passages, grounded.shown()) == ((0,), (1,), "十五天 [2]")


def test_a_citation_out_of_range_is_no_crash() -> None:
    assert ground("十五天", [98], PASSAGES).passages == (1,)


@pytest.mark.parametrize(
    "invented",
    [
        "The Seattle Seahawks won.",
        "二十天",
        "It needs 500 MB of disk space.",
        "Broncos defeated the Panthers 24–17",
        "third sup",
    ],
)
def test_inventions_are_unsupported(invented: str) -> None:
    assert ground(invented, [0], PASSAGES).support == "unsupported"


def test_a_paraphrase_is_supported_by_its_words() -> None:
    grounded = ground("The installer needs administrator rights and 300 MB of space.", [], PASSAGES)
    assert (grounded.support, grounded.passages) == ("overlap", (2,))


def test_repeating_the_question_is_no_answer() -> None:
    question = "Who defeated the Carolina Panthers?"
    assert ground("Carolina Panthers defeated.", [], [PASSAGES[0]], question).support != "overlap"


def test_a_model_that_repeats_itself_says_nothing() -> None:
    passage = "From 1073 to 1990 the city grew; 1528年，25年。"
    assert (
        ground("1073 to 1073 to 1073 to 1073 to 1073 to 1073 to 1073 to 1073", [], [passage]).support == "unsupported"
    )
    assert ground("年假年假年假年假年假年假年假年假十五", [], PASSAGES).support == "unsupported"


def test_words_without_content_are_neutral() -> None:
    assert ground("It is.", [], PASSAGES).support == "neutral"


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_locate_finds_what_is_there(before: str, needle: str, after: str) -> None:
    found = locate(needle, f"{before} {needle} {after}")
    if any(c.isalnum() for c in needle):
        assert found is None or 0 <= found[0] < found[1] <= len(before) + len(needle) + len(after) + 2


def test_locate_ignores_case_width_space_and_punctuation_but_not_words() -> None:
    assert locate("super  bowl", PASSAGES[0]) == (76, 86)
    assert locate("１０", "score 24-10 won") == (9, 11)
    assert locate("out", "a route") is None
    assert locate("1", "year 2016") is None


def test_best_sentence_answers_in_both_languages() -> None:
    best = PassageEvidence("年假要提前多久申请？", PASSAGES, [0.1, 1.0, 0.1]).best()
    assert best is not None and PASSAGES[1][best.start : best.end] == "年假须提前两周申请。"
    best = PassageEvidence("How much disk space does the installer need?", PASSAGES, [0.2, 0.1, 0.9]).best()
    assert best is not None and best.passage == 2
    assert PassageEvidence("penguins?", PASSAGES, [1.0, 1.0, 1.0]).best() is None


def test_an_answer_must_stand_where_the_question_is_spoken_of() -> None:
    passages = [
        "The plant was founded in 1998. It has 30 halls. The manager is Ann Lee.",
        "In 2016 it rained for 30 days in Peru.",
    ]
    evidence = PassageEvidence("When was the plant founded?", passages, [1.0, 0.3])
    place = evidence.place("1998")
    assert place is not None and passages[place.passage][place.start : place.end] == "1998"
    assert evidence.place("2016") is None
    # of two places the one in the fitting sentence counts
    halls = PassageEvidence("How many halls does the plant have?", passages, [1.0, 0.3]).place("30")
    assert halls is not None and halls.passage == 0


@pytest.mark.parametrize(
    ("question", "answer", "fits"),
    [
        ("When was the plant founded?", "the plant", False),
        ("How many halls are there?", "Ann Lee", False),
        ("Who is the manager of the plant?", "30", False),
        ("Who is the manager of the plant?", "Ann Lee", True),
        ("Is the manager Ann Lee or Bob?", "Ann Lee", True),
        ("Who is Ann Lee?", "Ann Lee", False),
    ],
)
def test_an_answer_must_be_of_the_kind_asked_for(question: str, answer: str, fits: bool) -> None:
    passage = "The plant was founded in 1998. The plant has 30 halls. The manager of the plant is Ann Lee."
    assert (PassageEvidence(question, [passage], [1.0]).place(answer) is not None) == fits


def test_a_quotation_says_what_it_is() -> None:
    assert quotation("a  b", 2, "en") == "The document says: “a b” [2]"
    assert quotation("原文", 1, "zh") == "文档原文：“原文” [1]"
    assert quotation("| `port` | 8642 | of the API |", 1, "en") == "The document says: “`port` · 8642 · of the API” [1]"
    assert quotation("- **Linux** or macOS", 1, "en") == "The document says: “Linux or macOS” [1]"


@pytest.mark.parametrize(
    "question",
    ["How old is he?", "那它多少钱？", "And in 2015?", "为什么", "价格呢？", "要赔多少", "最晚哪天", "要提前几天订？"],
)
def test_questions_that_point_back(question: str) -> None:
    assert depends_on_history(question)


def test_questions_that_stand_alone() -> None:
    assert not depends_on_history("How many days of annual leave do senior employees receive?")
    assert not depends_on_history("入职满一年的员工每年有几天年假？")
    assert not depends_on_history("一页最多给几条")
    assert not depends_on_history("要退租的话，叉车的押金什么时候能拿回来？")


def test_a_rewrite_may_not_invent() -> None:
    history = ["Who founded Zhilu?"]
    assert is_faithful("When was Zhilu founded?", "When was it founded?", history)
    assert not is_faithful("When was Google founded in California?", "When was it founded?", history)
    assert not is_faithful("Who?", "When was it founded?", history)
