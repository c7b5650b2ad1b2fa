"""``zhilu serve`` and ``zhilu engine``: what is refused before anything starts, and a server started for real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from zhilu.context import open_context
from zhilu.engine.testing import make_tiny_model
from zhilu.errors import InputError, NotFoundError
from zhilu.serving.cli import find_model


def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "ZHILU_HOME": str(home), "COLUMNS": "200"}
    return subprocess.run([sys.executable, "-m", "zhilu", *words], capture_output=True, text=True, env=env, timeout=60)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--lora", "mine"), "NAME=PATH"),
        (("--lora", "mine=/no/such/adapter"), "/no/such/adapter"),
        (("--engine", "fastchat", "--context", "64"), "cannot take --context"),
        (("--engine", "vllm"), "zhilu engine install vllm"),
        (("--precision", "tiny", "--engine", "zhilu"), "auto, full, int8, bf16, int8-bf16"),
    ],
)
def test_what_cannot_be_served_is_refused_before_anything_starts(
    own_home: Path, words: tuple[str, ...], said: str
) -> None:
    done = run(own_home, "serve", "zhilu-nano", *words)
    assert done.returncode in (2, 3)
    assert said in done.stderr


def test_an_engine_that_is_not_installed_cannot_be_removed(own_home: Path) -> None:
    done = run(own_home, "engine", "remove", "vllm", "--json")
    assert done.returncode == 2
    assert json.loads(done.stderr)["error"]["fix"] == "zhilu engine list"


def test_engines_are_listed_in_both_languages_and_as_json(own_home: Path) -> None:
    assert "引擎" in run(own_home, "--lang", "zh", "engine", "list").stdout
    rows = {row["name"]: row for row in json.loads(run(own_home, "engine", "list", "--json").stdout)}
    assert rows.keys() >= {"openai", "zhilu", "vllm", "llamacpp", "ollama", "lmdeploy", "fastchat"}
    assert rows["fastchat"]["status"] == "legacy" and rows["lmdeploy"]["status"] == "needs_gpu"
    assert rows["vllm"]["installed"] is False and "zhilu engine install vllm" in rows["vllm"]["why"]["en"]
    assert rows["zhilu"]["installed"] is True
    assert "stream" in rows["zhilu"]["can"]


def test_an_unknown_engine_names_the_others(own_home: Path) -> None:
    done = run(own_home, "serve", "zhilu-nano", "--engine", "zhiluu")
    assert done.returncode == 2
    assert "Did you mean 'zhilu'?" in done.stderr


def test_a_remote_engine_needs_its_url(own_home: Path) -> None:
    done = run(own_home, "serve", "far", "--engine", "openai")
    assert done.returncode == 2
    assert "--base-url" in done.stderr


def test_running_engines_need_a_gateway(own_home: Path) -> None:
    done = run(own_home, "engine", "running", "--json")
    assert done.returncode == 1
    assert json.loads(done.stderr)["error"]["fix"] == "zhilu up"


def test_a_model_that_never_ran_has_no_log(own_home: Path) -> None:
    assert run(own_home, "engine", "log", "tiny").returncode == 2


def test_a_model_is_a_name_or_a_folder(own_home: Path, tmp_path: Path) -> None:
    context = open_context()
    folder = make_tiny_model(tmp_path / "mine")
    assert find_model(context, str(folder)).path == folder
    with pytest.raises(NotFoundError, match="no folder"):
        find_model(context, str(tmp_path / "nothing"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"config\.json"):
        find_model(context, str(tmp_path / "empty"))
    with pytest.raises(NotFoundError):
        find_model(context, "no-such-model")
    context.close()


def test_a_folder_is_served_and_the_server_stops_its_engine(own_home: Path, tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "mine")
    command = [sys.executable, "-m", "zhilu", "serve", str(folder), "--port", "0", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        text = ""
        for line in process.stdout:
            text += line
            if line.startswith("}"):
                break
        said = json.loads(text)
        body = {"model": said["model"], "prompt": "x", "max_tokens": 1}
        reply = httpx.post(f"{said['url']}/completions", json=body, timeout=60, trust_env=False)
        assert reply.status_code == 200, reply.text
        other = httpx.post(f"{said['url']}/completions", json={**body, "model": "zhilu-nano"}, trust_env=False)
        assert other.status_code == 404
        assert "mine" in other.json()["error"]["message"]
        page = httpx.get(said["url"].removesuffix("/v1") + "/", trust_env=False)
        assert page.status_code == 404  # the API only, no workbench
        assert not (own_home / "run" / "gateway.json").exists()
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()
    engines = json.loads((own_home / "run" / "engines.json").read_text())
    assert engines == []
