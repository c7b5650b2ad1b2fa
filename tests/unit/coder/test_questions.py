"""What the model says about code is held against the code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from zhilu.apps.coder.index.build import build
from zhilu.apps.coder.index.store import IndexStore
from zhilu.apps.coder.questions.ask import CodeAnswer, ask
from zhilu.apps.coder.questions.check import check
from zhilu.apps.coder.questions.choose import CodePassage, choose
from zhilu.apps.coder.samples import unpack_sample


class Teller:
    """Says what it is told: the model's part, where the rules are what is tested."""

    def __init__(self, reply: str, words: str = "free shipping cost") -> None:
        self.reply, self.words = reply, words
        self.asked: list[list[dict[str, str]]] = []

    async def models(self) -> list[dict[str, Any]]:
        return [{"id": "m", "max_model_len": 4096}]

    async def chat(self, messages: list[dict[str, str]], **_: Any) -> dict[str, Any]:
        self.asked.append(messages)
        return {"choices": [{"message": {"content": self.words}}], "usage": {"completion_tokens": 3}}

    async def chat_stream(self, messages: list[dict[str, str]], **_: Any) -> AsyncIterator[dict[str, Any]]:
        self.asked.append(messages)
        for piece in (self.reply[:10], self.reply[10:]):
            yield {"choices": [{"delta": {"content": piece}}]}
        yield {"choices": [], "usage": {"completion_tokens": 9}}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> IndexStore:
    folder = tmp_path_factory.mktemp("repo")
    unpack_sample(folder / "shop")
    store = IndexStore(folder / "index.db")
    build(folder / "shop", store)
    return store


def put(store: IndexStore, reply: str, question: str, teller: Teller | None = None) -> CodeAnswer:
    async def run() -> CodeAnswer:
        last = None
        async for event in ask(teller or Teller(reply), "m", store, question):  # type: ignore[arg-type]
            last = event
        assert last is not None and last.name == "done"
        return CodeAnswer.model_validate(last.data)

    return asyncio.run(run())


PASSAGES = [
    CodePassage(number=1, path="shop/cart.py", symbol="Cart.total", start=10, end=12, text="def total(self):\n    a = percent_of(1)\n    return a"),
    CodePassage(number=2, path="shop/money.py", symbol="percent_of", start=30, end=31, text="def percent_of(c, p):\n    return c * p"),
]  # fmt: skip


def test_what_stands_there_is_founded() -> None:
    said = check("`total` calls `percent_of` [1]. `percent_of` multiplies. [2]", PASSAGES)
    assert [(s.text, [c.path for c in s.cites], s.missing) for s in said] == [
        ("`total` calls `percent_of`.", ["shop/cart.py"], []),
        ("`percent_of` multiplies.", ["shop/money.py"], []),
    ]
    assert all(s.is_founded for s in said)


def test_a_name_that_is_nowhere_is_said() -> None:
    said = check("`total` calls `compute_tax` and applyDiscount() [1].", PASSAGES)
    assert said[0].missing == ["compute_tax", "applyDiscount"] and not said[0].is_founded


def test_a_citation_of_the_wrong_piece_is_moved() -> None:
    said = check("`c` and `p` are multiplied [1].", PASSAGES)
    assert [(c.path, c.moved) for c in said[0].cites] == [("shop/cart.py", False), ("shop/money.py", True)]


def test_a_sentence_without_a_mark_is_cited_by_its_names_or_not_at_all() -> None:
    named, bare = check("It is in `percent_of`. It is very fast.", PASSAGES)
    assert [(c.path, c.moved) for c in named.cites] == [("shop/cart.py", True)] and named.is_founded
    assert bare.cites == [] and not bare.is_founded


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("See shop/cart.py:10-12 here.", []),
        ("See cart.py:11 here.", []),
        ("See cart.py:10-99 here.", ["cart.py:10-99"]),
        ("See tax.py:1 here.", ["tax.py:1"]),
        ("It is so [7].", ["[7]"]),
        ("它在这里 【2】。", []),
    ],
)
def test_lines_that_are_cited_exist(text: str, missing: list[str]) -> None:
    assert check(text, PASSAGES)[0].missing == missing


def test_a_mark_alone_names_what_it_points_at_and_a_citation_without_a_name_is_not_checked() -> None:
    assert check("", PASSAGES) == check("[9]", PASSAGES) == check(".", PASSAGES) == []
    pointed = check("[2]", PASSAGES)
    assert [(s.text, s.cites[0].path, s.is_founded) for s in pointed] == [("`percent_of`", "shop/money.py", True)]
    said = check("It is fast [1].", PASSAGES)
    assert said[0].cites and not said[0].missing and not said[0].is_founded


@pytest.mark.parametrize(
    ("text", "names", "missing"),
    [
        ("Cart.total", ["Cart", "total"], []),
        ("percent_of", ["percent_of"], []),
        ("It is Cart.total that calls it.", ["Cart", "total"], []),
        ("It is Cart.tax that calls it.", ["Cart"], ["tax"]),
        ("It is fast, e.g. in the U.S. or so.", [], []),
    ],
)
def test_a_name_is_one_without_backticks_too(text: str, names: list[str], missing: list[str]) -> None:
    said = check(text, PASSAGES)[0]
    assert ([n for n in said.names if len(n) > 1], [m for m in said.missing if len(m) > 1]) == (names, missing)


def test_code_of_the_model_is_told_from_that_of_the_repository() -> None:
    quoted, invented = check("```python\ndef total(self):\n    return a\n```\nand\n```\nreturn a * 2\n```", PASSAGES)[
        ::2
    ]
    assert quoted.is_code and quoted.is_founded and quoted.cites[0].path == "shop/cart.py"
    assert invented.missing == ["return a * 2"]


def test_words_that_every_program_knows_need_no_place() -> None:
    assert check("It returns `None` or raises `ValueError` for `self` [1].", PASSAGES)[0].missing == []


def test_what_a_question_names_is_shown_first(store: IndexStore) -> None:
    chosen = choose(store, "What does `place_order` do?")
    assert (chosen[0].path, chosen[0].symbol, chosen[0].number) == ("shop/orders.py", "place_order", 1)
    assert chosen[0].text.split("\n")[0].startswith("def place_order(")


def test_callers_are_shown_where_they_are_asked_for(store: IndexStore) -> None:
    shown = [p.symbol for p in choose(store, "Who calls `percent_of`?")]
    assert shown[:2] == ["percent_of", "Cart.total"]
    answer = put(store, "`total` calls it [2].", "Who calls `percent_of`?")
    assert [(c.path, c.inside) for c in answer.callers] == [("shop/cart.py", "Cart.total")]
    said = [(s.text, s.from_index) for s in answer.sentences]
    assert said == [("`percent_of` is called in `Cart.total`.", True), ("`total` calls it.", False)]
    assert (
        put(store, "所给代码中没有。", "谁调用了 `release`？").status == "answered"
    )  # what the index knows is no model's to deny


def test_passages_fit_the_room_and_do_not_overlap(store: IndexStore) -> None:
    for room in (300, 1_000, 7_000):
        chosen = choose(store, "cart total coupon reserve shipping order", room=room)
        assert sum(len(p.text) for p in chosen) <= room
        lines = [(p.path, n) for p in chosen for n in range(p.start, p.end + 1)]
        assert len(lines) == len(set(lines))


def test_each_passage_is_what_stands_in_the_file(store: IndexStore) -> None:
    for passage in choose(store, "order reserve warehouse invoice"):
        text = (store.text(passage.path) or "").split("\n")
        assert "\n".join(text[passage.start - 1 : passage.end]) == passage.text


def test_the_whole_way(store: IndexStore) -> None:
    answer = put(store, "`find_coupon` looks the code up in `COUPONS` [1].", "How does `find_coupon` work?")
    assert answer.status == "answered" and answer.tokens == 9
    cite = answer.sentences[0].cites[0]
    assert (cite.path, cite.symbol) == ("shop/coupons.py", "find_coupon")


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        ("Not in the code shown.", "nothing"),
        ("", "nothing"),
        ("[1]", "answered"),
        ("[9]", "nothing"),
        ("It does that well [1].", "unfounded"),
        ("`find_tax` does it [1].", "unfounded"),
        ("`find_coupon` does it [1]. `find_tax` too [1].", "partly"),
    ],
)
def test_status(store: IndexStore, reply: str, status: str) -> None:
    assert put(store, reply, "How does `find_coupon` work?").status == status


def test_a_chinese_question_is_also_searched_in_english(store: IndexStore) -> None:
    answer = put(store, "所给代码中没有。", "运费什么时候免收？")
    assert answer.searched == "free shipping cost" and answer.status == "nothing"
    assert answer.passages[0].path == "shop/shipping.py"


class Doubter(Teller):
    """Refuses while it may."""

    async def chat_stream(self, messages: list[dict[str, str]], **_: Any) -> AsyncIterator[dict[str, Any]]:
        self.asked.append(messages)
        may_refuse = "Not in the code shown." in messages[0]["content"]
        yield {
            "choices": [{"delta": {"content": "Not in the code shown." if may_refuse else "`split_evenly` does [1]."}}]
        }


@pytest.mark.parametrize(
    ("question", "status", "turns"),
    [
        ("Which function splits evenly between people?", "answered", 2),
        ("How does it send an invoice by telegraph?", "nothing", 1),
    ],
)
def test_a_refusal_is_asked_about_once_more_where_the_code_holds_the_words(
    store: IndexStore, question: str, status: str, turns: int
) -> None:
    doubter = Doubter("")
    answer = put(store, "", question, doubter)
    assert (answer.status, len(doubter.asked)) == (status, turns)
    if turns == 2:
        assert answer.passages[0].symbol == "split_evenly" and answer.passages[0].number == 1
        assert len(answer.passages) <= 2


def test_words_to_search_for_are_taken_out_of_whatever_the_model_writes(store: IndexStore) -> None:
    teller = Teller("所给代码中没有。", "1. `is_expired`, checkCoupon; 优惠券")
    assert put(store, "", "哪个函数判断优惠券过期？", teller).searched == "is expired check coupon"


def test_nothing_found_asks_no_model(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    empty = IndexStore(tmp_path / "i.db")
    build(tmp_path / "r", empty)
    answer = put(empty, "`x` [1].", "What is here?")
    assert (answer.status, answer.passages, answer.sentences) == ("nothing", [], [])


def test_a_number_is_looked_up_as_a_name_is(store: IndexStore) -> None:
    asked = "金额达到多少可以免运费？"
    said = put(store, "金额达到 5,000 分可以免运费。[2]", asked)
    assert said.status == "answered" and said.sentences[0].names == ["5000"]
    assert said.sentences[0].cites[0].path == "shop/shipping.py"
    made_up = put(store, "金额达到 8000 可以免运费。[2]", asked)
    assert made_up.status == "unfounded" and made_up.sentences[0].missing == ["8000"]
    assert not check("It has 3 parts. [1]", choose(store, asked))[
        0
    ].names  # how many there are is no number of the code
