"""The code assistant over HTTP: what another machine's key does not open, what is read, and how editors are answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient
from tests.contract.gateway_server import run_tiny_gateway

from zhilu.apps.coder.edits.kept import Edits, finish, open_file
from zhilu.apps.coder.job import index_now
from zhilu.apps.coder.repos import CodeRepo, Repos
from zhilu.context import Context, open_context
from zhilu.host.app import create_app

AT = "/zhilu/v1/coder/repos"
PARTS = ("coder", "coder-edits", "coder-fill")


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    context = open_context({"home": str(tmp_path / "home"), "max_jobs": 1})
    yield context
    context.close()


@pytest.fixture
def repo(context: Context) -> CodeRepo:
    repos = Repos(context)
    repo = repos.add_sample()
    index_now(context, repo)
    return repos.get(repo.id)


def client_at(context: Context, address: str) -> TestClient:
    return TestClient(create_app(context, only=PARTS), base_url="http://127.0.0.1", client=(address, 50_000))


def proposal(context: Context, repo: CodeRepo) -> str:
    edits = Edits(context, repo)
    opened = open_file(edits.root, "shop/names.py")
    edit = finish(edits.new("x", "m"), opened, opened.text.replace('"-".join', '"_".join'))
    edits.save(edit)
    return edit.id


def test_from_another_machine_no_folder_is_named_and_nothing_is_written(context: Context, repo: CodeRepo) -> None:
    edit = proposal(context, repo)
    before = (Path(repo.root) / "shop/names.py").read_bytes()
    with client_at(context, "192.0.2.7") as client:
        answers = [client.post(AT, json={"root": "/etc"})]
        answers += [client.post(f"{AT}/{repo.id}/edits/{edit}/{step}") for step in ("apply", "undo", "tests")]
        assert [a.status_code for a in answers] == [403] * 4
        assert (
            client.get(f"{AT}/{repo.id}/search", params={"q": "reserve"}).status_code == 200
        )  # what was read may be asked
    assert (Path(repo.root) / "shop/names.py").read_bytes() == before
    assert len(Repos(context).every()) == 1


def test_approved_written_and_taken_back_from_here(context: Context, repo: CodeRepo) -> None:
    edit = proposal(context, repo)
    place = Path(repo.root) / "shop/names.py"
    before = place.read_bytes()
    with client_at(context, "127.0.0.1") as client:
        assert client.post(f"{AT}/{repo.id}/edits/{edit}/apply").json()["status"] == "applied"
        assert b'"_".join' in place.read_bytes()
        assert client.post(f"{AT}/{repo.id}/edits/{edit}/apply").status_code == 409
        assert client.post(f"{AT}/{repo.id}/edits/{edit}/undo").json()["status"] == "undone"
        assert place.read_bytes() == before
        assert [e["id"] for e in client.get(f"{AT}/{repo.id}/edits").json()] == [edit]
        assert client.delete(f"{AT}/{repo.id}/edits/{edit}").status_code == 204
        assert client.get(f"{AT}/{repo.id}/edits/{edit}").status_code == 404


def test_a_folder_is_read_by_a_job(context: Context, tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "a.py").write_text("def hello():\n    pass\n")
    with client_at(context, "127.0.0.1") as client:
        made = client.post(AT, json={"root": str(code)})
        assert (made.status_code, made.json()["job"]["kind"]) == (201, "code-index")
        assert client.post(AT, json={"root": str(code)}).status_code == 409
        for wrong in (str(code / "a.py"), str(tmp_path / "gone"), str(context.home.path), "/", str(tmp_path)):
            assert client.post(AT, json={"root": wrong}).status_code == 400, wrong
        assert client.post(AT, json={"root": str(code), "rot": 1}).status_code in (400, 422)
        name = made.json()["repo"]["id"]
        assert client.delete(f"{AT}/{name}").status_code == 204
    assert (code / "a.py").exists()


def test_what_was_read_is_shown_and_nothing_else(context: Context, repo: CodeRepo) -> None:
    with client_at(context, "127.0.0.1") as client:

        def get(part: str, **query: str) -> httpx.Response:
            return client.get(f"{AT}/{repo.name}/{part}", params=query)

        assert get("symbols", name="reserve").json()[0]["qualname"] == "Warehouse.reserve"
        assert [c["inside"] for c in get("callers", name="release").json()] == ["place_order", "cancel_order"]
        assert get("file", path="shop/cart.py").json()["file"]["language"] == "python"
        for path in ("../repo.json", "/etc/hostname", "shop", "shop/../shop/cart.py", "'; DROP TABLE files;--"):
            assert get("file", path=path).status_code == 404, path
        assert get("search", q='" OR NEAR( * ').status_code == 200
        assert client.get(f"{AT}/none/files").status_code == 404
        assert client.get(f"{AT}/..%2f..%2f/files").status_code == 404


class _Model:
    """The wire as the completions use it: what would reach an engine, and one answer."""

    base_url = "http://model/v1"

    def __init__(self) -> None:
        self.prompts: list[str] = []

    async def __aenter__(self) -> _Model:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def tokenize(self, **_: Any) -> dict[str, Any]:
        return {"count": 2}

    async def completions_stream(self, prompt: str, **_: Any) -> Any:
        self.prompts.append(prompt)
        yield {"choices": [{"text": "return cents * 2\n\n\ndef other():"}]}


def test_editors_are_answered_in_both_forms(context: Context, repo: CodeRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    model = _Model()
    monkeypatch.setattr("zhilu.apps.coder.fill_routes.connect", lambda context: model)
    prefix, suffix = "from shop.money import percent_of\n\ndef f(cents):\n    percent_of(cents, 1)\n    ", "\n"
    with client_at(context, "127.0.0.1") as client:
        at = f"{AT}/{repo.id}"
        # Continue: a suffix, or the marks of Qwen written into the prompt; whole, or as a stream
        own = f"<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>"
        for body in ({"prompt": prefix, "suffix": suffix}, {"prompt": own, "presence_penalty": 0}):
            reply = client.post(f"{at}/v1/completions", json={"model": "m", **body}).json()
            assert (reply["object"], reply["choices"][0]["text"]) == ("text_completion", "return cents * 2")
        streamed = client.post(f"{at}/v1/completions", json={"prompt": prefix, "suffix": suffix, "stream": True})
        first, last = [line.removeprefix("data: ") for line in streamed.text.split("\n\n") if line]
        assert json.loads(first)["choices"][0]["text"] == "return cents * 2" and last == "[DONE]"
        # llama.vscode
        wish = {
            "input_prefix": prefix[:-4],
            "prompt": "    ",
            "input_suffix": suffix,
            "n_predict": 64,
            "cache_prompt": True,
        }
        extra = [{"filename": "open.py", "text": "OPEN = 1"}]
        assert client.post(f"{at}/infill", json={**wish, "input_extra": extra}).json()["content"] == "return cents * 2"
    assert len(set(model.prompts[:3])) == 1 and "def percent_of(cents, percent):" in model.prompts[0]
    assert "<|file_sep|>open.py\nOPEN = 1\n" in model.prompts[3]


def test_the_gateway_says_that_a_model_cannot_fill_in(tmp_path: Path) -> None:
    with run_tiny_gateway(tmp_path) as gateway:
        at = f"{gateway.url}/v1/completions"
        reply = httpx.post(at, json={"model": "tiny", "prompt": "a", "suffix": "b"}, trust_env=False, timeout=120)
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, "suffix")
        assert "fill in the middle" in reply.json()["error"]["message"]
        plain = {"model": "tiny", "prompt": "a", "suffix": "", "max_tokens": 2}
        assert httpx.post(at, json=plain, trust_env=False, timeout=120).status_code == 200
