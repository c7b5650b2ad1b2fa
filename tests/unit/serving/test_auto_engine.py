"""What ``--engine auto`` takes: by processor, format, streams and adapters at first, by what was measured here afterwards."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from zhilu.engine.processor import Processor, parse_cpuinfo, processor
from zhilu.engine.testing import make_tiny_adapter, make_tiny_model
from zhilu.engine.testing_gguf import write_gguf
from zhilu.errors import MissingComponentError, UnsupportedError
from zhilu.serving import engines, speed
from zhilu.serving.bench.load import Load, Target
from zhilu.serving.bench.measure import Sample
from zhilu.serving.bench.report import Result, speed_of
from zhilu.serving.engines import choose_engine, engine_registry
from zhilu.serving.engines.llamacpp import LlamaCppEngine
from zhilu.serving.engines.zhilu import ENGINE as ZHILU
from zhilu.serving.facts import LaunchOptions, ServedModel
from zhilu.serving.speed import Speed, keep_speed, read_speeds
from zhilu.serving.supervise import preflight as checks
from zhilu.serving.supervise.preflight import preflight

PLAIN = Processor("an AMD", frozenset({"avx", "avx2", "fma"}))
WIDE = Processor("an Intel", PLAIN.flags | {"avx512f", "avx512_vnni", "amx_int8"})
SERVER = Processor("another AMD", PLAIN.flags | {"avx512f", "avx512_vnni", "avx512_bf16"})
CLIENT = Processor("a laptop", PLAIN.flags | {"avx_vnni"})


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> object:
    """The machine has that processor, no GPU, and nothing on the PATH."""
    monkeypatch.setattr(checks, "has_gpu", lambda: False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(LlamaCppEngine, "installed", lambda self, home=None: (True, "here"))

    def take(chosen: Processor) -> None:
        monkeypatch.setattr(engines, "processor", lambda: chosen)
        monkeypatch.setattr(speed, "processor", lambda: chosen)

    return take


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_tiny_model(tmp_path / "m", "qwen2")


@pytest.fixture
def file(tmp_path: Path, folder: Path) -> Path:
    return write_gguf(tmp_path / "q.gguf", folder, "Q8_0")


def chosen(path: Path, home: Path, **options: object) -> tuple[str, str]:
    given = LaunchOptions(home=home, **options)  # type: ignore[arg-type]
    name, reason = choose_engine("auto", ServedModel("q", path), engine_registry(), given)
    assert reason.zh != reason.en
    return name, reason.en


def test_a_gguf_file_goes_by_processor_and_streams(on, file: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    on(PLAIN)
    name, reason = chosen(file, tmp_path)
    assert name == "llamacpp" and "without AVX-512, VNNI or AMX" in reason and "(here: an AMD with AVX2)" in reason
    assert chosen(file, tmp_path, concurrency=4)[0] == "llamacpp"
    name, reason = chosen(file, tmp_path, concurrency=8)
    assert name == "zhilu" and "many requests" in reason
    has = {
        WIDE: "AVX2, AVX-512, AVX-512 VNNI, AMX",
        CLIENT: "AVX2, AVX-VNNI",
        SERVER: "AVX2, AVX-512, AVX-512 VNNI, AVX-512 BF16",
    }
    for one, sets in has.items():
        on(one)
        for streams in (None, 1, 8):
            name, reason = chosen(file, tmp_path, concurrency=streams)
            assert name == "zhilu" and ("many requests" in reason or "with AVX-512, VNNI or AMX" in reason)
        assert f"(here: {one.name} with {sets})" in chosen(file, tmp_path)[1]
    on(Processor("an ARM", frozenset({"asimd", "i8mm"})))
    name, reason = chosen(file, tmp_path)
    assert name == "llamacpp" and "(here: an ARM with NEON, I8MM)" in reason
    on(Processor("unknown", frozenset()))
    name, reason = chosen(file, tmp_path)
    assert name == "llamacpp" and "does not tell its processor's instruction sets" in reason


def test_folders_and_adapters_go_to_the_embedded_engine(on, file: Path, folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    on(PLAIN)
    assert chosen(folder, tmp_path)[0] == "zhilu"
    adapter = make_tiny_adapter(tmp_path / "a", folder)
    name, reason = chosen(file, tmp_path, loras=(("mine", adapter),))
    assert name == "zhilu" and "passed over: llamacpp" in reason and "cannot take --lora" in reason


def test_what_was_measured_here_goes_before_the_processor(on, file: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    on(PLAIN)
    keep_speed(tmp_path, file, "zhilu", Speed(read=400, write=12, many=70, streams=8))
    assert chosen(file, tmp_path)[0] == "llamacpp", "one figure alone compares nothing"
    keep_speed(tmp_path, file, "llamacpp", Speed(read=40, write=18, many=90, streams=8))
    name, reason = chosen(file, tmp_path)
    assert name == "zhilu" and "measured here: zhilu reads 400 and writes 12 tok/s; llamacpp" in reason
    name, reason = chosen(file, tmp_path, concurrency=16)
    assert name == "llamacpp" and "llamacpp 90 tok/s with 8 streams" in reason
    keep_speed(tmp_path, file, "llamacpp", Speed(write=80, read=300))
    assert read_speeds(tmp_path, file)["llamacpp"].many == 90, "what was not measured again stays"
    assert chosen(file, tmp_path)[0] == "llamacpp"
    # The faster one cannot do what is asked: the next one, with the reason.
    assert chosen(file, tmp_path, precision="int8")[0] == "zhilu"
    on(WIDE)
    assert "measured" not in chosen(file, tmp_path)[1], "another processor's figures"
    on(PLAIN)
    file.write_bytes(file.read_bytes() + b"\0")
    assert read_speeds(tmp_path, file) == {}, "another file"


@pytest.mark.parametrize("damage", ["", "{", '{"models": 3, "processor": "an AMD"}', "[]"])
def test_a_damaged_note_is_as_none(on, file: Path, tmp_path: Path, damage: str) -> None:  # type: ignore[no-untyped-def]
    on(PLAIN)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "speeds.json").write_text(damage)
    assert chosen(file, tmp_path)[0] == "llamacpp"
    keep_speed(tmp_path, file, "zhilu", Speed(many=1.5, streams=8))
    assert read_speeds(tmp_path, file)["zhilu"].many == 1.5


def _sample(start: float, pieces: int, error: str = "") -> Sample:
    moments = [start + 0.5 + 0.1 * i for i in range(pieces)]
    return Sample(start, moments[-1], moments, 100, pieces, error)


def test_a_bench_says_a_speed_only_where_everything_was_answered() -> None:
    target = Target("m", "http://127.0.0.1:1/v1", "m")
    alone = Result(target, Load(2, 1), [_sample(0, 11), _sample(2, 11)])
    crowd = Result(target, Load(8, 8), [_sample(0, 11) for _ in range(8)])
    assert speed_of([alone, crowd]) == Speed(
        read=pytest.approx(200), write=pytest.approx(10), many=pytest.approx(88 / 1.5), streams=8
    )
    failed = Result(target, Load(8, 8), [_sample(0, 11, "HTTP 500") for _ in range(8)])
    few = Result(target, Load(2, 2), [_sample(0, 11), _sample(0, 11)])
    at_a_rate = Result(target, Load(1, None, 1.0), [_sample(0, 11)])
    assert speed_of([failed, few, at_a_rate]) == Speed()


def test_the_embedded_engine_is_started_with_a_file_it_can_read(file: Path, folder: Path, tmp_path: Path) -> None:
    command = ZHILU.launch(ServedModel("q", file), LaunchOptions(), 1).argv
    assert command[:3] == (sys.executable, "-m", "zhilu.engine.server") and str(file) in command
    other = file.with_name("other.gguf")
    other.write_bytes(file.read_bytes().replace(b"qwen2", b"mamba"))
    with pytest.raises(UnsupportedError, match="does not run the architecture 'mamba'") as caught:
        preflight(ZHILU, ServedModel("q", other), LaunchOptions(home=tmp_path))
    assert caught.value.fix == "--engine llamacpp"
    strange = write_gguf(tmp_path / "s.gguf", folder, metadata={"tokenizer.ggml.note": "x"})
    strange.write_bytes(strange.read_bytes().replace(b"gpt-2", b"gpt-9"))
    with pytest.raises(UnsupportedError, match="gpt-9"):
        preflight(ZHILU, ServedModel("q", strange), LaunchOptions(home=tmp_path))


def test_llama_cpp_says_what_it_cannot_do_with_an_adapter(file: Path, folder: Path, tmp_path: Path) -> None:
    given = LaunchOptions(home=tmp_path, loras=(("mine", make_tiny_adapter(tmp_path / "a", folder)),))
    for name in ("llamacpp", "llama-server"):
        with pytest.raises(
            UnsupportedError, match="converted to GGUF; a PEFT folder is what the embedded engine"
        ) as caught:
            preflight(engine_registry().get(name), ServedModel("q", file), given)
        assert caught.value.fix == "zhilu serve q --engine zhilu --lora NAME=FOLDER"
        with pytest.raises(UnsupportedError, match="a PEFT folder") as caught:
            engine_registry().get(name).facts.refuse_beyond("/v1/load_lora_adapter")
        assert "--engine zhilu" in str(caught.value.fix)
    need = preflight(ZHILU, ServedModel("q", file), given)
    assert need is not None and 0 < need.weights < file.stat().st_size  # the blocks as they are held, without the head


def test_without_llama_cpp_the_embedded_engine_reads_the_file(
    on,  # type: ignore[no-untyped-def]
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from zhilu.messages import T

    on(PLAIN)
    monkeypatch.setattr(LlamaCppEngine, "installed", lambda self, home=None: (False, T("not here", "没有")))
    name, reason = chosen(file, tmp_path)
    assert name == "zhilu" and "passed over: llamacpp" in reason
    other = file.with_name("other.gguf")
    other.write_bytes(file.read_bytes().replace(b"qwen2", b"mamba"))
    with pytest.raises(MissingComponentError, match="'mamba'"):
        chosen(other, tmp_path)


def test_the_processor_is_read_as_linux_tells_it() -> None:
    intel = "processor\t: 0\nmodel name\t: Intel(R) Xeon(R)\nflags\t\t: fpu AVX2 avx512f amx_int8\n"
    one = Processor(*parse_cpuinfo(intel))
    assert one.name == "Intel(R) Xeon(R)" and one.is_wide and one.sets == "AVX2, AVX-512, AMX"
    arm = Processor(*parse_cpuinfo("Model\t\t: Raspberry Pi 5\nFeatures\t: fp asimd\n"))
    assert not arm.is_wide and arm.sets == "NEON"
    assert Processor(*parse_cpuinfo("")).sets == "no AVX2"
    assert json.dumps(sorted(processor().flags)), "of this machine"
