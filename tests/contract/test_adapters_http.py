"""LoRA adapters through the gateway: what cannot be loaded is refused while everything that runs goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.contract.gateway_server import RunningGateway, run_gateway

from zhilu.engine.testing import make_tiny_model
from zhilu.serving.proofs.adapter_proof import make_adapter


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """One model at a time, so that whatever starts another one stops the first."""
    home = tmp_path_factory.mktemp("home")
    (home / "models").mkdir()
    for name in ("tiny", "other"):
        make_tiny_model(home / "models" / name)
    fits = make_adapter(home / "models/tiny", home / "adapters" / "fits")
    wide = make_tiny_model(home / "wide", hidden_size=128)
    make_adapter(wide, home / "adapters" / "misfit")
    pickled = Path(shutil.copytree(fits, home / "adapters" / "pickled"))
    (pickled / "adapter_model.safetensors").rename(pickled / "adapter_model.bin")
    (home / "adapters" / "empty").mkdir()
    with run_gateway(home, {"model": "tiny", "max_engines": 1}) as running:
        yield running


@pytest.fixture
def http(gateway: RunningGateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, timeout=120, trust_env=False) as client:
        yield client


@pytest.fixture
def pid(gateway: RunningGateway) -> int:
    """Of tiny's engine, which runs without an adapter."""
    served = gateway.call(gateway.supervisor.ensure("tiny"))
    return int(served.pid)


def pid_of(gateway: RunningGateway, model: str = "tiny") -> int | None:
    return gateway.supervisor.states()[model].pid


BAD = [
    ("/no/such/folder", 404, "/no/such/folder"),
    ("empty", 404, "adapter_config.json"),
    ("pickled", 400, "pickle"),
    ("misfit", 400, "does not fit this model"),
]


@pytest.mark.parametrize(("path", "status", "said"), BAD)
def test_a_restart_with_a_bad_adapter_leaves_the_model_running(
    http: httpx.Client, gateway: RunningGateway, pid: int, path: str, status: int, said: str
) -> None:
    body = {"restart": True, "loras": [{"name": "a", "path": path}]}
    reply = http.post("/zhilu/v1/models/tiny/start", json=body)
    error = reply.json()["error"]
    assert reply.status_code == status, error
    assert said in error["messages"]["en"] and error["messages"]["zh"] != error["messages"]["en"]
    assert error["fix"] == "zhilu serve tiny --lora a=FOLDER"
    assert error["code"] == "bad_adapter"
    assert pid_of(gateway) == pid
    assert "a" not in [model["id"] for model in http.get("/v1/models").json()["data"]]


@pytest.mark.parametrize(("path", "status", "said"), BAD)
def test_a_bad_adapter_does_not_start_its_model_nor_stop_another(
    http: httpx.Client, gateway: RunningGateway, pid: int, path: str, status: int, said: str
) -> None:
    body = {"lora_name": "a", "lora_path": path, "model": "other"}
    reply = http.post("/v1/load_lora_adapter", json=body)
    error = reply.json()["error"]
    assert reply.status_code == status, error
    assert said in error["message"] and "load_lora_adapter" in error["fix"]
    assert pid_of(gateway) == pid
    assert "other" not in gateway.supervisor.states()


@pytest.mark.parametrize("body", [{"engine": "vllm"}, {"precision": "tiny"}, {"concurrency": 10**9}])
def test_a_restart_that_cannot_be_leaves_the_model_running(
    http: httpx.Client, gateway: RunningGateway, pid: int, body: dict[str, Any]
) -> None:
    assert http.post("/zhilu/v1/models/tiny/start", json={"restart": True, **body}).status_code in (400, 501)
    assert pid_of(gateway) == pid


@pytest.mark.parametrize("names", [("other",), ("a", "a"), ("tiny",)])
def test_names_that_are_taken_are_refused(
    http: httpx.Client, gateway: RunningGateway, pid: int, names: tuple[str, ...]
) -> None:
    loras = [{"name": name, "path": "fits"} for name in names]
    assert http.post("/zhilu/v1/models/tiny/start", json={"restart": True, "loras": loras}).status_code == 400
    assert pid_of(gateway) == pid


def test_a_model_is_restarted_with_an_adapter_which_is_remembered(
    http: httpx.Client, gateway: RunningGateway, pid: int
) -> None:
    body = {"restart": True, "loras": [{"name": "mine", "path": "fits"}]}
    assert http.post("/zhilu/v1/models/tiny/start", json=body).status_code == 202
    answer = http.post("/v1/completions", json={"model": "mine", "prompt": "x", "max_tokens": 1})
    assert answer.status_code == 200, answer.text
    assert pid_of(gateway) != pid
    kept = json.loads((gateway.context.home.engines / "served.json").read_text())["adapters"]
    assert [(one["name"], one["parent"]) for one in kept] == [("mine", "tiny")]
    assert http.post("/v1/unload_lora_adapter", json={"lora_name": "mine"}).status_code == 200
    assert gateway.supervisor.states()["tiny"].options.loras == ()  # a crash must not bring it back
    assert http.post("/v1/completions", json={"model": "mine", "prompt": "x"}).status_code == 404


def test_an_adapter_whose_folder_is_gone_does_not_stop_another_model(
    http: httpx.Client, gateway: RunningGateway, pid: int, tmp_path: Path
) -> None:
    home = gateway.context.home
    folder = Path(shutil.copytree(home.adapters / "fits", tmp_path / "gone"))
    body = {"lora_name": "gone", "lora_path": str(folder), "model": "other"}
    assert http.post("/v1/load_lora_adapter", json=body).status_code == 200
    now = gateway.call(gateway.supervisor.ensure("tiny")).pid  # other makes room for it
    shutil.rmtree(folder)
    reply = http.post("/v1/completions", json={"model": "gone", "prompt": "x", "max_tokens": 1})
    assert (reply.status_code, reply.json()["error"]["param"]) == (404, "model")
    assert pid_of(gateway) == now
    assert http.post("/v1/unload_lora_adapter", json={"lora_name": "gone"}).status_code == 200
