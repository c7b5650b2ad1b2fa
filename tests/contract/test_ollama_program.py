"""What Ollama's own program sends (cmd/cmd.go and api/client.go of August 2026), replayed, with the answers that it needs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.contract.gateway_server import RunningGateway, run_gateway

from zhilu.engine.testing import make_tiny_model

HEX = re.compile(r"[0-9a-f]{64}")
# `ollama show`, and what `run`, `stop` and `rm` begin with: Go's encoder writes every field.
SHOW: dict[str, Any] = {"model": "tiny", "system": "", "template": "", "verbose": False, "options": None, "name": ""}
GENERATE: dict[str, Any] = {"model": "tiny", "prompt": "", "suffix": "", "system": "", "template": "", "options": None}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    home = tmp_path_factory.mktemp("ollama-program")
    (home / "models").mkdir()
    make_tiny_model(home / "models" / "tiny")
    with run_gateway(home, {"model": "tiny"}) as running:
        running.call(running.supervisor.ensure("tiny"))
        yield running


@pytest.fixture(scope="module")
def http(gateway: RunningGateway) -> Iterator[httpx.Client]:
    headers = {"User-Agent": "ollama/0.12.0 (amd64 linux) Go/go1.24", "Accept": "application/x-ndjson"}
    with httpx.Client(base_url=gateway.url, trust_env=False, timeout=120, headers=headers) as client:
        yield client


def lines(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


def test_every_verb_asks_first_whether_the_server_is_there(http: httpx.Client) -> None:
    assert http.head("/").status_code == 200
    assert http.head("/api/version").status_code == http.head("/api/tags").status_code == 200


@pytest.mark.parametrize("path", ["/api/tags", "/api/ps"])
def test_list_and_ps_print_a_row_of_each_model(http: httpx.Client, path: str) -> None:
    models = http.get(path).json()["models"]
    assert "tiny" in [model["name"] for model in models]
    for model in models:
        assert HEX.fullmatch(model["digest"])  # the program slices it
        assert isinstance(model["size"], int) and model["modified_at"]
    tiny = next(model for model in models if model["name"] == "tiny")
    assert re.fullmatch(r"[\d.]+[KMB]", tiny["details"]["parameter_size"])
    assert tiny["details"]["quantization_level"]
    assert path == "/api/tags" or (tiny["expires_at"] and tiny["context_length"] > 0)


def test_show_with_its_empty_fields(http: httpx.Client) -> None:
    for name in ("tiny", "tiny:latest"):
        shown = http.post("/api/show", json={**SHOW, "model": name}).json()
        assert "completion" in shown["capabilities"] and shown["details"]["family"] == "qwen3"
    answer = http.post("/api/show", json={**SHOW, "model": "nothing"})
    assert answer.status_code == 404 and "nothing" in answer.json()["error"]
    assert http.post("/api/show", json={**SHOW, "model": ""}).status_code == 400


def test_run_loads_answers_and_goes_on(http: httpx.Client) -> None:
    assert lines(http.post("/api/generate", json=GENERATE))[0]["done_reason"] == "load"
    options = {"num_predict": 8, "temperature": 0}
    first = lines(http.post("/api/generate", json={**GENERATE, "prompt": "Hello", "options": options}))
    assert first[-1]["done"] and first[-1]["context"] and all("context" not in line for line in first[:-1])
    answer = "".join(line["response"] for line in first)
    again = {**GENERATE, "prompt": "More", "context": first[-1]["context"], "options": options, "stream": False}
    second = http.post("/api/generate", json=again).json()
    history = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": answer}]
    asked = [*history, {"role": "user", "content": "More"}]
    chat = http.post("/api/chat", json={"model": "tiny", "messages": asked, "options": options, "stream": False}).json()
    assert second["response"] == chat["message"]["content"]
    assert second["prompt_eval_count"] == chat["prompt_eval_count"] > first[-1]["prompt_eval_count"]
    for reply in (first[-1], second, chat):
        assert all(
            reply[name] > 0 for name in ("total_duration", "prompt_eval_duration", "eval_duration", "eval_count")
        )
    strange = http.post("/api/generate", json={**again, "context": [1, 2, 3]})
    assert strange.status_code == 400 and "context" in strange.json()["error"]


def test_stop_unloads_and_does_not_start_what_is_not_running(http: httpx.Client, gateway: RunningGateway) -> None:
    stop = {**GENERATE, "keep_alive": "0s"}
    assert lines(http.post("/api/generate", json=stop))[0]["done_reason"] == "unload"
    assert gateway.supervisor.states()["tiny"].state == "stopped"
    lines(http.post("/api/generate", json=stop))
    assert gateway.supervisor.states()["tiny"].state == "stopped"
    assert http.get("/api/ps").json() == {"models": []}


def upload(http: httpx.Client, path: Path) -> str:
    digest = "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    assert http.head(f"/api/blobs/{digest}").status_code == 404
    assert http.post(f"/api/blobs/{digest}", content=path.read_bytes()).status_code == 201
    assert http.head(f"/api/blobs/{digest}").status_code == 200
    return digest


def test_create_copy_and_remove(http: httpx.Client, gateway: RunningGateway) -> None:
    home = gateway.context.home.path
    files = {path.name: upload(http, path) for path in sorted((home / "models" / "tiny").iterdir()) if path.is_file()}
    told = lines(http.post("/api/create", json={"model": "mine:latest", "files": files}))
    assert told[-1] == {"status": "success"}
    assert not list((home / "cache" / "blobs").iterdir())  # the store has them
    assert http.post("/api/copy", json={"source": "mine", "destination": "second"}).status_code == 200
    names = [model["name"] for model in http.get("/api/tags").json()["models"]]
    assert {"mine", "second"} <= set(names)
    said = {"model": "second", "prompt": "Hi", "stream": False, "options": {"num_predict": 3}}
    assert http.post("/api/generate", json=said).json()["done"]
    # `rm` unloads first, then deletes; the model's name stands in the older field.
    for name in ("mine", "second"):
        lines(http.post("/api/generate", json={**GENERATE, "model": name, "keep_alive": "0s"}))
        assert http.request("DELETE", "/api/delete", json={"model": "", "name": name}).status_code == 200
    names = [model["name"] for model in http.get("/api/tags").json()["models"]]
    assert not {"mine", "second"} & set(names)


def test_create_from_a_gguf_file(http: httpx.Client, gateway: RunningGateway, tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    from zhilu.engine.convert_gguf import convert

    convert(gateway.context.home.path / "models" / "tiny", tmp_path / "t.gguf")
    digest = upload(http, tmp_path / "t.gguf")
    assert lines(http.post("/api/create", json={"model": "g", "files": {"t.gguf": digest}}))[-1] == {
        "status": "success"
    }
    shown = http.post("/api/show", json={**SHOW, "model": "g"}).json()
    assert shown["details"]["format"] == "gguf" and shown["details"]["parameter_size"]
    assert http.request("DELETE", "/api/delete", json={"model": "g", "name": ""}).status_code == 200


def test_only_what_the_store_made_is_deleted(http: httpx.Client, gateway: RunningGateway) -> None:
    for name, status in (("tiny", 409), ("zhilu-nano", 409), ("nothing", 404)):
        answer = http.request("DELETE", "/api/delete", json={"model": name, "name": ""})
        assert (answer.status_code, bool(answer.json()["error"])) == (status, True)
    assert (gateway.context.home.path / "models" / "tiny" / "config.json").is_file()


@pytest.mark.parametrize(
    ("path", "body", "needle"),
    [
        ("/api/create", {"model": "x", "files": {"a.gguf": "sha256:" + "0" * 64}}, "was not uploaded"),
        ("/api/create", {"model": "x", "files": {"a.gguf": "nonsense"}}, "no digest"),
        ("/api/create", {"model": "x", "files": {"../a.gguf": "sha256:" + "0" * 64}}, "uploaded"),
        ("/api/create", {"model": "x"}, "from"),
        ("/api/create", {"model": "x", "from": "tiny", "system": "Be brief."}, "system"),
        ("/api/create", {"model": "tiny", "from": "tiny"}, "already"),
        ("/api/copy", {"source": "nothing", "destination": "y"}, "nothing"),
        ("/api/push", {"model": "tiny", "name": ""}, "published"),
        ("/api/pull", {"model": "no such model", "name": ""}, "no such model"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(http: httpx.Client, path: str, body: dict[str, Any], needle: str) -> None:
    answer = http.post(path, json=body)
    assert needle in json.loads(answer.text.splitlines()[-1])["error"]


def test_a_blob_must_be_what_its_digest_says(http: httpx.Client) -> None:
    answer = http.post("/api/blobs/sha256:" + "0" * 64, content=b"something else")
    assert answer.status_code == 400 and "sha256" in answer.json()["error"]
    assert http.post("/api/blobs/nonsense", content=b"x").status_code == 400


def test_pull_of_what_is_here_succeeds_at_once(http: httpx.Client) -> None:
    told = lines(
        http.post("/api/pull", json={"model": "tiny", "insecure": False, "username": "", "password": "", "name": ""})
    )
    assert [line["status"] for line in told] == ["pulling manifest", "success"]


def test_pull_from_a_hub_tells_its_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_home: Path) -> None:
    from zhilu.models.testing import serve_hub

    monkeypatch.delenv("HF_HUB_OFFLINE")
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    make_tiny_model(tmp_path / "hub" / "owner" / "tiny", hidden_size=512)
    with (
        serve_hub(tmp_path / "hub") as hub,
        run_gateway(own_home, {"hf_endpoint": hub.url, "model": "none"}) as gateway,
        httpx.Client(base_url=gateway.url, trust_env=False, timeout=120) as http,
    ):
        asked = {"insecure": False, "username": "", "password": "", "name": ""}
        told = lines(http.post("/api/pull", json={"model": "hf.co/owner/tiny:latest", **asked}))
        assert (told[0], told[-1]) == ({"status": "pulling manifest"}, {"status": "success"}), told
        bars = [line for line in told if "digest" in line]
        assert all(HEX.fullmatch(line["digest"].removeprefix("sha256:")) for line in bars)
        assert all(0 <= line["completed"] <= line["total"] for line in bars)
        assert "tiny" in [model["name"] for model in http.get("/api/tags").json()["models"]]
        assert http.request("DELETE", "/api/delete", json={"model": "tiny", "name": ""}).status_code == 200
        failed = lines(http.post("/api/pull", json={"model": "owner/none", **asked}))
        assert "owner/none" in failed[-1]["error"]
