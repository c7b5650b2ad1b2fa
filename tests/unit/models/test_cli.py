from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from zhilu.context import open_context
from zhilu.engine.testing import make_tiny_model
from zhilu.errors import ConflictError, UpstreamError
from zhilu.models.cli import model
from zhilu.models.testing import serve_hub, write_gguf


@pytest.fixture
def run(context):
    def invoke(*argv, obj=context):
        result = CliRunner().invoke(model, [str(word) for word in argv], obj=obj)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


def test_import_list_show_remove(run, tmp_path):
    source = make_tiny_model(tmp_path / "tiny")
    assert "tiny is in the store" in run("import", source).stdout
    assert "zhilu-nano" in run("list").stdout
    assert [m["name"] for m in json.loads(run("list", "--json").stdout)] == ["zhilu-nano", "tiny"]
    shown = run("show", "tiny").stdout
    assert "Qwen3ForCausalLM" in shown
    assert "memory at full context" in shown
    assert json.loads(run("show", "tiny", "--json").stdout)["memory_estimate"]["kv_bytes_per_token"] == 256
    with pytest.raises(ConflictError):
        run("import", source)
    assert json.loads(run("remove", "tiny", "--json").stdout) == {"removed": "tiny"}


def test_what_is_imported_says_that_it_answers_from_now_on(run, tmp_path, monkeypatch):
    path = write_gguf(tmp_path / "mine.gguf", values=20_000_000)
    assert "in place of zhilu-nano" in run("import", path).stdout
    assert "in place of zhilu-nano" not in run("import", path, "--name", "second").stdout  # the first one does
    run("remove", "mine")
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert "不再用 zhilu-nano" in run("import", path, "--name", "third").stdout


def test_chinese(run, tmp_path, monkeypatch):
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert "已入库" in run("import", make_tiny_model(tmp_path / "tiny")).stdout


def test_pull_follows_its_job_to_the_end(run, tmp_path, own_home, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    make_tiny_model(tmp_path / "hub" / "owner" / "tiny")
    with serve_hub(tmp_path / "hub") as hub:
        context = open_context({"hf_endpoint": hub.url})
        done = run("pull", "owner/tiny", "--name", "mine", obj=context)
        assert "mine is in the store" in done.stdout
        assert "Downloading" in done.stderr or "Checking" in done.stderr
        with pytest.raises(UpstreamError, match="'owner/none'"):
            run("pull", "owner/none", "--json", obj=context)
        context.close()


def test_train_nano_hands_its_options_to_the_recipe(run, capfd):
    pytest.importorskip("torch", reason="PyTorch is an extra")
    assert run("train-nano", "--help").exit_code == 0
    assert "--preset" in capfd.readouterr().out
    assert run("train-nano", "--preset", "huge").exit_code == 2
    assert "invalid choice: 'huge'" in capfd.readouterr().err
