"""What clients and probes of vLLM's server find beside OpenAI's endpoints: small routes, scores, cut texts, one door for all."""

from __future__ import annotations

import base64
import json
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from tests.contract.gateway_server import RunningGateway, run_gateway, run_tiny_gateway

from zhilu import __version__
from zhilu.serving.proofs.adapter_proof import make_adapter

FRANCE, GERMANY = "The capital of France is Paris.", "The capital of Germany is Berlin."
QUERIES = ["What is the capital of France?", "What is the capital of Germany?"]
CHAT = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 4, "temperature": 0}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with run_tiny_gateway(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture
def http(gateway: RunningGateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, timeout=120, trust_env=False) as client:
        yield client


def test_probes_find_what_they_look_for(http: httpx.Client) -> None:
    assert http.get("/version").json() == {"version": __version__}
    for reply in (http.get("/health"), http.get("/ping"), http.post("/ping")):
        assert reply.status_code == 200
    info = http.get("/tokenizer_info").json()
    assert info["tokenizer_class"] and "<|im_start|>" in info["chat_template"]
    assert http.get("/tokenizer_info", params={"model": "nope"}).status_code == 404


def test_the_load_is_the_number_of_open_requests(http: httpx.Client, gateway: RunningGateway) -> None:
    assert http.get("/load").json() == {"server_load": 0}
    body = {"prompt": "x", "max_tokens": 3000, "temperature": 1, "ignore_eos": True}
    worker = threading.Thread(target=lambda: httpx.post(f"{gateway.url}/v1/completions", json=body, timeout=120))
    worker.start()
    seen = set()
    while worker.is_alive():
        seen.add(http.get("/load").json()["server_load"])
        time.sleep(0.01)
    worker.join()
    assert 1 in seen
    assert http.get("/load").json() == {"server_load": 0}


def test_one_door_for_all_kinds_of_requests(http: httpx.Client) -> None:
    through, direct = (http.post(path, json=CHAT).json() for path in ("/invocations", "/v1/chat/completions"))
    assert through["choices"] == direct["choices"] and through.keys() == direct.keys()
    assert http.post("/invocations", json={"prompt": "x", "max_tokens": 1}).json()["object"] == "text_completion"
    assert http.post("/invocations", json={"model": "minilm", "input": "x"}).json()["data"][0]["embedding"]
    assert http.post("/invocations", json={"model": "minilm", "query": "x", "documents": ["y"]}).json()["results"]
    assert http.post("/invocations", json={"model": "minilm", "text_1": "x", "text_2": "y"}).json()["data"]
    assert http.post("/invocations", json={"stream": True}).status_code == 400


def test_the_small_routes_ask_for_the_key_too(tmp_path: Any) -> None:
    with (
        run_gateway(tmp_path, {"api_key": "secret-of-the-test"}) as running,
        httpx.Client(base_url=running.url) as client,
    ):
        for path in ("/invocations", "/rerank", "/v2/rerank", "/score", "/v1/score", "/abort_requests"):
            assert client.post(path, json={}).status_code == 401, path
        for path in ("/load", "/tokenizer_info"):
            assert client.get(path).status_code == 401, path
        assert client.get("/ping").status_code == client.get("/version").status_code == 200


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/invocations", "/score"]
)
def test_a_body_that_is_a_form_is_refused(http: httpx.Client, path: str) -> None:
    reply = http.post(path, content=json.dumps(CHAT), headers={"content-type": "application/x-www-form-urlencoded"})
    assert reply.status_code == 415
    assert "application/json" in reply.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_no_counts_where_they_were_refused(http: httpx.Client, path: str) -> None:
    """The gateway counts for its log; the client that says no sees none, whatever it says of every event."""
    options = {"include_usage": False, "continuous_usage_stats": True}
    body = {"max_tokens": 3, "stream": True, "stream_options": options}
    body |= {"prompt": "x"} if path.endswith("/v1/completions") else {"messages": CHAT["messages"]}
    events = [line[6:] for line in http.post(path, json=body).text.split("\n\n") if line]
    assert len(events) >= 2 and events[-1] == "[DONE]"  # tokens made meanwhile share an event
    assert all(json.loads(event).get("usage") is None for event in events[:-1])


def test_models_have_a_root_and_the_default_comes_first(http: httpx.Client) -> None:
    first, *others = http.get("/v1/models").json()["data"]
    assert (first["id"], first["root"], first["parent"]) == ("tiny", "tiny", None)
    assert all("root" in entry and "parent" in entry for entry in others)


def test_an_adapter_of_the_same_name_has_already_been_loaded(gateway: RunningGateway) -> None:
    home = gateway.context.home
    folder = str(make_adapter(home.models / "tiny", home.adapters / "fits"))
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client:
        body = {"lora_name": "mine", "lora_path": folder}
        assert "success" in client.post("load_lora_adapter", cast_to=str, body=body)
        *_, last = client.models.list().data
        assert (last.id, last.parent, last.root) == ("mine", "tiny", folder)  # type: ignore[attr-defined]
        with pytest.raises(openai.BadRequestError, match="already been loaded"):
            client.post("load_lora_adapter", cast_to=str, body=body)
        assert "success" in client.post("load_lora_adapter", cast_to=str, body={**body, "load_inplace": True})
        assert "success" in client.post("unload_lora_adapter", cast_to=str, body={"lora_name": "mine"})


# -- scores and cut texts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_rerank_stands_at_all_its_addresses(http: httpx.Client, path: str) -> None:
    body = {"model": "minilm", "query": QUERIES[0], "documents": [GERMANY, FRANCE, "a cat"], "top_n": 2}
    results = http.post(path, json=body).json()["results"]
    assert [result["index"] for result in results] == [1, 0]


@pytest.mark.parametrize("path", ["/score", "/v1/score"])
@pytest.mark.parametrize(
    "names", [("queries", "documents"), ("queries", "items"), ("text_1", "text_2"), ("data_1", "data_2")]
)
def test_pairs_are_scored_under_all_their_names(http: httpx.Client, path: str, names: tuple[str, str]) -> None:
    def scores(left: Any, right: Any) -> list[float]:
        reply = http.post(path, json={"model": "minilm", names[0]: left, names[1]: right})
        assert reply.status_code == 200, reply.text
        assert [entry["index"] for entry in reply.json()["data"]] == list(range(len(reply.json()["data"])))
        return [entry["score"] for entry in reply.json()["data"]]

    right, wrong = scores(QUERIES[0], [FRANCE, GERMANY])
    assert right > wrong
    assert scores(QUERIES, [FRANCE, GERMANY]) == pytest.approx([right, scores(QUERIES[1], GERMANY)[0]], abs=0.01)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"queries": QUERIES, "documents": ["a", "b", "c"]}, "documents"),
        ({"queries": "a", "text_1": "b", "documents": "c"}, "text_1"),
        ({"queries": "a"}, "documents"),
        ({"queries": "a", "documents": " "}, "documents"),
        ({"queries": "a", "documents": "b", "truncate_prompt_tokens": 0}, "truncate_prompt_tokens"),
        ({"queries": "a", "documents": "b", "use_activation": False}, "use_activation"),
    ],
)
def test_scores_that_cannot_be_are_refused_by_name(http: httpx.Client, body: dict[str, Any], param: str) -> None:
    reply = http.post("/score", json={"model": "minilm", **body})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("model", ["minilm", "zhilu-embed", "bilingual"])
def test_texts_are_cut_where_that_is_asked_for_and_nowhere_else(http: httpx.Client, model: str) -> None:
    long = "Como o Brasil pode fomentar o desenvolvimento de modelos de IA? " * 3

    def embed(text: str, **fields: Any) -> Any:
        return http.post("/v1/embeddings", json={"model": model, "input": text, **fields})

    for count in (4, 9, 10):
        cut = embed(long, truncate_prompt_tokens=count).json()
        assert cut["usage"] == {"prompt_tokens": count, "completion_tokens": 0, "total_tokens": count}
    assert embed("短文本", truncate_prompt_tokens=100).json()["data"] == embed("短文本").json()["data"]
    assert embed("word " * 20_000, truncate_prompt_tokens=-1).status_code == 200
    refused = embed(long, truncate_prompt_tokens=100_000)
    assert refused.status_code == 400 and "request a smaller truncation size" in refused.text
    refused = embed("word " * 20_000)
    assert refused.status_code == 400 and "reduce the length of the input prompt" in refused.text


def test_documents_are_cut_where_that_is_asked_for(http: httpx.Client) -> None:
    body = {"model": "minilm", "query": QUERIES[0], "documents": [FRANCE * 100, "short"]}
    assert http.post("/rerank", json=body).status_code == 400
    per_doc = http.post("/rerank", json={**body, "max_tokens_per_doc": 10}).json()["usage"]["prompt_tokens"]
    both = http.post("/rerank", json={**body, "truncate_prompt_tokens": 5}).json()["usage"]["prompt_tokens"]
    query, short = 9, 3  # [CLS] and [SEP] counted
    assert (per_doc, both) == (query + 10 + short, 5 + 5 + short)


@pytest.mark.parametrize(
    ("dtype", "order", "code"), [("float16", "big", ">e"), ("float32", "little", "<f"), (None, None, "<f")]
)
def test_vectors_as_bytes_in_the_form_asked_for(
    http: httpx.Client, dtype: str | None, order: str | None, code: str
) -> None:
    wish = {"model": "minilm", "input": "a cat", "encoding_format": "base64", "embed_dtype": dtype, "endianness": order}
    (entry,) = http.post("/v1/embeddings", json=wish).json()["data"]
    values = [value for (value,) in struct.iter_unpack(code, base64.b64decode(entry["embedding"]))]
    (plain,) = http.post("/v1/embeddings", json={"model": "minilm", "input": "a cat"}).json()["data"]
    assert values == pytest.approx(plain["embedding"], abs=1e-3)


@pytest.mark.parametrize("name", ["encoding_format", "embed_dtype", "endianness"])
def test_another_form_of_bytes_is_refused_by_name(http: httpx.Client, name: str) -> None:
    body = {"model": "minilm", "input": "x", "encoding_format": "base64", name: f"bad_{name}"}
    reply = http.post("/v1/embeddings", json=body)
    assert reply.status_code == 400 and reply.json()["error"]["param"] == name
    assert "literal_error" in reply.text and f"bad_{name}" in reply.text
    if name != "encoding_format":
        assert http.post("/v1/embeddings", json={"model": "minilm", "input": "x", name: "native"}).status_code == 400


# -- several conversations -------------------------------------------------------------------------------------------

TALKS = [[{"role": "user", "content": word}] for word in ("alpha", "beta", "gamma")]


def test_several_conversations_are_answered_as_each_alone(http: httpx.Client) -> None:
    wish = {"max_tokens": 8, "temperature": 0, "n": 2, "logprobs": True, "return_token_ids": True}
    together = http.post("/v1/chat/completions/batch", json={**wish, "messages": TALKS}).json()
    alone = [http.post("/v1/chat/completions", json={**wish, "messages": talk}).json() for talk in TALKS]
    assert [choice["index"] for choice in together["choices"]] == list(range(6))
    assert [c["message"] for c in together["choices"]] == [c["message"] for one in alone for c in one["choices"]]
    prompts = [choice["prompt_token_ids"] for choice in together["choices"][::2]]
    assert prompts == [one["prompt_token_ids"] for one in alone]
    assert together["usage"]["prompt_tokens"] == sum(one["usage"]["prompt_tokens"] for one in alone)


def test_a_format_holds_for_each_conversation(http: httpx.Client) -> None:
    schema = {"type": "object", "properties": {"answer": {"enum": ["yes", "no"]}}, "required": ["answer"]}
    format = {"type": "json_schema", "json_schema": {"name": "a", "schema": {**schema, "additionalProperties": False}}}
    body = {"messages": TALKS, "max_tokens": 60, "response_format": format}
    for choice in http.post("/v1/chat/completions/batch", json=body).json()["choices"]:
        assert json.loads(choice["message"]["content"])["answer"] in ("yes", "no")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": TALKS[0]}, "messages"),
        ({"messages": [TALKS[0], []]}, "messages.1"),
        ({"messages": [TALKS[0], [{"role": "user"}]]}, "messages.1.0.content"),
        ({"stream": True}, "stream"),
        ({"prompt_token_ids": [1]}, "prompt_token_ids"),
        ({"temprature": 1}, "temprature"),
    ],
)
def test_conversations_that_cannot_be_are_refused_by_name(
    http: httpx.Client, fields: dict[str, Any], param: str
) -> None:
    reply = http.post("/v1/chat/completions/batch", json={"messages": TALKS, **fields})
    assert reply.status_code == 400, reply.text
    assert reply.json()["error"]["param"].startswith(param)


# -- ended by somebody else ------------------------------------------------------------------------------------------

ENDLESS = {"prompt": "x", "max_tokens": 4000, "temperature": 1, "ignore_eos": True}


def test_a_stream_is_cancelled_by_its_id(http: httpx.Client) -> None:
    with http.stream("POST", "/v1/completions", json={**ENDLESS, "stream": True}) as stream:
        lines = (line for line in stream.iter_lines() if line)
        id = json.loads(next(lines)[6:])["id"]
        with httpx.Client(base_url=http.base_url, timeout=60) as other:
            assert other.post("/v1/requests/cancel", json={"request_ids": [id, "no"]}).json() == {
                "status": "cancelled",
                "cancelled_request_ids": [id],
            }
        *_, error, done = lines
        assert (json.loads(error[6:])["error"]["code"], done) == ("cancelled", "data: [DONE]")


@pytest.mark.parametrize("fields", [{}, {"temperature": 0, "n": 4, "use_beam_search": True}])
def test_a_whole_answer_is_cancelled_by_an_id_of_its_own(http: httpx.Client, fields: dict[str, Any]) -> None:
    replies: list[httpx.Response] = []
    body = {**ENDLESS, "request_id": "mine", **fields}
    worker = threading.Thread(
        target=lambda: replies.append(httpx.post(f"{http.base_url}/v1/completions", json=body, timeout=60))
    )
    worker.start()
    deadline = time.monotonic() + 60
    while http.delete("/v1/requests/cmpl-mine").status_code == 404:
        assert time.monotonic() < deadline and worker.is_alive()
    worker.join()
    assert (replies[0].status_code, replies[0].json()["error"]["code"]) == (499, "cancelled")
    assert http.get("/load").json() == {"server_load": 0}


def test_an_id_that_nobody_has_is_not_found(http: httpx.Client) -> None:
    reply = http.post("/v1/requests/cmpl-none/cancel")
    assert reply.status_code == 404 and "cmpl-none" in reply.json()["error"]["message"]
    for body in ({}, {"request_ids": []}):
        assert http.post("/abort_requests", json=body).json() == {"status": "cancelled", "cancelled_request_ids": []}
