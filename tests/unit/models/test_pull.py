"""Pulling with the hubs' own clients from a hub on loopback."""

from __future__ import annotations

import json
import os
import signal
import time
from types import SimpleNamespace

import pytest

from zhilu.context import open_context
from zhilu.engine.testing import make_tiny_model
from zhilu.errors import ConflictError, InputError, NotFoundError, UnreachableError, UnsupportedError
from zhilu.jobs import JobStore
from zhilu.models import EMBEDDED, ModelStore
from zhilu.models import pull as pull_module
from zhilu.models.pull import choose_files, submit_pull
from zhilu.models.sources import Remote, RemoteFile
from zhilu.models.testing import serve_hub
from zhilu.tables import JobRow

SOURCES = ("hf", "modelscope")


@pytest.fixture
def hub(tmp_path):
    repo = make_tiny_model(tmp_path / "hub" / "owner" / "tiny", shards=2, hidden_size=128)
    (repo / "README.md").write_text("---\nlicense: mit\n---\n# Tiny\n")
    (repo / "onnx").mkdir()
    (repo / "onnx" / "model.onnx").write_bytes(b"x" * 5000)
    (repo / "pytorch_model.bin").write_bytes(b"x" * 5000)
    with serve_hub(tmp_path / "hub") as server:
        yield server


@pytest.fixture
def context(hub, own_home, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    context = open_context({"hf_endpoint": hub.url, "modelscope_endpoint": hub.url})
    yield context
    context.close()


def pull(context, source="hf", repo="owner/tiny", **options):
    return JobStore(context).wait(submit_pull(context, source, repo, **options).id, timeout=60)


@pytest.mark.parametrize("source", SOURCES)
def test_a_repository_becomes_a_model(context, hub, source):
    job = pull(context, source)
    assert job.status == "done", JobStore(context).log_text(job.id)
    model = ModelStore(context).get("tiny")
    assert (model.source, model.supported, model.license, model.architecture) == (
        source,
        True,
        "mit",
        "Qwen3ForCausalLM",
    )
    folder = ModelStore(context).path_of("tiny")
    original = hub.folder / "owner" / "tiny"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["zhilu.json", *(p.name for p in original.iterdir() if p.name not in ("onnx", "pytorch_model.bin"))]
    )
    for path in folder.glob("*.safetensors"):
        assert path.read_bytes() == (original / path.name).read_bytes()
    note = json.loads((folder / "zhilu.json").read_text())
    assert (note["source"], note["origin"]) == (source, "owner/tiny")
    assert not any("model.onnx" in request or "pytorch" in request for request in hub.requests)
    assert list(context.home.models.iterdir()) == [folder]


@pytest.mark.parametrize("source", SOURCES)
def test_a_killed_pull_goes_on_where_it_was(context, hub, source):
    hub.chunk_pause = 0.1
    store = JobStore(context)
    job = submit_pull(context, source, "owner/tiny")
    arrived = ModelStore(context).incoming("tiny") / "tokenizer.json"
    while not arrived.exists():
        assert not store.get(job.id).ended, store.log_text(job.id)
        time.sleep(0.05)
    with context.database.session() as session:
        os.kill(session.get(JobRow, job.id).pid, signal.SIGKILL)
    hub.chunk_pause = 0.0
    ended = store.wait(job.id, timeout=60)
    assert (ended.status, ended.attempt) == ("done", 2), store.log_text(job.id)
    fetched = [r for r in hub.requests if r.startswith("GET") and "tokenizer.json" in r]
    assert len(fetched) == 1, fetched  # what had arrived was not asked for again
    assert ModelStore(context).get("tiny").supported


def test_a_cancelled_pull_leaves_nothing(context, hub):
    hub.chunk_pause = 0.3
    store = JobStore(context)
    job = submit_pull(context, "hf", "owner/tiny")
    while not any(context.home.models.rglob("*.incomplete")):
        assert not store.get(job.id).ended, store.log_text(job.id)
        time.sleep(0.05)
    store.cancel(job.id)
    assert store.wait(job.id, timeout=20).status == "cancelled"
    assert [model.name for model in ModelStore(context).list()] == [EMBEDDED]
    assert not ModelStore(context).incoming("tiny").exists()


def test_damaged_weights_are_refused_and_fetched_again(context, hub):
    hub.lie_about = "model-00001-of-00002.safetensors"
    store = JobStore(context)
    job = pull(context)
    assert job.status == "failed"
    assert [model.name for model in ModelStore(context).list()] == [EMBEDDED]
    hub.lie_about = None
    assert store.wait(store.retry(job.id).id, timeout=60).status == "done", store.log_text(job.id)


@pytest.mark.parametrize("source", SOURCES)
def test_an_unknown_repository_is_named(context, source):
    job = pull(context, source, "owner/nothing")
    assert (job.status, job.error["code"]) == (
        "failed",
        "repo_not_found" if source == "modelscope" else job.error["code"],
    )
    assert "'owner/nothing'" in job.error["message"]


def test_an_unknown_revision_is_named(context):
    job = pull(context, revision="v9")
    assert (job.status, job.error["code"]) == ("failed", "repo_not_found")


@pytest.mark.parametrize(("source", "setting"), [("hf", "hf_endpoint"), ("modelscope", "modelscope_endpoint")])
def test_offline_it_fails_at_once_with_one_message(own_home, source, setting):
    context = open_context({setting: "http://127.0.0.1:9"})
    begun = time.monotonic()
    job = pull(context, source)
    assert time.monotonic() - begun < 10
    assert (job.status, job.error["code"]) == ("failed", "hub_unreachable")
    for words in ("http://127.0.0.1:9", "'owner/tiny'", "HTTPS_PROXY", "zhilu model import"):
        assert words in job.error["message"]
    assert job.error["fix"].startswith(f"zhilu settings set {setting} ")
    context.close()


def test_the_offline_setting_is_obeyed(own_home):
    context = open_context({"offline": True})
    with pytest.raises(UnreachableError, match="offline is on") as raised:
        submit_pull(context, "hf", "owner/tiny")
    assert raised.value.fix == "zhilu settings unset offline"


def test_what_cannot_be_is_refused_before_a_job_starts(context, hub):
    with pytest.raises(InputError, match="not OWNER/NAME"):
        submit_pull(context, "hf", "tiny")
    with pytest.raises(NotFoundError, match="No model source called 'hg'"):
        submit_pull(context, "hg", "owner/tiny")
    with pytest.raises(ConflictError, match="zhilu-nano"):
        submit_pull(context, "hf", "owner/tiny", name=EMBEDDED)
    hub.chunk_pause = 0.2
    first = submit_pull(context, "hf", "owner/tiny")
    with pytest.raises(ConflictError, match=f"Job {first.id} is pulling"):
        submit_pull(context, "modelscope", "owner/tiny")
    JobStore(context).cancel(first.id)
    JobStore(context).wait(first.id)


def test_a_full_disk_is_noticed_before_the_download(tmp_path, monkeypatch):
    monkeypatch.setattr(pull_module.shutil, "disk_usage", lambda path: SimpleNamespace(free=10_000_000_000))
    pull_module._refuse_full_disk(tmp_path, 9_000_000_000)
    with pytest.raises(InputError, match=r"Not enough room: 12\.2 GB needed, 10\.0 GB free"):
        pull_module._refuse_full_disk(tmp_path, 12_000_000_000)


def test_weights_are_chosen_once():
    def names(*files):
        return [f.name for f in choose_files("o/n", Remote("main", [RemoteFile(name, 1, None) for name in files]))]

    usual = ["config.json", "model.safetensors", "tokenizer.json"]
    assert names(*usual, "consolidated.safetensors", "tf_model.h5", "onnx/model.onnx", "image.png") == usual
    sharded = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]
    assert names(*sharded, "model.safetensors") == sharded
    assert names("odd.safetensors", "config.json") == ["odd.safetensors", "config.json"]
    with pytest.raises(UnsupportedError, match=r"no safetensors weights \(it has: pytorch_model\.bin\)"):
        names("config.json", "pytorch_model.bin")
