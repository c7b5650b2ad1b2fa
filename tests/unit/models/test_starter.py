"""The first model: the choice and its reason, the job from a real source, and what answers before and after."""

from __future__ import annotations

import json

import pytest

from zhilu.context import open_context
from zhilu.errors import InputError
from zhilu.jobs import JobStore
from zhilu.messages import T
from zhilu.models import EMBEDDED, ModelStore
from zhilu.models.chosen import default_model, named_model, note_first_model
from zhilu.models.offers import import_any
from zhilu.models.offers.starter import FIRST_MODEL, choose_class, submit_first_model
from zhilu.models.pull import submit_pull
from zhilu.models.testing import write_gguf
from zhilu.process import mine
from zhilu.setup.base import start_automatic


@pytest.fixture
def shelf(tmp_path):
    """A share with the small model's file, as a company would have it."""
    folder = tmp_path / "share" / "qwen3-0.6b"
    folder.mkdir(parents=True)
    write_gguf(folder / "Qwen3-0.6B-Q8_0.gguf")
    write_gguf(folder / "Qwen3-0.6B-F16.gguf")
    return tmp_path / "share"


@pytest.fixture
def context(own_home, monkeypatch):
    monkeypatch.delenv("ZHILU_STARTER")
    opened = []

    def make(**settings):
        opened.append(open_context({"offline": True, **settings}))
        return opened[-1]

    yield make
    for context in opened:
        context.close()


@pytest.mark.parametrize(
    ("wanted", "free", "group", "said"),
    [
        ("auto", 20e9, "starter", "20.0 GB of memory are free, 6 GB are enough"),
        ("auto", 5.9e9, "small", "5.9 GB of memory are free, the 1.5-1.7 B class wants 6 GB"),
        ("small", 20e9, "small", "the setting starter says so"),
        ("starter", 1e9, "starter", "the setting starter says so"),
        ("qwen3-8b", 1e9, "named", "the setting starter names it"),
    ],
)
def test_the_choice_and_its_reason(wanted, free, group, said):
    wish = choose_class(wanted, int(free))
    assert wish.group == group and wish.names and said in wish.reason.en


def test_what_the_gateway_was_started_with_answers_other_commands_too(context):
    """``zhilu up --model NAME`` in one terminal, ``zhilu app check`` in another."""
    here = context()
    noted = here.home.run / "gateway.json"
    noted.write_text(json.dumps({"url": "http://127.0.0.1:9", "model": "mine", **mine().note()}))
    assert named_model(here, None) == "mine" and "zhilu up" in default_model(here).reason.en
    assert named_model(context(model="other"), None) == "other"
    noted.write_text(json.dumps({"url": "http://127.0.0.1:9", "model": "mine", "pid": mine().pid, "started": -1.0}))
    assert default_model(here).name == EMBEDDED  # that gateway is gone


def test_too_little_memory_and_a_wrong_word_are_told():
    with pytest.raises(InputError, match=r"0\.9 GB of memory are free: the smallest real model needs 1\.3 GB"):
        choose_class("auto", 900_000_000)
    with pytest.raises(InputError, match=r"'smal', which is no class.*Did you mean 'small'"):
        choose_class("smal", 9_000_000_000)


def test_it_comes_from_the_first_source_and_answers_from_then_on(context, shelf):
    here = context(model_folder=str(shelf), starter="small")
    assert default_model(here).name == EMBEDDED
    assert "no other model has arrived yet" in default_model(here).reason.en
    (job,) = [job for job in start_automatic(here) if job.kind == "first-model"]
    assert not start_automatic(here)  # once
    done = JobStore(here).wait(job.id, timeout=60)
    assert done.status == "done", JobStore(here).log_text(job.id)
    assert default_model(here).name == named_model(here, "auto") == named_model(here, None) == "qwen3-0.6b"
    assert named_model(here, "other") == "other"
    assert "the setting starter says so; Folder is the first that has it" in default_model(here).reason.en
    state = FIRST_MODEL.state(here)
    assert (state.status, state.reason) == ("here", default_model(here).reason)
    assert FIRST_MODEL.find_job(here).id == job.id
    assert [path.name for path in sorted((here.home.models / "qwen3-0.6b").iterdir())] == [
        "Qwen3-0.6B-Q8_0.gguf",
        "zhilu.json",
    ]
    (here.home.models / "qwen3-0.6b").rename(here.home.models / ".gone")
    assert default_model(here).name == EMBEDDED


def test_without_a_source_the_job_says_what_is_missing_and_nano_answers(context):
    here = context(starter="small")
    job = JobStore(here).wait(submit_first_model(here).id, timeout=60)
    assert job.status == "failed"
    assert "No source has 'qwen2.5-coder-0.5b'" in job.error["message"]
    assert "the setting offline is on" in job.error["message"] and "设置 offline 已开启" in job.error["messages"]["zh"]
    assert default_model(here).name == EMBEDDED
    # what failed waits for a person
    assert not [job for job in start_automatic(here) if job.kind == "first-model"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"starter": "none"}, "The setting starter is none."),
        ({"model": "mine"}, "The setting model is 'mine'."),
        ({"base_url": "http://127.0.0.1:9/v1"}, "Answers come from base_url."),
    ],
)
def test_a_setting_can_decline_it(context, settings, said):
    here = context(**settings)
    assert not [job for job in start_automatic(here) if job.kind == "first-model"]
    state = FIRST_MODEL.state(here)
    assert (state.status, state.reason.en) == ("declined", said)


def test_the_setting_outweighs_what_arrived(context):
    here = context(model="mine")
    (here.home.models / "came").mkdir()
    note_first_model(here.home, "came", T("x", "x"), None)
    assert default_model(here) == ("mine", T("the setting model says so", "由设置 model 指定"))
    assert default_model(context()).name == "came"


LARGER = 20_000_000  # values: more than zhilu-nano has


def test_a_model_that_a_person_brings_answers_where_only_nano_did(context, tmp_path):
    here = context()
    for name, more in {"little": {"values": 64}, "vectors": {"values": LARGER, "pooling": 1}}.items():
        import_any(here, str(write_gguf(tmp_path / f"{name}.gguf", **more)))
        assert default_model(here).name == EMBEDDED  # no larger, or no chat model
    import_any(here, str(write_gguf(tmp_path / "mine.gguf", values=LARGER)))
    assert default_model(here) == (
        "mine",
        T("it was imported, and no other was chosen", "它是导入的，且没有选定别的模型"),
    )
    state = FIRST_MODEL.state(here)
    assert state.status == "here" and not [job for job in start_automatic(here) if job.kind == "first-model"]
    import_any(here, str(write_gguf(tmp_path / "second.gguf", values=LARGER)))
    note_first_model(here.home, "second", T("x", "x"), None)  # as the job does that began before the import
    assert default_model(here).name == "mine"
    ModelStore(here).remove("mine")
    assert default_model(here).name == EMBEDDED


def test_a_model_that_was_chosen_stays_whatever_is_brought(context, tmp_path):
    path = str(write_gguf(tmp_path / "mine.gguf", values=LARGER))
    import_any(context(model=EMBEDDED), path)
    here = context()
    assert default_model(here).name == EMBEDDED
    noted = here.home.run / "gateway.json"
    noted.write_text(json.dumps({"url": "http://127.0.0.1:9", "model": EMBEDDED, **mine().note()}))
    import_any(here, path, "again")
    noted.unlink()
    assert default_model(here).name == EMBEDDED


def test_a_model_that_is_pulled_by_hand_answers_too(context, shelf):
    write_gguf(shelf / "qwen3-0.6b" / "Qwen3-0.6B-Q8_0.gguf", values=LARGER)
    here = context(model_folder=str(shelf), starter="none")
    done = JobStore(here).wait(submit_pull(here, "folder", "qwen3-0.6b").id, timeout=60)
    assert done.status == "done", JobStore(here).log_text(done.id)
    assert default_model(here) == (
        "qwen3-0.6b",
        T("it was pulled, and no other was chosen", "它是拉取的，且没有选定别的模型"),
    )
