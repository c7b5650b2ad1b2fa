"""OpenAI's files and vector stores, by the official library, over real files and real jobs."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from starlette.testclient import TestClient
from tests.contract.foreign_server import serve

from zhilu.context import Context, open_context
from zhilu.host.app import create_app
from zhilu.jobs import JobStore
from zhilu.jobs.process import kill_marked
from zhilu.rag.library import Library
from zhilu.rag.openai.attached import Attachments
from zhilu.rag.openai.files import FileShelf

POWER = b"# Power\n\nThe charger needs 65 watts. A full battery lasts eleven hours.\n"
LEAVE = "# 年假\n\n入职满一年的员工每年有十五天年假。\n".encode()
GROUPS = ("rag", "jobs", "openai-files", "vector-stores", "vector-store-files")


@pytest.fixture
def context() -> Iterator[Context]:
    opened = open_context({"embedder": "zhilu-embed", "max_upload_mb": 1})
    yield opened
    for job in JobStore(opened).list():
        kill_marked(job.id)
    opened.close()


@pytest.fixture
def http(context: Context) -> Iterator[TestClient]:
    with TestClient(create_app(context, only=GROUPS), base_url="http://127.0.0.1:8642") as client:
        yield client


@pytest.fixture
def client(http: TestClient) -> openai.OpenAI:
    return openai.OpenAI(base_url="http://127.0.0.1:8642/v1", api_key="none", http_client=http, max_retries=0)


def put(client: openai.OpenAI, store: str, name: str, content: bytes, **more: Any) -> Any:
    return client.vector_stores.files.upload_and_poll(vector_store_id=store, file=(name, io.BytesIO(content)), **more)


def test_a_store_is_made_filled_and_searched(client: openai.OpenAI, context: Context) -> None:
    store = client.vector_stores.create(name="Support", metadata={"team": "a"})
    assert store.id.startswith("vs_") and store.status == "completed" and store.metadata == {"team": "a"}
    power = put(client, store.id, "power.md", POWER, attributes={"year": 2025, "lang": "en"})
    leave = put(client, store.id, "leave.md", LEAVE, attributes={"year": 2023, "lang": "zh"})
    assert (power.status, leave.status, power.last_error) == ("completed", "completed", None)

    page = client.vector_stores.search(store.id, query="How long does the battery last?")
    best = page.data[0]
    assert best.file_id == power.id and best.filename == "power.md" and "eleven hours" in best.content[0].text
    assert best.attributes == {"year": 2025, "lang": "en"}
    old: Any = {"type": "and", "filters": [{"type": "lt", "key": "year", "value": 2024}, {"type": "eq", "key": "lang", "value": "zh"}]}  # fmt: skip
    found = client.vector_stores.search(store.id, query="battery 年假", filters=old, max_num_results=3)
    assert {f.file_id for f in found.data} == {leave.id}
    strict = client.vector_stores.search(store.id, query="battery", ranking_options={"score_threshold": 1.0})
    assert all(f.score >= 1.0 for f in strict.data)
    both = client.vector_stores.search(store.id, query=["battery", "年假"], max_num_results=2)
    assert {f.file_id for f in both.data} == {power.id, leave.id}

    counted = client.vector_stores.retrieve(store.id)
    assert (counted.file_counts.completed, counted.file_counts.total) == (2, 2) and counted.usage_bytes > 0
    assert "".join(p.text or "" for p in client.vector_stores.files.content(power.id, vector_store_id=store.id)).startswith("# Power")  # fmt: skip
    assert Library(context).open("Support").id == store.id.removeprefix("vs_")  # the page shows the same


def test_files_live_apart_from_their_stores(client: openai.OpenAI) -> None:
    file = client.files.create(file=("power.md", POWER), purpose="assistants")
    assert (file.filename, file.bytes, file.purpose) == ("power.md", len(POWER), "assistants")
    assert client.files.content(file.id).read() == POWER
    store = client.vector_stores.create(name="a", file_ids=[file.id])
    there = client.vector_stores.files.poll(file.id, vector_store_id=store.id)
    assert there.status == "completed"
    assert client.vector_stores.files.create(vector_store_id=store.id, file_id=file.id).id == file.id  # once is enough
    changed = client.vector_stores.files.update(file.id, vector_store_id=store.id, attributes={"x": True})
    assert changed.attributes == {"x": True}
    assert client.vector_stores.files.delete(file.id, vector_store_id=store.id).deleted
    assert not client.vector_stores.files.list(store.id).data and client.files.retrieve(file.id).id == file.id
    assert client.vector_stores.search(store.id, query="battery").data == []
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)
    assert client.vector_stores.delete(store.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.vector_stores.retrieve(store.id)


def test_a_deleted_file_is_gone_from_every_store(client: openai.OpenAI, context: Context) -> None:
    word = b"quagmirezzq"
    file = client.files.create(file=("a.txt", b"The word is " + word), purpose="assistants")
    stores = [client.vector_stores.create(name=name, file_ids=[file.id]).id for name in "ab"]
    for store in stores:
        assert client.vector_stores.files.poll(file.id, vector_store_id=store).status == "completed"
        assert client.vector_stores.search(store, query="quagmirezzq").data
    assert client.files.delete(file.id).deleted
    for store in stores:
        assert (
            client.vector_stores.files.list(store).data
            == client.vector_stores.search(store, query="quagmirezzq").data
            == []
        )
    left = [p for folder in ("files", "kbs") for p in (context.home.path / folder).rglob("*") if p.is_file()]
    assert left and not [p for p in left if word in p.read_bytes()]
    with pytest.raises(openai.NotFoundError):
        client.files.delete(file.id)


def test_a_file_put_in_by_many_at_once_is_one_document(client: openai.OpenAI, context: Context) -> None:
    store = client.vector_stores.create(name="a")
    file = client.files.create(file=("a.txt", b"once upon a time"), purpose="assistants")
    shelf = FileShelf(context.home)
    begin = threading.Barrier(6)

    def put_in(_: int) -> str:
        kb = Library(context).open("a")
        begin.wait()
        with shelf.original(file.id).open("rb") as stream:
            return Attachments(kb).add(shelf.get(file.id), stream, {}, max_mb=1).id

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(put_in, range(6))) == {file.id}
    assert [one.id for one in client.vector_stores.files.list(store.id).data] == [file.id]


def test_stores_of_one_name_that_are_made_at_once_are_numbered(context: Context) -> None:
    begin = threading.Barrier(4)

    def make(_: int) -> str:
        begin.wait()
        return Library(context).create("a", numbered=True).name

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(make, range(4))) == ["a", "a (2)", "a (3)", "a (4)"]


ODD: dict[str, Any] = {
    "attributes": [b'{"a": "\\ud800"}', b'{"a": NaN}', b'{"a": 1e400}', b'{"a": "%s"}' % (b"x" * 513)],
    "ranking_options": [b'{"hybrid_search": {"embedding_weight": 1e400, "text_weight": 1e400}}'],
    "filters": [b'{"type": "and", "filters": [' * 150 + b'{"type": "eq", "key": "a", "value": 1}' + b"]}" * 150],
}


def test_values_that_nothing_could_hold_are_refused(client: openai.OpenAI, http: TestClient) -> None:
    store = client.vector_stores.create(name="a")
    put(client, store.id, "a.txt", b"once upon a time")
    file = client.vector_stores.files.list(store.id).data[0].id
    for name, values in ODD.items():
        path = f"files/{file}" if name == "attributes" else "search"
        for value in values:
            body = b'{"%s": %s%s}' % (name.encode(), value, b"" if name == "attributes" else b', "query": "x"')
            got = http.post(
                f"/v1/vector_stores/{store.id}/{path}", content=body, headers={"Content-Type": "application/json"}
            )
            assert got.status_code == 400, (name, value[:60], got.text[:200])
    form = {"purpose": "assistants"}
    for field in ("expires_after[seconds]", "bogus"):
        got = http.post("/v1/files", files={"file": ("a", b"x")}, data={**form, field: "1"})
        assert got.status_code == 400 and field.partition("[")[0] in got.json()["error"]["param"]
    auto = http.post("/v1/vector_stores", json={"chunking_strategy": {"type": "auto", "static": {}}})
    assert auto.status_code == 400 and auto.json()["error"]["param"] == "chunking_strategy"


def test_two_files_of_one_name_are_two(client: openai.OpenAI) -> None:
    store = client.vector_stores.create(name="a")
    one, two = (
        put(client, store.id, "note.txt", text) for text in (b"The gate code is 4711.", b"The gate code is 0815.")
    )
    assert {f.id for f in client.vector_stores.files.list(store.id)} == {one.id, two.id}
    found = client.vector_stores.search(store.id, query="gate code").data
    assert {(f.file_id, f.filename) for f in found} == {(one.id, "note.txt"), (two.id, "note.txt")}
    assert client.vector_stores.create(name="a").name == "a (2)"


def test_batches(client: openai.OpenAI) -> None:
    store = client.vector_stores.create(name="a")
    batch = client.vector_stores.file_batches.upload_and_poll(
        store.id, files=[("power.md", POWER), ("leave.md", LEAVE), ("bad.pdf", b"%PDF-1.7 cut off")]
    )
    assert batch.status == "completed" and batch.file_counts.model_dump() == {
        "cancelled": 0, "completed": 2, "failed": 1, "in_progress": 0, "total": 3,
    }  # fmt: skip
    failed = client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id, filter="failed").data
    assert len(failed) == 1 and failed[0].last_error is not None and failed[0].last_error.message
    assert client.vector_stores.file_batches.cancel(batch.id, vector_store_id=store.id).file_counts.completed == 2
    first = client.vector_stores.files.list(store.id, limit=2, order="asc")
    assert len(first.data) == 2 and first.has_next_page() and len(list(first)) == 3


def test_what_has_no_counterpart_is_refused_by_name(client: openai.OpenAI, http: TestClient) -> None:
    store = client.vector_stores.create(name="a")
    file = client.files.create(file=("power.md", POWER), purpose="user_data")
    small: Any = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 10}}
    for call, name in (
        (lambda: client.files.create(file=("a", b"x"), purpose="fine-tune"), "purpose"),
        (lambda: client.vector_stores.create(expires_after={"anchor": "last_active_at", "days": 1}), "expires_after"),
        (
            lambda: client.vector_stores.files.create(store.id, file_id=file.id, chunking_strategy=small),
            "chunking_strategy",
        ),
        (lambda: client.vector_stores.search(store.id, query="x", rewrite_query=True), "rewrite_query"),
        (lambda: client.vector_stores.search(store.id, query="x", extra_body={"rerank": 1}), "rerank"),
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            call()
        assert refused.value.param == name
    with pytest.raises(openai.APIStatusError) as large:
        client.files.create(file=("a.txt", b"x" * (1 << 21)), purpose="assistants")
    assert large.value.status_code == 413
    for hostile in ("../../etc/passwd", "file-..%2f..%2fsettings", "file-" + "0" * 24, "kb.db"):
        assert http.get(f"/v1/files/{hostile}/content").status_code == 404
    assert client.vector_stores.files.list(store.id).data == []


def test_documents_of_the_page_are_files_too(client: openai.OpenAI, http: TestClient, context: Context) -> None:
    kb = Library(context).create("handbook")
    made = http.post(f"/zhilu/v1/kbs/{kb.id}/documents", files=[("files", ("guide/power.md", POWER))]).json()
    JobStore(context).wait(made["job"]["id"], timeout=60)
    (file,) = client.vector_stores.files.list(f"vs_{kb.id}").data
    assert file.status == "completed" and client.files.retrieve(file.id).filename == "guide/power.md"
    assert client.files.content(file.id).read() == POWER
    assert client.vector_stores.search("handbook", query="charger").data[0].file_id == file.id  # by name, too
    assert client.vector_stores.files.update(file.id, vector_store_id=kb.id, attributes={"a": 1.5}).attributes == {
        "a": 1.5
    }
    assert client.files.delete(file.id).deleted and not kb.documents()


def test_a_key_is_asked_for_where_one_is_set(http: TestClient) -> None:
    context = open_context({"api_key": "a-key-of-16-letters"})
    with TestClient(create_app(context, only=GROUPS), base_url="http://127.0.0.1:8642") as locked:
        for path in ("/v1/files", "/v1/vector_stores"):
            assert locked.get(path).status_code == 401
            assert locked.get(path, headers={"Authorization": "Bearer a-key-of-16-letters"}).status_code == 200
    context.close()
    assert http.post("/v1/vector_stores", json={}, headers={"Origin": "https://evil.example"}).status_code == 403


def test_responses_search_files_before_they_answer() -> None:
    asked: list[dict[str, Any]] = []

    def answer(path: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, str]:
        if path != "/v1/chat/completions":
            return 200, json.dumps({"data": [{"id": "m", "max_model_len": 4096}]})
        asked.append(body)
        said = {"role": "assistant", "content": "Eleven hours [1]."}
        choice = {"index": 0, "message": said, "delta": said, "finish_reason": "stop"}
        if body.get("stream"):
            return 200, f"data: {json.dumps({'choices': [choice]})}\n\ndata: [DONE]\n\n"
        return 200, json.dumps(
            {"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}
        )

    with serve(answer) as url:
        context = open_context({"embedder": "zhilu-embed"})
        app = create_app(context, only=(*GROUPS, "serving"))
        with TestClient(app, base_url="http://127.0.0.1:8642") as http:
            client = openai.OpenAI(base_url="http://127.0.0.1:8642/v1", api_key="none", http_client=http, max_retries=0)
            far = {"engine": "openai", "base_url": f"{url}/v1", "remote_model": "m"}
            assert http.post("/zhilu/v1/models/m/start", json=far).status_code == 202
            store = client.vector_stores.create(name="a")
            file = put(client, store.id, "power.md", POWER, attributes={"lang": "en"})
            tool: Any = {"type": "file_search", "vector_store_ids": [store.id], "max_num_results": 2}
            question = "How long does the battery last?"
            made = client.responses.create(
                model="m", input=question, tools=[tool], include=["file_search_call.results"], store=False
            )
            search, message = made.output
            assert search.type == "file_search_call" and search.results and search.results[0].file_id == file.id
            assert message.type == "message" and made.output_text == "Eleven hours [1]."
            cited: Any = message.content[0].annotations[0]  # type: ignore[union-attr]
            assert cited.type == "file_citation" and (cited.file_id, cited.filename) == (file.id, "power.md")
            assert "eleven hours" in asked[-1]["messages"][-1]["content"] and "tools" not in asked[-1]
            with client.responses.stream(model="m", input=question, tools=[tool], store=False) as stream:
                assert "response.file_search_call.completed" in {event.type for event in stream}
            none: Any = {**tool, "filters": {"type": "eq", "key": "lang", "value": "zh"}}
            client.responses.create(model="m", input=question, tools=[none], store=False)
            assert asked[-1]["messages"][-1]["content"] == question
            wrongs: list[tuple[dict[str, Any], int]] = [
                ({"vector_store_ids": ["vs_none"]}, 404),
                ({"filters": {"type": "like"}}, 400),
            ]
            for wrong, status in wrongs:
                with pytest.raises(openai.APIStatusError) as refused:
                    changed: Any = {**tool, **wrong}
                    client.responses.create(model="m", input=question, tools=[changed], store=False)
                assert refused.value.status_code == status
        for job in JobStore(context).list():
            kill_marked(job.id)
        context.close()
