"""``/zhilu/v1/datasets`` and ``zhilu data``: kept, checked, deleted; gate 3.1."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from zhilu.context import open_context
from zhilu.errors import ZhiluError
from zhilu.gate import Status
from zhilu.host.app import create_app
from zhilu.tuning.cli import data
from zhilu.tuning.gates import check_training_data


def rows(count: int, **more: object) -> bytes:
    made = [{"prompt": f"How many are {i} and {i}?", "completion": f"Together {2 * i}.", **more} for i in range(count)]
    return "\n".join(map(json.dumps, made)).encode()


@pytest.fixture
def client():
    with TestClient(create_app(open_context({})), base_url="http://127.0.0.1:8642") as client:
        yield client


def test_a_dataset_is_kept_checked_and_deleted(client: TestClient) -> None:
    added = client.post("/zhilu/v1/datasets", files={"file": ("my rows.jsonl", rows(25))})
    assert added.status_code == 201, added.text
    assert (added.json()["name"], added.json()["report"]) == ("my-rows", None)
    again = client.post("/zhilu/v1/datasets", files={"file": ("my rows.jsonl", b"{}")})
    assert (again.status_code, again.json()["error"]["param"]) == (409, "name")
    report = client.post("/zhilu/v1/datasets/my-rows/check", json={"model": "zhilu-nano"}).json()
    assert (report["ok"], report["usable"], report["model"]) == (True, 25, "zhilu-nano")
    assert [piece["learned"] for piece in report["samples"][0]["pieces"]] == [False, True, False]
    assert client.get("/zhilu/v1/datasets").json()[0]["report"] == report
    assert client.delete("/zhilu/v1/datasets/my-rows").status_code == 204
    assert client.get("/zhilu/v1/datasets/my-rows").status_code == 404
    assert client.get("/zhilu/v1/datasets").json() == []


@pytest.mark.parametrize(
    ("file", "name", "status"),
    [("a.exe", None, 400), ("a.jsonl", "../a", 400), ("a.jsonl", "", 201), ("../../a.jsonl", None, 201)],
)
def test_names_stay_in_the_home(client: TestClient, own_home: Path, file: str, name: str | None, status: int) -> None:
    form = {} if name is None else {"name": name}
    answer = client.post("/zhilu/v1/datasets", files={"file": (file, rows(1))}, data=form)
    assert answer.status_code == status, answer.text
    assert not list(own_home.parent.glob("a*"))


def test_a_request_names_no_file_of_the_machine(client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "secret.jsonl").write_bytes(rows(2))
    client.post("/zhilu/v1/datasets", files={"file": ("a.jsonl", rows(2))})
    answer = client.post(
        "/zhilu/v1/datasets/a/check", json={"held_out": str(tmp_path / "secret.jsonl"), "model": "none"}
    )
    assert answer.status_code == 404
    assert client.post("/zhilu/v1/datasets/a/check", json={"modell": "none"}).status_code == 400


def test_the_command_line(tmp_path: Path, own_home: Path) -> None:
    def zhilu(*words: str) -> tuple[int, str]:
        try:
            done = CliRunner().invoke(data, list(words), obj=open_context({}), catch_exceptions=False)
        except ZhiluError as error:
            return error.exit_code, f"{error} {error.fix}"
        return done.exit_code, done.output

    (tmp_path / "a.jsonl").write_bytes(rows(3))
    (tmp_path / "b.jsonl").write_bytes(rows(1) + b"\n{")
    code, said = zhilu("check", str(tmp_path / "a.jsonl"), "--model", "zhilu-nano")
    assert (code, "Together 0." in said, "Ready" in said) == (0, True, True)
    code, said = zhilu("check", str(tmp_path / "b.jsonl"), "--json")
    assert (code, json.loads(said)["findings"][0]["lines"]) == (1, [2])
    code, said = zhilu("check", str(tmp_path / "a.jsonl"), "--eval", str(tmp_path / "b.jsonl"))
    assert (code, "line 1 of b.jsonl" in said) == (1, True)
    assert zhilu("add", str(tmp_path / "a.jsonl"), "--name", "mine")[0] == 0
    assert zhilu("check", "mine", "--model", "none")[0] == 0
    assert "mine" in zhilu("list")[1]
    assert zhilu("remove", "mine")[0] == 0
    code, said = zhilu("check", "mine")
    assert (code, "zhilu data list" in said) == (2, True)
    assert "alpaca" in zhilu("formats")[1]


def test_the_gate(own_home: Path, client: TestClient) -> None:
    context = open_context({})
    assert check_training_data(context).status is Status.NOT_YET
    client.post("/zhilu/v1/datasets", files={"file": ("few.jsonl", rows(3))})
    assert check_training_data(context).status is Status.FAILED
    client.post("/zhilu/v1/datasets", files={"file": ("bad.jsonl", rows(25) + b'\n{"prompt": "x", "completion": ""}')})
    failed = check_training_data(context)
    assert (failed.status, failed.fix) == (Status.FAILED, "zhilu data check bad")
    assert "26" in failed.why.en
    client.post("/zhilu/v1/datasets", files={"file": ("good.jsonl", rows(25))})
    passed = check_training_data(context)
    assert passed.status is Status.PASSED
    assert {f.name.en: f.value for f in passed.figures}["rows that can be learned"] == 25
    assert passed.artefacts[0].size == len(rows(25))
