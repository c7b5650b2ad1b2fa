"""APIs a person adds: the "cloud" is a gateway of ours behind a key, reached over a real socket."""

from __future__ import annotations

import json
import logging
import stat
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from tests.contract.foreign_server import serve
from tests.contract.gateway_server import RunningGateway, run_gateway

from zhilu.cli import cli
from zhilu.engine.testing import make_tiny_model

KEY = "sk-cloud-0123456789-abcd3f9a"
ASK = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4, "temperature": 0}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    home = tmp_path_factory.mktemp("cloud")
    (home / "models").mkdir(mode=0o700)
    make_tiny_model(home / "models" / "tiny")
    with run_gateway(home, {"model": "tiny", "api_key": KEY}, only=("serving", "models")) as running:
        running.call(running.supervisor.ensure("tiny"))
        yield running


@pytest.fixture
def ours(own_home: Any, cloud: RunningGateway) -> Iterator[RunningGateway]:
    with run_gateway(own_home, only=("serving", "models", "workbench")) as running:
        yield running


def _call(ours: RunningGateway, method: str, path: str, **rest: Any) -> httpx.Response:
    return httpx.request(method, f"{ours.url}{path}", timeout=60, trust_env=False, **rest)


def _add(ours: RunningGateway, cloud: RunningGateway, **rest: Any) -> httpx.Response:
    body = {"name": "cloud", "base_url": cloud.url, "api_key": KEY, "models": ["tiny"], **rest}
    return _call(ours, "POST", "/zhilu/v1/apis", json=body)


def test_an_added_api_answers_beside_the_local_models(ours: RunningGateway, cloud: RunningGateway) -> None:
    added = _add(ours, cloud)
    assert added.status_code == 201, added.text
    told = added.json()
    assert told["model"] == "cloud/tiny"
    assert "tiny" in told["listed"]
    assert told["api"] == {
        "name": "cloud", "base_url": f"{cloud.url}/v1", "preset": None, "key": "…3f9a", "models": ["cloud/tiny"],
        "added_at": told["api"]["added_at"],
    }  # fmt: skip
    listed = {m["id"]: m for m in _call(ours, "GET", "/v1/models").json()["data"]}
    assert (listed["cloud/tiny"]["owned_by"], listed["cloud/tiny"]["state"]) == ("cloud", "ready")
    assert "zhilu-nano" in listed
    there = httpx.post(
        f"{cloud.url}/v1/chat/completions", json={"model": "tiny", **ASK}, headers={"Authorization": f"Bearer {KEY}"}
    ).json()
    here = _call(ours, "POST", "/v1/chat/completions", json={"model": "cloud/tiny", **ASK}).json()
    assert here["choices"][0]["message"] == there["choices"][0]["message"]
    assert here["usage"]["completion_tokens"] == there["usage"]["completion_tokens"]
    with httpx.stream(
        "POST", f"{ours.url}/v1/chat/completions", json={"model": "cloud/tiny", "stream": True, **ASK}, timeout=60
    ) as response:
        events = [line for line in response.iter_lines() if line]
    assert events[-1] == "data: [DONE]"
    text = "".join(json.loads(e[6:])["choices"][0]["delta"].get("content") or "" for e in events[:-1])
    assert text == here["choices"][0]["message"]["content"]
    # by another API's words too, and a model that menus do not offer
    reply = _call(ours, "POST", "/v1/responses", json={"model": "cloud/tiny", "input": "hello", "max_output_tokens": 4})
    assert reply.json()["model"] == "cloud/tiny", reply.text
    assert _call(ours, "GET", "/api/tags").status_code == 200
    nano = _call(ours, "POST", "/v1/chat/completions", json={"model": "cloud/zhilu-nano", **ASK})
    assert nano.status_code == 200, nano.text
    # it may be the model that answers where none is named
    assert CliRunner().invoke(cli, ["settings", "set", "model", "cloud/tiny"]).exit_code == 0
    ours.context.reload_settings()
    assert _call(ours, "POST", "/v1/chat/completions", json=ASK).json()["model"] in ("tiny", "cloud/tiny")


def test_the_key_is_kept_for_its_owner_alone_and_never_shown(
    ours: RunningGateway, cloud: RunningGateway, caplog: pytest.LogCaptureFixture, tmp_path: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    said = [_add(ours, cloud).text, _call(ours, "GET", "/zhilu/v1/apis").text]
    said.append(_call(ours, "POST", "/zhilu/v1/apis/cloud/test").text)
    said.append(_call(ours, "POST", "/v1/chat/completions", json={"model": "cloud/tiny", **ASK}).text)
    said.append(_call(ours, "POST", "/v1/chat/completions", json={"model": "cloud/none", **ASK}).text)
    said.append(_call(ours, "GET", "/zhilu/v1/engines/running").text)
    words = (["model", "api", "list"], ["model", "api", "list", "--json"], ["model", "api", "test", "cloud"])
    said += [CliRunner().invoke(cli, one).output for one in words]
    backup = CliRunner().invoke(cli, ["backup", str(tmp_path / "b.tar"), "--json"])
    assert backup.exit_code == 0, backup.output
    said.append(backup.output)
    said.append(caplog.text)
    kept = ours.context.home.path / "apis.json"
    files = [path for path in ours.context.home.path.rglob("*") if path.is_file() and path != kept]
    said += [path.read_bytes().decode(errors="replace") for path in files]
    assert [text for text in said if KEY in text or KEY[8:] in text] == []
    assert "…3f9a" in said[1]
    assert KEY in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_faults_are_told_apart(ours: RunningGateway, cloud: RunningGateway) -> None:
    def code(**rest: Any) -> tuple[int, str, str]:
        error = _add(ours, cloud, **rest)
        body = error.json()["error"]
        assert KEY not in error.text
        return error.status_code, body["code"], body["param"]

    assert code(api_key="sk-wrong-0123456789") == (502, "api_key_refused", "api_key")
    assert code(api_key=None) == (502, "api_key_refused", "api_key")
    assert code(api_key="two words") == (400, "api_key_refused", "api_key")
    assert code(models=["tinny"]) == (404, "model_not_found", "model")
    assert code(base_url="http://127.0.0.1:9") == (503, "api_unreachable", "base_url")
    assert code(base_url="ftp://x") == (400, "api_wrong_url", "base_url")
    assert code(name="No Good") == (400, "invalid_request_error", "name")
    assert code(name="deepsek", base_url=None)[0] == 404
    assert code(name="deepseek", base_url=None, api_key=None, models=[])[1] == "api_key_missing"
    with serve(lambda path, body, headers: (200, "<html>welcome</html>")) as page:
        assert code(base_url=page) == (400, "api_wrong_url", "base_url")
    assert _call(ours, "GET", "/zhilu/v1/apis").json() == []  # nothing is kept of one that failed
    assert _add(ours, cloud).status_code == 201
    assert code() == (409, "conflict", "name")


def test_the_message_names_the_nearest_model_and_the_keys_end(ours: RunningGateway, cloud: RunningGateway) -> None:
    error = _add(ours, cloud, models=["tinny"]).json()["error"]
    assert "'tiny'" in error["message"]
    error = _add(ours, cloud, api_key="sk-wrong-0123456789").json()["error"]
    assert "…6789" in error["message"]
    assert error["messages"]["zh"].startswith("API 'cloud' 拒绝了密钥 …6789")


def test_a_key_that_changes_is_used_from_the_next_request_on(ours: RunningGateway, cloud: RunningGateway) -> None:
    assert _add(ours, cloud).status_code == 201
    ask = lambda: _call(ours, "POST", "/v1/chat/completions", json={"model": "cloud/tiny", **ASK})  # noqa: E731
    assert ask().status_code == 200
    path = ours.context.home.path / "apis.json"
    kept = path.read_text()
    path.write_text(kept.replace(KEY, "sk-revoked-0123456789"))
    refused = ask()
    assert (refused.status_code, refused.json()["error"]["code"]) == (502, "api_key_refused")
    assert "sk-revoked" not in refused.text
    path.write_text(kept)
    assert ask().status_code == 200
    # replaced without a key: the old one goes on, but never to another server
    assert _add(ours, cloud, api_key=None, replace=True).status_code == 201
    with serve(lambda path, body, headers: (200, json.dumps({"data": [{"id": "x"}], "seen": headers}))) as elsewhere:
        moved = _add(ours, cloud, api_key=None, base_url=elsewhere, replace=True, models=[])
        assert moved.status_code == 400  # it has no choices
    assert KEY in path.read_text()
    assert _call(ours, "DELETE", "/zhilu/v1/apis/cloud").status_code == 204
    gone = ask()
    assert gone.status_code == 404, gone.text
    assert "cloud/tiny" not in [m["id"] for m in _call(ours, "GET", "/v1/models").json()["data"]]


def test_other_dialects_of_an_api(ours: RunningGateway) -> None:
    """A root that does not end in /v1, a key that is echoed, a renamed limit, an account without balance, no list."""
    seen: list[tuple[str, str]] = []

    def answer(path: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, str]:
        seen.append((path, headers.get("Authorization", "")))
        if path == "/api/paas/v4/models":
            return 200, json.dumps({"data": [{"id": "glm-embed"}, {"id": "glm-9"}, {"id": "glm-9-flash"}]})
        if path != "/api/paas/v4/chat/completions":
            return 404, "nothing here"
        if "max_tokens" in body:
            return 400, json.dumps({"error": {"message": "Use 'max_completion_tokens' instead of max_tokens"}})
        if body["model"] == "glm-poor":
            return 402, json.dumps({"error": {"message": f"no balance on {headers['Authorization']}"}})
        said = {"role": "assistant", "content": f"your key is {headers['Authorization']}"}
        return 200, json.dumps({"choices": [{"index": 0, "message": said, "finish_reason": "stop"}]})

    with serve(answer) as url:
        body = {"name": "zhipu", "base_url": f"{url}/api/paas/v4/chat/completions", "api_key": KEY}
        added = _call(ours, "POST", "/zhilu/v1/apis", json=body)
        assert added.status_code == 201, added.text
        assert added.json()["model"] == "zhipu/glm-9-flash"  # by the preset's patterns
        assert added.json()["api"]["models"] == ["zhipu/glm-9-flash", "zhipu/glm-9"]
        assert added.json()["api"]["base_url"] == f"{url}/api/paas/v4"
        ask = {"model": "zhipu/glm-9", "messages": ASK["messages"]}
        reply = _call(ours, "POST", "/v1/chat/completions", json=ask)
        assert reply.json()["choices"][0]["message"]["content"] == "your key is Bearer …3f9a"
        poor = _call(ours, "POST", "/v1/chat/completions", json={**ask, "model": "zhipu/glm-poor"})
        assert (poor.status_code, poor.json()["error"]["code"]) == (502, "api_no_balance")
        assert KEY not in poor.text
        before = len(seen)
        tokens = _call(ours, "POST", "/tokenize", json={"model": "zhipu/glm-9", "prompt": "x"})
        assert tokens.status_code == 404
        assert len(seen) == before  # it was not even asked
    lost = _call(ours, "POST", "/v1/chat/completions", json=ask)
    assert (lost.status_code, lost.json()["error"]["code"]) == (503, "api_unreachable")
    assert {auth for path, auth in seen if path.startswith("/api")} == {f"Bearer {KEY}"}


def test_by_the_command_line(cloud: RunningGateway) -> None:
    words = ["model", "api", "add", "mine", "--base-url", cloud.url, "--model", "tiny"]
    added = CliRunner().invoke(cli, [*words, "--json"], input=f"{KEY}\n")
    assert added.exit_code == 0, added.output
    told = json.loads(added.output)
    assert (told["name"], told["key"], told["models"], told["tested"]) == ("mine", "…3f9a", ["mine/tiny"], "tiny")
    tested = CliRunner().invoke(cli, ["model", "api", "test", "mine"])
    assert tested.exit_code == 0
    assert "tiny" in tested.output
    assert CliRunner().invoke(cli, [*words, "--json"], input=f"{KEY}\n").exit_code != 0
    assert CliRunner().invoke(cli, ["model", "api", "remove", "mine"]).exit_code == 0
    assert "deepseek" in CliRunner().invoke(cli, ["model", "api", "list"]).output
