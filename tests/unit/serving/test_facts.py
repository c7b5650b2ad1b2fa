"""Adapters: pure functions from model and options to a command, and the rules that every one of them keeps."""

from pathlib import Path

import pytest

from zhilu.errors import InputError, NotFoundError
from zhilu.messages import T
from zhilu.serving import EngineFacts, LaunchOptions, ServedModel
from zhilu.serving.engines import choose_engine, engine_registry
from zhilu.serving.testing import ScriptedEngine, check_adapter
from zhilu.wire import CAPABILITIES

MODEL = ServedModel("m", Path("/models/m"))


@pytest.mark.parametrize("name", engine_registry().names())
def test_registered_engines_keep_the_rules(name: str) -> None:
    engine = engine_registry().get(name)
    assert engine.facts.name == name
    check_adapter(engine, MODEL, LaunchOptions(base_url="https://example.org/v1"))


def test_the_scripted_engine_keeps_the_rules() -> None:
    check_adapter(ScriptedEngine(), MODEL)


def test_our_engine_is_given_what_was_asked_for() -> None:
    launch = engine_registry().get("zhilu").launch(MODEL, LaunchOptions(threads=3, max_len=512), 4711)
    command = " ".join(launch.argv)
    for words in ("-m zhilu.engine.server", "--model /models/m", "--name m", "--port 4711", "--threads 3"):
        assert words in command
    assert "--max-len 512" in command
    assert "--parent-watch" in command
    assert launch.env["OMP_NUM_THREADS"] == "3"


def test_a_remote_server_is_reached_with_its_key_and_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_registry().get("openai")
    options = LaunchOptions(base_url="https://example.org/v1/", api_key="sk-12345", remote_model="big")
    launch = engine.launch(ServedModel("mine"), options, 0)
    assert (launch.url, launch.model, launch.argv) == ("https://example.org", "big", ())
    assert launch.headers == {"Authorization": "Bearer sk-12345"}
    assert "sk-12345" not in repr(options) + repr(launch)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    launch = engine.launch(ServedModel("mine"), LaunchOptions(base_url="http://h:1"), 0)
    assert launch.headers == {"Authorization": "Bearer sk-env"}


@pytest.mark.parametrize("url", [None, "", "example.org", "ftp://example.org", "http://"])
def test_a_remote_server_needs_a_url(url: str | None) -> None:
    with pytest.raises(InputError) as caught:
        engine_registry().get("openai").launch(ServedModel("m"), LaunchOptions(base_url=url), 0)
    assert caught.value.param == "base_url"


def test_the_choice_of_an_engine_has_a_reason() -> None:
    registry = engine_registry()
    assert choose_engine("auto", MODEL, registry)[0] == "zhilu"
    assert choose_engine("auto", ServedModel("m"), registry)[0] == "openai"
    assert choose_engine("openai", MODEL, registry) == ("openai", T("you chose it", "由你指定"))
    with pytest.raises(NotFoundError, match="zhilu"):
        choose_engine("zhiluu", MODEL, registry)


def test_facts_know_no_other_words_than_the_list() -> None:
    with pytest.raises(ValueError, match="telepathy"):
        EngineFacts("x", T("x", "x"), "alive", T("x", "x"), "x", "2026-01-01", frozenset({"telepathy", *CAPABILITIES}))


def test_a_context_beyond_the_models_own_is_refused_before_anything_starts(tmp_path: Path) -> None:
    from zhilu.engine.testing import make_tiny_model
    from zhilu.serving.supervise.preflight import preflight

    engine, model = engine_registry().get("zhilu"), ServedModel("tiny", make_tiny_model(tmp_path / "tiny"))
    with pytest.raises(InputError) as caught:
        preflight(engine, model, LaunchOptions(max_len=999_999))
    assert caught.value.param == "max_len" and "999999" in caught.value.message.en
    preflight(engine, model, LaunchOptions(max_len=64))
