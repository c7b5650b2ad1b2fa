"""Our greedy tokens equal transformers' token by token, on real checkpoints of each family (random weights)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zhilu.engine.choose.sampling import SamplingParams
from zhilu.engine.engine import load_engine
from zhilu.engine.options import EngineOptions
from zhilu.engine.runner.base import StepChunk
from zhilu.engine.runner.load import RUNNERS
from zhilu.engine.testing import make_tiny_model

LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
LINEAR_ROPE = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}

MODELS = {
    "llama, grouped queries, untied": ("llama", {}),
    "llama, one key-value head, biases": (
        "llama",
        {"num_key_value_heads": 1, "attention_bias": True, "mlp_bias": True},
    ),
    "llama, llama3 positions": ("llama", {"rope_parameters": LLAMA3_ROPE}),
    "qwen2, biases on q k v, tied": ("qwen2", {}),
    "qwen3, norms on q k, grouped queries, tied": ("qwen3", {}),
    "qwen3, untied, wide heads": ("qwen3", {"tie_word_embeddings": False, "head_dim": 32}),
    "qwen3, linear positions": ("qwen3", {"rope_parameters": LINEAR_ROPE}),
    "qwen3, heads of 128": ("qwen3", {"head_dim": 128}),
    "llama, heads of 20, one head per key-value head": ("llama", {"head_dim": 20, "num_key_value_heads": 4}),
}
PROMPTS = [np.random.default_rng(length).integers(0, 256, length).tolist() for length in (2, 150, 31, 77)]
NUM_TOKENS = 24

pytestmark = pytest.mark.usefixtures("needs_torch")


@pytest.fixture(scope="module", params=MODELS, ids=lambda name: name.replace(", ", "-").replace(" ", "_"))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    arch, overrides = MODELS[request.param]
    return make_tiny_model(tmp_path_factory.mktemp("m"), arch, seed=1, **overrides)


@pytest.fixture(scope="module")
def reference(folder: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def expected(folder: Path, reference: Any) -> dict[str, list[int]]:
    """The greedy tokens of each prompt as transformers generates them."""
    import torch

    answers = {}
    for number, prompt in enumerate(PROMPTS):
        ids = reference.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt)),  # or it takes prompt tokens that equal the padding for padding
            max_new_tokens=NUM_TOKENS,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
        answers[str(number)] = ids[0, len(prompt) :].tolist()
    return answers


@pytest.fixture(params=RUNNERS)
def runner(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_greedy_tokens_of_a_batch_are_equal(folder: Path, expected: dict[str, list[int]], runner: str) -> None:
    # Mixed lengths, prompts in pieces of at most 64 tokens beside others that decode.
    engine = load_engine(EngineOptions(folder, max_len=256, threads=1, max_batch_tokens=64, runner=runner))
    for number, prompt in enumerate(PROMPTS):
        engine.add(str(number), prompt, SamplingParams(NUM_TOKENS, temperature=0, ignore_eos=True))
    ours: dict[str, list[int]] = {str(number): [] for number in range(len(PROMPTS))}
    while engine.requests:
        for output in engine.step():
            assert output.token is not None
            ours[output.request_id].append(output.token.id)
    assert ours == expected


def test_logits_are_close(folder: Path, reference: Any, runner: str) -> None:
    import torch

    computing = load_engine(EngineOptions(folder, max_len=256, threads=1, runner=runner)).runner
    prompt = PROMPTS[1]
    table = [19, *range(9)]  # blocks in no order
    # In three pieces, so that the second and third read the cache.
    first = computing.run([StepChunk(prompt[:50], 0, table, True)]).copy()
    second = computing.run([StepChunk(prompt[50:149], 50, table, True)]).copy()
    third = computing.run([StepChunk(prompt[149:], 149, table, True)]).copy()
    with torch.inference_mode():
        expected = reference(torch.tensor([prompt])).logits[0].numpy()
    assert computing.run([StepChunk(prompt[:50], 0, table, False)]).shape == (0, reference.config.vocab_size)
    for ours, position in ((first, 49), (second, 148), (third, 149)):
        assert ours.shape == (1, reference.config.vocab_size)
        np.testing.assert_allclose(ours[0], expected[position], atol=2e-4, rtol=1e-4)
    assert np.abs(expected).max() > 1  # the comparison is of something


def test_weights_stored_in_bfloat16_are_computed_exactly(tmp_path: Path, runner: str) -> None:
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import AutoModelForCausalLM

    folder = make_tiny_model(tmp_path, "qwen2", seed=2, dtype="bfloat16")
    file = folder / "model.safetensors"
    save_file({name: t.to(torch.bfloat16) for name, t in load_file(file).items()}, file, metadata={"format": "pt"})
    options = EngineOptions(folder, max_len=256, threads=1, dtype="float32", runner=runner)
    ours = load_engine(options).runner.run([StepChunk(PROMPTS[3], 0, list(range(8)), True)])
    reference = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        logits = reference(torch.tensor([PROMPTS[3]])).logits[0, -1].numpy()
    np.testing.assert_allclose(ours[0], logits, atol=2e-4, rtol=1e-4)


def test_the_engine_needs_no_transformers(folder: Path) -> None:
    import subprocess

    code = (
        "import sys; from pathlib import Path; from zhilu.engine.engine import load_engine; "
        "from zhilu.engine.options import EngineOptions; import zhilu.engine.server.main; "
        f"load_engine(EngineOptions(Path({str(folder)!r}), max_len=64)); "
        "sys.exit('transformers' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=120)
