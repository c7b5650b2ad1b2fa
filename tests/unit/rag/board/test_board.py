"""The scoreboard: questions that are kept and dropped, figures by hand, labels, and a job that goes on after a kill."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from zhilu.client import ModelClient
from zhilu.context import Context
from zhilu.errors import CancelledByUser, InputError, NotFoundError
from zhilu.measure.words import own_words, token_f1
from zhilu.messages import T
from zhilu.rag.board import job as board_job
from zhilu.rag.board import trial as trials
from zhilu.rag.board.evaluate import Examinee, run_questions
from zhilu.rag.board.make import Maker, Passage, why_not
from zhilu.rag.board.measure import BoardRow, compare, holds_evidence, summary
from zhilu.rag.board.questions import BoardQuestion, QuestionChange, QuestionSets
from zhilu.rag.board.runs import BoardRun, Runs
from zhilu.rag.board.setup import Setup, read_setup
from zhilu.rag.board.trial import drop_trial, trial_of
from zhilu.rag.database import KbDatabase
from zhilu.rag.evaluate import Question
from zhilu.rag.index.embedding import embedder_of
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.retrieve.options import Searching
from zhilu.rag.testing import HASH

LIBRARY = (
    "# Library\n\nBooks are lent for four weeks. A child under twelve needs a card signed by a parent before borrowing "
    "anything.\n\n## Fines\n\nA book that comes back late costs twenty cents a day, and never more than five euros in all.\n"
)
POOL = "# Pool\n\nThe pool opens at seven in the morning. A locker needs a coin of one euro, which comes back afterwards.\n"
EN = Passage(1, "d", "library.md", 0, "Library", LIBRARY)
ZH = Passage(
    2, "z", "手册.md", 0, "", "员工入职满一年后，每年可以休十五天带薪年假。病假需要在当天上午九点之前告诉主管。"
)


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("How long may I keep a borrowed book?", None),
        ("What does the text say about fines?", "speaks_of_the_text"),
        ("Books are lent for ____?", "blank"),
        ("A child under twelve needs a card signed by whom?", "copied"),
        ("Fines for books?", "no_question"),
        ("How long? And who signs the card?", "no_question"),
        ("图书可以借多久？", "language"),
        ("How?", "length"),
    ],
)
def test_what_a_person_would_not_ask_is_dropped(question: str, reason: str | None) -> None:
    assert why_not(question, EN, []) == reason


def test_chinese_questions_are_judged_by_characters() -> None:
    assert why_not("工作一年的人能休多少天假？", ZH, []) is None
    assert why_not("员工入职满一年后，每年可以休多少天？", ZH, []) == "copied"
    assert why_not("资料里说病假要怎么请？", ZH, []) == "speaks_of_the_text"


def made(*answers: str, passage: Passage = EN, known: tuple[str, ...] = ()) -> tuple[BoardQuestion | None, Maker]:
    left = list(answers)

    async def ask(messages: Any, max_tokens: int) -> str:
        return left.pop(0)

    maker = Maker(ask, "m")
    return asyncio.run(maker.answerable(passage, known)), maker


def test_a_question_is_kept_with_the_sentence_that_answers_it() -> None:
    question, _ = made("Question: How long may I keep a borrowed book?\nAnswer: four weeks", "Four weeks.")
    assert question is not None and question.status == "proposed" and question.answers == ["four weeks"]
    assert question.quote == "Books are lent for four weeks."
    assert LIBRARY[question.start : question.end] == question.quote


@pytest.mark.parametrize(
    ("said", "again", "reason"),
    [
        ("Question: How long may I keep a borrowed book?\nAnswer: six weeks", "", "answer_not_in_passage"),
        ("Question: How long may I keep a borrowed book?\nAnswer: four weeks", "Twelve years", "not_confirmed"),
        ("How long may I keep a book", "", "form"),
        ("Question: Is a book due after four weeks?\nAnswer: four weeks", "", "answer_in_question"),
    ],
)
def test_an_answer_must_stand_in_the_passage_and_be_given_again(said: str, again: str, reason: str) -> None:
    question, maker = made(said, again)
    assert question is None and maker.dropped == {reason: 1}


def test_an_exercise_of_the_document_is_no_evidence() -> None:
    exercise = Passage(
        3, "e", "book.md", 0, "", "Exercises\n\nWhich matrix is a biofilm made of? Name three things that live in it."
    )
    found, maker = made("Question: What are biofilms built from?\nAnswer: matrix", "A matrix.", passage=exercise)
    assert found is None and maker.dropped == {"evidence_asks": 1}


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ("Where can visitors of the library park their car?", None),
        ("What does a late book cost at the library?", "answered"),  # the passage names a price
        ("Who painted the walls of the library?", "asks_for_something_else"),  # it may stand in any words
        ("What does the passage say about parking?", "speaks_of_the_text"),
        ("In which year did Napoleon die?", "elsewhere"),
    ],
)
def test_an_open_question_asks_for_what_no_neighbour_speaks_of(asked: str, reason: str | None) -> None:
    told: list[str] = []

    async def ask(messages: Any, max_tokens: int) -> str:
        told.append(messages[-1]["content"])
        return asked

    maker = Maker(ask, "m")
    found = asyncio.run(maker.unanswerable(EN, [], lambda q: [LIBRARY]))
    assert "the price" not in told[0]  # the model is offered only what the passage leaves open
    if reason is None:
        assert found is not None and not found.answerable
    else:
        assert found is None and maker.dropped == {reason: 1}


def test_an_open_question_that_a_neighbour_answers_is_dropped() -> None:
    async def ask(messages: Any, max_tokens: int) -> str:
        return "图书馆有停车的地方吗？"

    passage = Passage(
        1, "d", "图书馆.md", 0, "图书馆", "图书可以借四周，逾期每天罚款两角。十二岁以下的孩子办证要家长签字。"
    )
    assert asyncio.run(Maker(ask, "m").unanswerable(passage, [], lambda q: ["图书馆周一闭馆。"])) is not None
    maker = Maker(ask, "m")
    assert asyncio.run(maker.unanswerable(passage, [], lambda q: ["图书馆的地下车库有 40 个车位。"])) is None
    assert maker.dropped == {"answered": 1}


def test_f1_by_hand() -> None:
    assert token_f1("the four weeks", "Four weeks.") == 1.0
    assert token_f1("about four long weeks", "four weeks") == pytest.approx(2 * (2 / 4) * 1 / (2 / 4 + 1))
    assert token_f1("十五天", "十五天年假") == pytest.approx(2 * 1 * (3 / 5) / (1 + 3 / 5))
    assert token_f1("", "x") == 0.0
    assert own_words("Four weeks [1] — “Books are lent for four weeks.”") == "Four weeks"


def test_a_short_answer_alone_is_no_evidence() -> None:
    question = BoardQuestion(id="q", question="How much?", answers=["5"], quote="It costs 5 euros.", doc_id="d")
    assert holds_evidence(question, "Well, it costs 5 euros. Really.")
    assert not holds_evidence(question, "Room 5 is upstairs.")
    mine = BoardQuestion(id="q", question="How much?", answers=["5"])
    assert holds_evidence(mine, "Room 5 is upstairs.")  # nothing better is known of it
    assert holds_evidence(BoardQuestion(id="q", question="?", doc_name="a.md"), "x", doc_name="docs/a.md")


def row(question: str, **fields: Any) -> BoardRow:
    return BoardRow(
        **{
            "question_id": question,
            "question": question,
            "answerable": True,
            "known": ["x"],
            "label": "right",
            **fields,
        }
    )


def test_summary_by_hand() -> None:
    rows = [
        row("a", rank=1, reciprocal_rank=1.0, ndcg=1.0, refused=False, is_right=True, f1=0.8, citation_precision=0.5, citation_recall=1.0),
        row("b", rank=None, reciprocal_rank=0.0, ndcg=0.0, refused=True, is_right=False, f1=0.0, citation_recall=0.0, label="refused"),
        row("c", answerable=False, refused=True, is_right=True),
        row("d", answerable=False, refused=False, is_right=False, label="invented"),
    ]  # fmt: skip
    found = summary(rows)
    f = found["figures"]
    assert (f["hit@1"], f["mrr@10"], f["right"], f["answer_f1"]) == (0.5, 0.5, 0.5, 0.4)
    assert (f["citation_precision"], f["citation_recall"]) == (0.5, 0.5)
    assert (f["refused_answerable"], f["refused_unanswerable"]) == (0.5, 0.5)
    assert found["labels"] == {"right": 2, "refused": 1, "invented": 1}


def test_differences_are_paired() -> None:
    a = [row(str(i), reciprocal_rank=0.5, ndcg=0.5) for i in range(20)]
    b = [row(str(i), reciprocal_rank=1.0 if i % 2 else 0.5, ndcg=0.5) for i in range(20)] + [
        row("new", reciprocal_rank=0.0)
    ]
    found = {d.figure: d for d in compare(a, b)}
    assert found["mrr@10"].mean == 0.25 and found["mrr@10"].num_questions == 20
    assert 0.1 < found["mrr@10"].low < 0.25 < found["mrr@10"].high < 0.4
    assert (found["ndcg@10"].mean, found["ndcg@10"].low, found["ndcg@10"].high) == (0.0, 0.0, 0.0)
    assert compare(a, b) == compare(a, b) and "answer_f1" not in found


def test_documents_too_short_to_ask_about_are_told(context: Context, fill: Callable[..., KnowledgeBase]) -> None:
    """Nothing is asked, so the job says why nothing came of it."""
    kb = fill({"note.md": "# Note\n\nClosed on Monday.\n"})
    params = {"kb": kb.id, "set": "training", "count": 3, "model": "any"}
    job = SimpleNamespace(id="j", context=context)
    with pytest.raises(InputError, match="says enough to be asked about"):
        asyncio.run(board_job.make_questions(job, kb, params))  # type: ignore[arg-type]


def test_configurations_are_read_and_refused() -> None:
    assert read_setup(["passages=2", "meaning=0.3", "draft=true"]).said() == {
        "passages": 2,
        "meaning": 0.3,
        "draft": True,
    }
    with pytest.raises(InputError, match=r"passage \(passages\?\)"):
        read_setup(["passage=2"])
    with pytest.raises(InputError, match="overlap_tokens must be below"):
        read_setup(["chunk_tokens=50", "overlap_tokens=60"])


def test_a_set_is_reviewed_imported_and_exported(fill: Callable[..., KnowledgeBase]) -> None:
    kb = fill({"library.md": LIBRARY})
    sets = QuestionSets(kb)
    with pytest.raises(NotFoundError):
        sets.to_ask()
    proposed = sets.add(
        [BoardQuestion(id="", question="How long?", answers=["four weeks"], status="proposed", source="model")]
    )[0]
    assert sets.to_ask() == ([proposed], False)
    edited = sets.change(proposed.id, QuestionChange(question="How long is a loan?"))
    assert edited.status == "accepted" and sets.to_ask() == ([edited], True)
    one, other = sets.add(
        BoardQuestion(id="", set_name=name, question=f"Of {name}?", answers=["x"], status="proposed", source="model")
        for name in ("training", "main")
    )
    assert sets.accept((), "training") == 1, "all of a set are those of that set alone"
    assert [sets.get(q.id).status for q in (one, other)] == ["accepted", "proposed"]
    for made in (one, other):
        sets.delete(made.id)
    sets.take([Question.model_validate({"question": "Who signs?", "answer": ["a parent"], "doc": "library.md"})])
    with pytest.raises(InputError, match="none"):
        sets.take([Question.model_validate({"question": "Who?", "answer": "x", "doc": "none.md"})])
    lines = [json.loads(line) for line in sets.export().splitlines()]
    assert lines == [
        {"question": "How long is a loan?", "answer": ["four weeks"]},
        {"question": "Who signs?", "answer": ["a parent"], "doc": "library.md"},
    ]
    sets.delete(edited.id)
    assert [q.question for q in sets.list()] == ["Who signs?"]


def examinee(kb: KnowledgeBase, context: Context, client: ModelClient | None) -> Examinee:
    return Examinee(kb, embedder_of(context, HASH.name), Searching(), client, "m")


def begun(kb: KnowledgeBase, questions: list[BoardQuestion]) -> tuple[Runs, BoardRun]:
    runs = Runs(kb)
    return runs, runs.begin(BoardRun(id="", job_id="j", created_at="", num_questions=len(questions)))


def test_a_run_labels_what_went_wrong_and_leaves_no_trace(
    context: Context, fill: Callable[..., KnowledgeBase], scripted: Callable[..., ModelClient]
) -> None:
    kb = fill({"library.md": LIBRARY, "pool.md": POOL})
    quote = "A locker needs a coin of one euro, which comes back afterwards."
    questions = [
        BoardQuestion(id="1", question="What coin does a locker at the pool need?", answers=["one euro"], quote=quote),
        BoardQuestion(id="2", question="What coin does the locker need at this pool?", answers=["one euro"], quote=quote),
        BoardQuestion(id="3", question="When does the library open on Sundays?", answers=["noon"], quote="It opens at noon."),
        BoardQuestion(id="4", question="Who painted the Mona Lisa of Timbuktu?"),
    ]  # fmt: skip
    runs, run = begun(kb, questions)
    client = scripted("a coin of one euro [1]", "The documents do not say.", "seven in the morning [1]", logprob=-0.01)
    done = asyncio.run(run_questions(runs, run, examinee(kb, context, client), questions, lambda n, of: None))
    labels = {r.question_id: r.label for r in runs.rows(run.id)}
    assert labels == {"1": "right", "2": "refused", "3": "not_in_index", "4": "right"}
    first = runs.rows(run.id)[0]
    assert first.rank == 1 and first.f1 and first.citation_precision == 1.0 and first.citation_recall == 1.0
    assert done.summary is not None and done.summary["figures"]["refused_unanswerable"] == 1.0
    assert kb.traces() == []  # none of it is a person's question


def test_a_run_that_was_stopped_goes_on_behind_the_last_question(
    context: Context, fill: Callable[..., KnowledgeBase]
) -> None:
    kb = fill({"pool.md": POOL})
    questions = [
        BoardQuestion(id=str(i), question=f"What coin does locker {i} need?", answers=["one euro"]) for i in range(4)
    ]
    runs, run = begun(kb, questions)

    def stop(done: int, of: int) -> None:
        if done == 2:
            raise CancelledByUser("stopped")

    with pytest.raises(CancelledByUser):
        asyncio.run(run_questions(runs, run, examinee(kb, context, None), questions, stop))
    assert runs.get(run.id).num_done == 2 and runs.get(run.id).summary is None
    seen: list[int] = []
    asyncio.run(run_questions(runs, run, examinee(kb, context, None), questions, lambda n, of: seen.append(n)))
    assert seen == [2, 3] and [r.question_id for r in runs.rows(run.id)] == ["0", "1", "2", "3"]


def test_another_splitting_is_tried_beside_the_index(context: Context, fill: Callable[..., KnowledgeBase]) -> None:
    kb = fill({"library.txt": "Books are lent for four weeks to anyone who has a card. " * 40})
    setup = Setup(chunk_tokens=40, overlap_tokens=0)
    before = kb.info().num_chunks
    trial = trial_of(context, kb, setup, lambda share, name: None)
    assert trial.info().num_chunks > 2 * before and kb.info().num_chunks == before
    trial.close()
    again = trial_of(context, kb, setup, lambda share, name: pytest.fail("it is there already"))
    again.close()
    drop_trial(kb, setup)
    assert list(kb.folder.glob("trial-*")) == []


def test_a_trial_that_is_given_up_is_closed(
    context: Context, fill: Callable[..., KnowledgeBase], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[KbDatabase] = []

    def note(path: Path) -> KbDatabase:
        opened.append(KbDatabase(path))
        return opened[-1]

    def give_up(_share: float, _name: str) -> None:
        raise CancelledByUser(T("Stopped.", "已停止。"))

    monkeypatch.setattr(trials, "KbDatabase", note)
    with pytest.raises(CancelledByUser):
        trial_of(context, fill({"pool.md": POOL}), Setup(chunk_tokens=40), give_up)
    for database in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
            database.meta("name")


def test_the_job_measures_each_configuration_once(context: Context, fill: Callable[..., KnowledgeBase]) -> None:
    kb = fill({"library.md": LIBRARY, "pool.md": POOL})
    QuestionSets(kb).add([BoardQuestion(id="", question="What coin does a locker need?", answers=["one euro"])])
    told: list[float] = []
    job = SimpleNamespace(id="j1", context=context, progress=lambda f, s, d="": told.append(f), log=print)
    ways = [
        {"retrieval_only": True},
        {"retrieval_only": True, "meaning": 0.0},
        {"retrieval_only": True, "chunk_tokens": 40},
    ]
    params = {"kb": kb.id, "set": "main", "setups": ways}
    first = board_job.run_evaluation_job(job, params)  # type: ignore[arg-type]
    assert first == board_job.run_evaluation_job(job, params)  # type: ignore[arg-type]
    history = Runs(kb).list()
    assert len(history) == 3 and told == sorted(told)
    assert history[0].resolved["chunks"] >= history[1].resolved["chunks"]
    assert all(r.summary and r.summary["figures"]["hit@5"] == 1.0 for r in history)
    assert list(kb.folder.glob("trial-*")) == []


def test_what_was_made_of_a_document_goes_with_it(context: Context, fill: Callable[..., KnowledgeBase]) -> None:
    kb = fill({"library.md": LIBRARY, "pool.md": POOL})
    gone, kept = kb.documents()
    sets = QuestionSets(kb)
    sets.add([
        BoardQuestion(id="g", question="How long?", answers=["four weeks"], doc_id=gone.id),
        BoardQuestion(id="k", question="What coin?", answers=["one euro"], doc_id=kept.id),
    ])  # fmt: skip
    runs, run = begun(kb, sets.list())
    asyncio.run(run_questions(runs, run, examinee(kb, context, None), sets.list(), lambda n, of: None))
    trial_of(context, kb, Setup(chunk_tokens=50), lambda share, name: None).close()
    kb.remove(gone.id)
    assert [q.id for q in sets.list()] == ["k"]
    assert all(r.doc_id == kept.id for r in runs.rows(run.id))
    assert list(kb.folder.glob("trial-*")) == []
