"""Adapters: what is refused and why, and who may leave when."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from zhilu.engine.choose.sampling import SamplingParams
from zhilu.engine.engine import Engine
from zhilu.engine.model.adapters import Adapter, read_adapter, stack_deltas
from zhilu.engine.model.config import read_config
from zhilu.engine.model.name_patterns import name_matcher
from zhilu.engine.testing import make_tiny_adapter, make_tiny_model
from zhilu.errors import ConflictError, InputError, NotFoundError, UnsupportedError, ZhiluError

GREEDY = SamplingParams(8, temperature=0, ignore_eos=True)
FILE = "adapter_model.safetensors"


@pytest.fixture
def folder(tmp_path: Path, tiny: Path) -> Path:
    return make_tiny_adapter(tmp_path / "adapter", tiny)


def rewrite(folder: Path, change: Callable[[dict[str, np.ndarray]], Any]) -> None:
    tensors = load_file(folder / FILE)
    change(tensors)
    save_file(tensors, folder / FILE)


def test_deltas_are_scaled_and_padded(tiny: Path, tmp_path: Path) -> None:
    config = read_config(tiny)
    small = read_adapter("s", make_tiny_adapter(tmp_path / "s", tiny, 1, rank=2, modules=("q_proj",)), config)
    large = read_adapter("l", make_tiny_adapter(tmp_path / "l", tiny, 2, rank=3, lora_alpha=12), config)
    module = "model.layers.1.self_attn.q_proj"
    raw = load_file(tmp_path / "l" / FILE)
    delta = large.deltas[module]
    stored = raw[f"base_model.model.{module}.lora_B.weight"] @ raw[f"base_model.model.{module}.lora_A.weight"]
    np.testing.assert_allclose(delta.a @ delta.b, 4 * stored.T, rtol=1e-5, atol=1e-5)
    a, b = stack_deltas([small, large], {module: (64, 64)}, 3)
    assert a.shape == (64, 6) and b.shape == (6, 64)
    np.testing.assert_allclose(a[:, :3] @ b[:3], small.deltas[module].a @ small.deltas[module].b, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(a[:, 3:] @ b[3:], delta.a @ delta.b, rtol=1e-5, atol=1e-5)
    assert not stack_deltas([small], {"model.layers.0.self_attn.v_proj": (64, 32)}, 3)[1].any()
    assert small.kinds == {"q_proj"} and (small.rank, large.rank) == (2, 3)


def test_deltas_of_several_projections_lie_side_by_side(tiny: Path, tmp_path: Path) -> None:
    config = read_config(tiny)
    small = read_adapter("s", make_tiny_adapter(tmp_path / "s", tiny, 1, rank=2, modules=("q_proj",)), config)
    large = read_adapter("l", make_tiny_adapter(tmp_path / "l", tiny, 2, rank=3), config)
    sizes = {f"model.layers.0.self_attn.{kind}_proj": (64, out) for kind, out in (("q", 64), ("k", 32), ("v", 32))}
    a, b = stack_deltas([small, large], sizes, 3)
    assert a.shape == (64, 3 * 2 * 3) and b.shape == (3 * 2 * 3, 128)
    x = np.random.default_rng(0).standard_normal((5, 64)).astype(np.float32)
    for place, adapter in enumerate([small, large]):
        mask = np.tile(np.repeat(np.arange(2) == place, 3), 3)
        own = [adapter.deltas.get(name) for name in sizes]
        expected = [x @ d.a @ d.b if d else np.zeros((5, sizes[name][1])) for d, name in zip(own, sizes, strict=True)]
        np.testing.assert_allclose((x @ a * mask) @ b, np.concatenate(expected, axis=1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("overrides", "needle"),
    [
        ({"peft_type": "LOHA"}, "peft_type='LOHA'"),
        ({"use_dora": True}, "use_dora=True"),
        ({"bias": "all"}, "bias='all'"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"init_lora_weights": "pissa_niter_4"}, "pissa_niter_4"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out"),
        ({"some_option_of_2027": 3}, "some_option_of_2027=3"),
    ],
)
def test_other_arithmetic_is_refused_by_name(
    tiny: Path, tmp_path: Path, overrides: dict[str, Any], needle: str
) -> None:
    folder = make_tiny_adapter(tmp_path / "a", tiny, **overrides)
    with pytest.raises(UnsupportedError, match=needle):
        read_adapter("a", folder, read_config(tiny))


def zero_b(tensors: dict[str, np.ndarray]) -> None:
    for name in tensors:
        if "lora_B" in name:
            tensors[name] = np.zeros_like(tensors[name])


def rename(old: str, new: str) -> Callable[[dict[str, np.ndarray]], None]:
    def change(tensors: dict[str, np.ndarray]) -> None:
        for name in [name for name in tensors if old in name]:
            tensors[name.replace(old, new)] = tensors.pop(name)

    return change


def spoil(tensors: dict[str, np.ndarray]) -> None:
    next(iter(tensors.values()))[0, 0] = np.nan


@pytest.mark.parametrize(
    ("change", "needle"),
    [
        (zero_b, "would change nothing"),
        (rename("q_proj", "query"), "query"),
        (rename("layers.1.", "layers.7."), r"layers\.7"),
        (rename("model.layers.0.self_attn.q_proj.lora_", "lm_head.lora_embedding_"), "lm_head"),
        (lambda tensors: tensors.pop(next(name for name in tensors if "lora_B" in name)), "has no lora_B"),
        (spoil, "NaN"),
        (dict.clear, "no lora_A"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(folder: Path, tiny: Path, change: Any, needle: str) -> None:
    rewrite(folder, change)
    with pytest.raises(InputError, match=needle):
        read_adapter("a", folder, read_config(tiny))


def test_another_models_adapter_is_refused(tmp_path: Path, tiny: Path) -> None:
    wider = make_tiny_model(tmp_path / "wider", hidden_size=128)
    folder = make_tiny_adapter(tmp_path / "a", wider)
    with pytest.raises(InputError, match=r"not \(rank, 64\)"):
        read_adapter("a", folder, read_config(tiny))


def test_a_rank_that_the_config_contradicts_is_refused(folder: Path, tiny: Path) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "r": 16}))
    with pytest.raises(InputError, match="has rank 4, but adapter_config"):
        read_adapter("a", folder, read_config(tiny))


def test_missing_and_pickled_files_are_refused(folder: Path, tiny: Path, tmp_path: Path) -> None:
    config = read_config(tiny)
    with pytest.raises(NotFoundError, match=r"adapter_config\.json"):
        read_adapter("a", tmp_path / "nowhere", config)
    (folder / FILE).rename(folder / "adapter_model.bin")
    with pytest.raises(NotFoundError, match="pickle"):
        read_adapter("a", folder, config)


def load(engine: Engine, name: str, folder: Path, tiny: Path) -> Adapter:
    adapter = read_adapter(name, folder, read_config(tiny))
    engine.adapters.add(adapter)
    return adapter


def test_names_are_unique_and_known(make_engine: Callable[..., Engine], folder: Path, tiny: Path) -> None:
    engine = make_engine()
    load(engine, "mine", folder, tiny)
    with pytest.raises(ConflictError, match="loaded already"):
        load(engine, "mine", folder, tiny)
    with pytest.raises(NotFoundError, match="there are: mine") as caught:
        engine.add("0", [1, 2], GREEDY, adapter="mime")
    assert caught.value.fix == "mine" and not engine.requests
    with pytest.raises(NotFoundError):
        engine.adapters.remove("other")
    assert [adapter.name for adapter in engine.adapters] == ["mine"]


def test_an_adapter_leaves_when_its_last_request_is_done(
    make_engine: Callable[..., Engine], folder: Path, tiny: Path
) -> None:
    engine = make_engine()
    load(engine, "a", folder, tiny)
    engine.add("0", [1, 2, 3], GREEDY, n=2, adapter="a")
    engine.add("1", [1, 2, 3], GREEDY, adapter="a")
    engine.step()
    assert engine.adapters.remove("a") is False
    with pytest.raises(NotFoundError):
        engine.add("2", [1], GREEDY, adapter="a")
    engine.abort("1")
    outputs = []
    while engine.requests:
        outputs += engine.step()
    assert sum(output.finish_reason is not None for output in outputs) == 2
    with pytest.raises(NotFoundError):
        engine.adapters.remove("a")
    load(engine, "a", folder, tiny)  # the name is free again


def test_an_adapter_of_the_same_name_finds_none_of_the_olds_cache(
    make_engine: Callable[..., Engine], tiny: Path, tmp_path: Path
) -> None:
    prompt = list(range(80))

    def answer(engine: Engine) -> tuple[list[int], int]:
        engine.add("0", prompt, GREEDY, adapter="a")
        outputs = []
        while engine.requests:
            outputs += engine.step()
        return [o.token.id for o in outputs if o.token], outputs[0].num_cached

    engine, fresh = make_engine(), make_engine()
    second = make_tiny_adapter(tmp_path / "2", tiny, 2)
    load(engine, "a", make_tiny_adapter(tmp_path / "1", tiny, 1), tiny)
    before, _ = answer(engine)
    assert engine.adapters.remove("a")
    load(engine, "a", second, tiny)
    load(fresh, "a", second, tiny)
    assert answer(engine) == answer(fresh) != (before, 0)


@pytest.mark.parametrize("spoiled", ["read", "compile"])
def test_a_failed_load_leaves_the_engine_as_it_was(
    make_engine: Callable[..., Engine], folder: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, spoiled: str
) -> None:
    engine = make_engine()
    if spoiled == "read":
        rewrite(folder, zero_b)
    else:
        monkeypatch.setattr(engine.runner, "add_adapter", _fail)
    with pytest.raises(ZhiluError):
        load(engine, "a", folder, tiny)
    assert list(engine.adapters) == []
    engine.add("0", [1, 2], GREEDY)
    while engine.requests:
        assert all(output.error is None for output in engine.step())


def _fail(number: int, adapter: Adapter) -> None:
    raise UnsupportedError("no")


MODULE = "model.layers.1.self_attn.q_proj"


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("q_proj", True), ("v_proj", False), ("_proj", False), ("layers.1.self_attn.q_proj", True), (MODULE, True),
        ("^q_proj", False), ("^model.layers.1.self_attn.q_proj", True), (r"layers\.[0-3]\.self_attn\.(q|k)_proj", True),
        (r"^model\.layers\.(0|1)\..*", True), (r"layers\.\d+\.mlp\..*", False), (r".*\.q_proj$", True), (r"model\.layers\.1\..+", True),
    ],
)  # fmt: skip
def test_a_pattern_of_names_fits_as_peft_says(pattern: str, fits: bool) -> None:
    assert (re.match(rf"(.*\.)?({pattern})$", MODULE) is not None) is fits, "what PEFT does"
    assert name_matcher(pattern)(MODULE) is fits


@pytest.mark.parametrize(
    "pattern",
    ["(.*)+x", "(a|a)(a|a)" * 40, "(" * 300 + "a" + ")*" * 300, "(.*.*.*.*)*y", "((((.+)+)+)+)+z", r"(m|.)*\1", "(?=m)m", "(", "x" * 9000],
)  # fmt: skip
def test_no_pattern_holds_up_the_engine(pattern: str, tiny: Path, tmp_path: Path) -> None:
    """Either it is refused by name or it is tried on every module; Python's own matcher would not come back."""
    folder = make_tiny_adapter(tmp_path / "a", tiny, rank_pattern={})
    settings = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**settings, "rank_pattern": {pattern: 2}}))
    before = time.process_time()
    try:
        read_adapter("a", folder, read_config(tiny))
    except InputError as error:
        assert "rank_pattern" in error.message.en and error.code == "bad_adapter"
    assert time.process_time() - before < 5


@pytest.mark.parametrize(
    "wrong", [{"r": "x"}, {"r": 0}, {"lora_alpha": []}, {"rank_pattern": [1]}, {"rank_pattern": {"q_proj": 1e999}}]
)
def test_a_rank_that_is_no_number_is_refused(wrong: dict[str, Any], tiny: Path, tmp_path: Path) -> None:
    folder = make_tiny_adapter(tmp_path / "a", tiny)
    settings = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(settings | wrong))
    with pytest.raises(InputError) as refused:
        read_adapter("a", folder, read_config(tiny))
    assert refused.value.code == "bad_adapter"
