"""The order in which passages are read, and the sentence that is marked: by sentences behind their headings, not by whole passages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from zhilu.rag.answer.decide import read_first
from zhilu.rag.answer.manner import READS
from zhilu.rag.answer.meaning import Meaning
from zhilu.rag.answer.settle import evidence_of
from zhilu.rag.index.embedding import TextEmbedder
from zhilu.rag.records import Hit
from zhilu.rag.retrieve.search import Retrieved

# what a text speaks of, one direction each: an embedder that knows these words and nothing else
_CONCEPTS = (("pet", "dog", "rabbit"), ("fee", "cost", "£"), ("key",), ("repair", "broken"), ("bicycle",), ("drying",))


class _Concepts:
    """A text's vector says which of the concepts it speaks of; ``calls`` are the texts that were embedded."""

    name, dim, languages = "e5-small", len(_CONCEPTS) + 1, ("en", "zh")

    def __init__(self) -> None:
        self.calls: list[str] = []

    def embed(self, texts: Sequence[str], kind: str = "passage") -> Any:
        self.calls += texts
        rows = [[*(any(w in text.lower() for w in words) for words in _CONCEPTS), 0.3] for text in texts]
        vectors = np.array(rows, np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def hit(number: int, heading: str, text: str, score: float, doc: str = "lease.md", start: int | None = None) -> Hit:
    start = 1000 * number if start is None else start
    return Hit(
        kb_id="kb", doc_id=doc, doc_name=doc, chunk_id=number, start=start, end=start + len(text), page=None,
        heading=heading, text=text, lang="en", score=score,
    )  # fmt: skip


POOL = [
    hit(1, "Keys", "A lost key is reported at once. The bicycle room has its own.", 1.0),
    hit(2, "Repairs", "What is broken is mended within a week. Call the office first.", 0.9),
    hit(3, "Bicycles", "They stand in the yard.", 0.8),
    hit(4, "Laundry", "The drying room is on the roof.", 0.7),
    hit(5, "Pets", "With consent only. The cost is £25 a month.", 0.2),
]


def found(pool: Sequence[Hit]) -> Retrieved:
    return Retrieved(hits=list(pool[:2]), lang="en", weight=0.6, coverage=0.6, pool=list(pool))


def meaning() -> tuple[Meaning, _Concepts]:
    embedder = _Concepts()
    typed: TextEmbedder = embedder  # type: ignore[assignment]
    return Meaning(typed, "en"), embedder


def test_the_passage_whose_sentence_answers_is_read_first_though_it_was_found_last() -> None:
    ordered, number = read_first("What does a rabbit cost?", found(POOL), meaning()[0], 3, 4)
    assert ordered.hits[0].chunk_id == 5 and len(ordered.hits) == 4
    assert number == 1  # the others come nowhere near


def test_a_sentence_is_compared_behind_its_heading() -> None:
    question = "What does a rabbit cost?"
    near, _ = meaning()
    ordered, number = read_first(question, found(POOL), near, 3, 4)
    evidence = evidence_of(question, ordered.hits[:number], ordered, near, READS)
    likely = evidence.likely()
    assert likely is not None and likely["text"] == "The cost is £25 a month."  # it names no pet: its heading does


def test_a_follow_up_is_also_compared_by_itself() -> None:
    near, _ = meaning()
    asked = "What does a rabbit cost? And the key?"
    ordered, _ = read_first(asked, found(POOL), near, 3, 4, (asked, "And the key?"))
    assert ordered.hits[0].chunk_id == 1


def test_a_follow_up_stays_in_the_document_that_the_earlier_question_is_about() -> None:
    """Two sentences are equally near to what little a follow-up says, and the search found the other document first."""
    pool = [
        hit(1, "Workshop", "The cost is 9 euros.", 0.5, doc="shop.md"),
        hit(2, "Yard", "The drying yard is open all day.", 0.1, doc="yard.md"),
        hit(3, "Yard", "The cost is 2 euros.", 0.1, doc="yard.md"),
    ]
    near, _ = meaning()
    assert read_first("What does it cost?", found(pool), near, 3, 4)[0].hits[0].chunk_id == 1
    followed, _ = read_first("What does it cost?", found(pool), near, 3, 4, (), "When is drying allowed?")
    assert followed.hits[0].chunk_id == 3


def test_passages_with_the_code_that_is_asked_for_stand_before_all_others() -> None:
    pool = [*POOL, hit(6, "Doors", "FX-7 opens the gate.", 0.1)]
    ordered, number = read_first("What is the key fee for FX-7?", found(pool), meaning()[0], 3, 4)
    assert ordered.hits[0].chunk_id == 6 and number == 1


def test_neighbours_that_are_read_are_joined_and_others_are_not_drawn_in() -> None:
    text = "Pets need consent. The cost is £25 a month. A lost key is reported."
    pool = [
        hit(1, "House", text[:43], 0.9, start=0),
        hit(2, "House", text[19:], 0.8, start=19),
        hit(3, "Bicycles", "They stand in the yard.", 0.7),
    ]
    ordered, number = read_first("What does a pet cost?", found(pool), meaning()[0], 3, 4)
    assert number == 1 and ordered.hits[0].text in (text, text[:43])
    assert all(h.chunk_id != 3 for h in ordered.hits[:number])


def test_a_sentence_is_embedded_once_however_often_it_is_asked_about() -> None:
    near, embedder = meaning()
    read_first("What does a rabbit cost?", found(POOL), near, 3, 4)
    first = len(embedder.calls)
    again = Meaning(near._embedder, "en")
    read_first("Who mends what is broken?", found(POOL), again, 3, 4)
    assert embedder.calls[first:] == ["Who mends what is broken?"]


@pytest.mark.parametrize("pool", [[], POOL[:1]])
def test_where_there_is_nothing_to_put_in_order_it_stays_as_it_is(pool: list[Hit]) -> None:
    given = found(pool)
    assert read_first("What does a rabbit cost?", given, meaning()[0], 3, 4) == (given, 3)
    assert read_first("What does a rabbit cost?", given, None, 3, 4) == (given, 3)
