"""LoRA adapters against PEFT: the same folder, the same greedy tokens; and sixteen in one batch as sixteen alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zhilu.engine.choose.sampling import SamplingParams
from zhilu.engine.engine import Engine, load_engine
from zhilu.engine.model.adapters import read_adapter
from zhilu.engine.model.config import read_config
from zhilu.engine.options import EngineOptions
from zhilu.engine.runner.load import RUNNERS
from zhilu.engine.testing import make_tiny_adapter, make_tiny_model

ALL = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
PATTERNS = {"rank_pattern": {"layers.0.self_attn.q_proj": 4}, "alpha_pattern": {"v_proj": 1}}
ADAPTERS: dict[str, dict[str, Any]] = {
    "q and v": {},
    "every projection, rank 8": {"rank": 8, "modules": ALL},
    "rslora": {"rank": 3, "modules": ("o_proj", "down_proj"), "use_rslora": True},
    "own alphas and ranks": PATTERNS,
}
# PEFT 0.21 still asks transformers 5 by an old name.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),
    pytest.mark.usefixtures("needs_torch"),
]
PROMPT = np.random.default_rng(9).integers(0, 256, 45).tolist()
NUM_TOKENS = 16


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("m"), "qwen2", seed=1)


@pytest.fixture(scope="module")
def folders(model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = tmp_path_factory.mktemp("adapters")
    return {
        name: make_tiny_adapter(made / str(seed), model, seed, **wish)
        for seed, (name, wish) in enumerate(ADAPTERS.items())
    }


@pytest.fixture(scope="module")
def expected(model: Path, folders: dict[str, Path]) -> dict[str, list[int]]:
    """What PEFT generates with each adapter and with none."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    answers = {}
    for name, folder in [("", None), *folders.items()]:
        reference: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
        if folder:
            reference = PeftModel.from_pretrained(reference, folder).eval()
        ids = reference.generate(
            input_ids=torch.tensor([PROMPT]),
            attention_mask=torch.ones(1, len(PROMPT)),
            max_new_tokens=NUM_TOKENS,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
        answers[name] = ids[0, len(PROMPT) :].tolist()
    return answers


@pytest.fixture(params=RUNNERS)
def runner(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def load(model: Path, runner: str, **options: Any) -> Engine:
    return load_engine(EngineOptions(model, max_len=128, threads=1, runner=runner, **options))


def answer(engine: Engine, wishes: dict[str, str | None], prompt: list[int] = PROMPT) -> dict[str, list[int]]:
    """Greedy tokens of one batch; ``wishes``: the adapter of each request."""
    for id, adapter in wishes.items():
        engine.add(id, prompt, SamplingParams(NUM_TOKENS, temperature=0, ignore_eos=True), adapter=adapter)
    answers: dict[str, list[int]] = {id: [] for id in wishes}
    while engine.requests:
        for output in engine.step():
            assert output.token, output.error
            answers[output.request_id].append(output.token.id)
    return answers


def test_a_mixed_batch_answers_as_peft_does(
    model: Path, folders: dict[str, Path], expected: dict[str, list[int]], runner: str
) -> None:
    engine = load(model, runner, adapters=folders)
    assert answer(engine, {name: name or None for name in expected}) == expected
    assert len({tuple(ids) for ids in expected.values()}) == len(expected)  # each of them changes the answer
    # Once more, from the prefix cache: each finds its own blocks, not another's.
    assert answer(engine, {name: name or None for name in expected}) == expected
    assert engine.metrics.num_prefix_hits > 0


def test_adapters_come_and_go_while_others_run(
    model: Path, folders: dict[str, Path], expected: dict[str, list[int]], runner: str
) -> None:
    engine = load(model, runner)
    config = read_config(model)
    assert answer(engine, {"": None}) == {"": expected[""]}
    for name, folder in folders.items():
        engine.adapters.add(read_adapter(name, folder, config))
        assert answer(engine, {name: name, "": None}) == {name: expected[name], "": expected[""]}
    for name in folders:
        assert engine.adapters.remove(name)
        assert answer(engine, {"": None}) == {"": expected[""]}


def test_sixteen_in_one_batch_equal_sixteen_alone(model: Path, tmp_path: Path, runner: str) -> None:
    folders = {
        f"a{seed}": make_tiny_adapter(tmp_path / str(seed), model, seed, rank=1 + seed % 5) for seed in range(16)
    }
    engine = load(model, runner, adapters=folders)
    together = answer(engine, {name: name for name in folders})
    alone = {name: answer(engine, {name: name})[name] for name in folders}
    assert together == alone
    assert len({tuple(ids) for ids in alone.values()}) == 16
