"""Questions to documents, their summaries, and the acceptance run with the model that comes with the program."""

from __future__ import annotations

import asyncio
import io
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from zhilu.apps.docqa.acceptance import DocCase, doc_cases, judge, samples
from zhilu.apps.docqa.ask import answer
from zhilu.apps.docqa.product import PRODUCT
from zhilu.apps.docqa.summary import summary_of, sweep
from zhilu.context import Context, open_context
from zhilu.host.app import create_app
from zhilu.jobs import JobStore
from zhilu.jobs.process import kill_marked
from zhilu.longtext.runs import LongtextRuns
from zhilu.rag.answer import open_shelf, temporary_shelf
from zhilu.rag.index.ingest import ingest_document
from zhilu.rag.library import Library

NOTES = """# Notes

The boat is painted green every spring.

| Boat | Length (m) |
| --- | --- |
| Alma | 12 |
| Berta | 9 |
"""


@pytest.fixture
def context() -> Iterator[Context]:
    opened = open_context({"base_url": "http://127.0.0.1:9/v1", "model": "m"})
    yield opened
    for job in JobStore(opened).list():
        kill_marked(job.id)
    opened.close()


@pytest.fixture
def kb(context: Context) -> tuple[str, str]:
    """A knowledge base with one document that is read: their ids."""
    made = Library(context).create("boats", embedder="none")
    document, _ = made.add(io.BytesIO(NOTES.encode()), "notes.md", max_mb=1)
    ingest_document(made, document.id, None, lambda share, stage: None)
    return made.id, document.id


@pytest.fixture
def http(context: Context) -> Iterator[TestClient]:
    with TestClient(create_app(context, only=("docqa", "rag")), base_url="http://127.0.0.1:8642") as client:
        yield client


def events(body: str) -> list[tuple[str, Any]]:
    blocks = [block.split("\n") for block in body.strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def test_a_table_answers_without_a_model_and_cites_its_row(http: TestClient, kb: tuple[str, str]) -> None:
    reply = http.post(f"/zhilu/v1/docqa/{kb[0]}/ask", json={"question": "What is the length of Berta?"})
    ((name, done),) = events(reply.text)
    (cited,) = done["citations"]
    assert (name, done["answer"], done["refused"]) == ("done", "Berta, Length (m): 9. [1]", False)
    assert NOTES[cited["quote_start"] : cited["quote_end"]] == "| Berta | 9 |"
    assert (cited["doc_id"], cited["heading"], cited["cited"]) == (kb[1], "Notes", True)
    assert (done["table"]["value"], done["table"]["rows"]) == ("9", [["Berta", "9"]])


def test_what_no_table_says_is_asked_of_the_words(http: TestClient, kb: tuple[str, str]) -> None:
    reply = http.post(
        f"/zhilu/v1/docqa/{kb[0]}/ask", json={"question": "What colour is the boat painted every spring?"}
    )
    names = [name for name, _ in events(reply.text)]
    assert names == ["retrieved", "error"], "no model answers at this address, and the stream says so"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("{kb}/ask", {"question": ""}, 422),
        ("{kb}/ask", {"question": "x", "temperature": 1}, 422),
        ("nowhere/ask", {"question": "x"}, 404),
        ("{kb}/documents/000000000000/summary", None, 404),
        ("{kb}/documents/..%2f..%2fx/summary", None, 404),
    ],
)
def test_what_cannot_be_asked_is_refused(
    http: TestClient, kb: tuple[str, str], path: str, body: dict[str, Any] | None, status: int
) -> None:
    assert http.post(f"/zhilu/v1/docqa/{path.format(kb=kb[0])}", json=body).status_code in (
        status,
        400 if status == 422 else status,
    )


def test_tables_are_listed(http: TestClient, kb: tuple[str, str]) -> None:
    (table,) = http.get(f"/zhilu/v1/docqa/{kb[0]}/documents/{kb[1]}/tables").json()
    assert (table["heading"], table["columns"], table["num_rows"]) == ("Notes", ["Boat", "Length (m)"], 2)
    assert NOTES[table["start"] :].startswith("| Alma")


def test_a_summary_is_begun_found_begun_anew_and_deleted(
    http: TestClient, context: Context, kb: tuple[str, str]
) -> None:
    at = f"/zhilu/v1/docqa/{kb[0]}/documents/{kb[1]}/summary"
    assert http.get(at).json() == {"summary": None}
    first = http.post(at).json()
    assert (first["run"]["wish"]["want"], first["run"]["wish"]["name"], first["job"]["kind"]) == (
        "summary",
        "notes.md",
        "longtext",
    )
    assert LongtextRuns(context).text(first["run"]["id"]) == NOTES.strip()
    second = http.post(at).json()
    assert http.get(at).json()["summary"]["run"]["id"] == second["run"]["id"]
    assert [run.id for run in LongtextRuns(context).list()] == [second["run"]["id"]], "the one before is gone"
    assert http.delete(at).status_code == 204
    assert http.get(at).json() == {"summary": None} and LongtextRuns(context).list() == []


def test_a_deleted_document_leaves_no_summary(http: TestClient, context: Context, kb: tuple[str, str]) -> None:
    at = f"/zhilu/v1/docqa/{kb[0]}/documents/{kb[1]}/summary"
    http.post(at)
    assert sweep(context) == 0
    assert http.delete(f"/zhilu/v1/kbs/{kb[0]}/documents/{kb[1]}").status_code == 204
    assert sweep(context) == 1
    assert LongtextRuns(context).list() == []
    assert list((context.home.path / "apps/docqa/summaries").iterdir()) == []


def test_a_summary_that_was_deleted_elsewhere_is_none(http: TestClient, context: Context, kb: tuple[str, str]) -> None:
    made = http.post(f"/zhilu/v1/docqa/{kb[0]}/documents/{kb[1]}/summary").json()
    LongtextRuns(context).delete(made["run"]["id"])
    assert summary_of(context, open_shelf(context, kb[0]), kb[1]) is None


def test_the_cases_are_what_they_are_said_to_be() -> None:
    cases = doc_cases()
    kinds = Counter((case.lang, case.kind) for case in cases)
    assert kinds == {(lang, kind): n for lang in ("en", "zh") for kind, n in (("text", 8), ("table", 2), ("none", 2))}
    assert len({case.question for case in cases}) == len(cases) == 24
    for case in cases:
        assert bool(case.answers) == bool(case.document) == (case.kind != "none")
        assert not case.document or case.document in samples()


def done(answer: str = "", *, refused: bool = False, cites: str = "a.md", cited: bool = True) -> dict[str, Any]:
    return {"answer": answer, "refused": refused, "citations": [{"cited": cited, "doc_name": cites}]}


@pytest.mark.parametrize(
    ("answers", "given", "right"),
    [
        (["4 euros"], done("It costs 4  Euros."), True),
        (["1250"], done("1,250 [1]"), True),
        (["4 euros"], done("It costs 5 euros."), False),
        (["4 euros"], done("4 euros", cites="b.md"), False),
        (["4 euros"], done("4 euros", cited=False), False),
        (["4 euros"], done("4 euros", refused=True), False),
        ([], done("not there", refused=True), True),
        ([], done("It is blue."), False),
        ([], {}, False),
    ],
)  # fmt: skip
def test_right_is_said_and_cited(answers: list[str], given: dict[str, Any], right: bool) -> None:
    case = DocCase(lang="en", kind="text", question="?", answers=answers, document="a.md" if answers else "")
    assert judge(case, given).right is right


def test_the_documents_of_a_temporary_shelf_are_nobodys(context: Context) -> None:
    async def run() -> list[str]:
        async with temporary_shelf(context, samples()) as shelf:
            names = [d.name for d in shelf.documents() if d.status == "ready"]
            said = [e.data["answer"] async for e in answer(None, "m", shelf, "电子阅览室有多少个座位？")]  # type: ignore[arg-type]
            assert said == ["电子阅览室，座位数：40。 [1]"]
            return names

    assert sorted(asyncio.run(run())) == sorted(samples())
    assert Library(context).list() == [] and list(context.home.cache.glob("tmp*")) == []


@pytest.mark.slow
def test_the_acceptance_run_reaches_its_floor_with_the_model_that_comes_with_the_program() -> None:
    """Real retrieval, the real embedded model behind a real gateway: nothing of it is scripted."""
    from zhilu.apps.checking import run_acceptance
    from zhilu.client import connect

    context = open_context({"starter": "none", "torch": "none"})

    async def run() -> Any:
        async with connect(context) as client:
            return await run_acceptance(context, client, PRODUCT)

    made = asyncio.run(run())
    assert made.model == "zhilu-nano" and len(made.cases) == 24
    assert made.passed, [(c.case, c.said, c.why) for c in made.cases if not c.right]
