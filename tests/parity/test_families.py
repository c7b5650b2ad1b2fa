"""Every family of ``families.py`` gives transformers' greedy tokens, from a checkpoint that transformers itself wrote.

The models are made on the spot: transformers' own class with a tiny configuration and random weights. The prompts are longer
than the sliding window, are read in pieces, and are in one batch.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zhilu.engine.choose.sampling import SamplingParams
from zhilu.engine.engine import Engine, load_engine
from zhilu.engine.model.config import FAMILIES, read_config
from zhilu.engine.options import EngineOptions
from zhilu.engine.runner.base import StepChunk
from zhilu.engine.testing import make_tiny_adapter, make_tiny_model
from zhilu.errors import NotFoundError, UnsupportedError

NUM_TOKENS = 40
WINDOW = 24
PROMPTS = [np.random.default_rng(length).integers(0, 256, length).tolist() for length in (90, 3, 41)]

TINY = {
    "vocab_size": 266,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
LLAMA3["original_max_position_embeddings"] = 64
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 32}
FACTORS = {"short_factor": [1.0, 1.1, 1.5, 2.0, 2.5, 3.0], "long_factor": [1.0, 2.0, 3.0, 4.0, 6.0, 8.0]}
LONGROPE = {"rope_type": "longrope", "rope_theta": 10000.0, **FACTORS}
MOE = {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "norm_topk_prob": True}
GRANITE = {"embedding_multiplier": 6.0, "residual_multiplier": 0.4, "attention_multiplier": 0.2, "logits_scaling": 3.0}

# transformers' configuration class, what is set in it, and the runners: Gemma 2's capped scores and experts need torch.
BOTH, TORCH = ("openvino", "torch"), ("torch",)
MODELS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "llama 3": ("LlamaConfig", {"rope_parameters": LLAMA3, "head_dim": 16}, BOTH),
    "llama, yarn": ("LlamaConfig", {"rope_parameters": YARN, "head_dim": 16}, BOTH),
    "mistral, window": ("MistralConfig", {"sliding_window": WINDOW, "head_dim": 32}, BOTH),
    "mistral, no window": ("MistralConfig", {"sliding_window": None}, BOTH),
    "qwen 2.5": ("Qwen2Config", {"tie_word_embeddings": True}, BOTH),
    "qwen 2, window behind": (
        "Qwen2Config",
        {"use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 2},
        BOTH,
    ),
    "qwen 3": ("Qwen3Config", {"head_dim": 32}, BOTH),
    "qwen 3, yarn": ("Qwen3Config", {"head_dim": 16, "rope_parameters": YARN}, BOTH),
    "qwen 3 moe": ("Qwen3MoeConfig", {**MOE, "head_dim": 16}, TORCH),
    "qwen 3 moe, dense layers between": ("Qwen3MoeConfig", {**MOE, "decoder_sparse_step": 2, "mlp_only_layers": [3]}, TORCH),
    "gemma 2": ("Gemma2Config", {"head_dim": 16, "sliding_window": WINDOW, "query_pre_attn_scalar": 24}, TORCH),
    "gemma 2, scores not capped": (
        "Gemma2Config",
        {"head_dim": 16, "sliding_window": WINDOW, "attn_logit_softcapping": None, "query_pre_attn_scalar": 24},
        BOTH,
    ),
    "gemma 3": (
        "Gemma3TextConfig",
        {"head_dim": 32, "sliding_window": WINDOW, "query_pre_attn_scalar": 24, "num_hidden_layers": 7},
        BOTH,
    ),
    "phi 3": ("Phi3Config", {"sliding_window": WINDOW}, BOTH),
    "phi 4 mini": (
        "Phi3Config",
        {
            "rope_parameters": {**LONGROPE, "partial_rotary_factor": 0.75},
            "original_max_position_embeddings": 160,
            "tie_word_embeddings": True,
        },
        BOTH,
    ),
    "smollm 3": ("SmolLM3Config", {}, BOTH),
    "smollm 3, window": ("SmolLM3Config", {"use_sliding_window": True, "sliding_window": WINDOW}, BOTH),
    "glm": ("GlmConfig", {"head_dim": 16}, BOTH),
    "glm 4": ("Glm4Config", {"head_dim": 16}, BOTH),
    "granite": ("GraniteConfig", GRANITE, BOTH),
    "internlm 3": ("InternLM3Config", {"head_dim": 16}, BOTH),
    "ernie 4.5": ("Ernie4_5Config", {"head_dim": 16, "use_bias": True}, BOTH),
    "seed oss": ("SeedOssConfig", {"head_dim": 16}, BOTH),
}  # fmt: skip

pytestmark = pytest.mark.usefixtures("needs_torch")


def write_model(folder: Path, config_class: str, overrides: dict[str, Any], **how: Any) -> Path:
    """A checkpoint of random weights, written by transformers; the tokenizer is the tests' own."""
    import transformers

    config = getattr(transformers, config_class)(**{**TINY, **overrides})
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    randomise(model, config.tie_word_embeddings)
    model.save_pretrained(folder, **how)
    return add_tokenizer(folder)


def randomise(model: Any, tied: bool) -> None:
    import torch

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            noise = torch.randn(weight.shape, generator=generator)
            # Unit gain per layer, so that an argmax is unambiguous; norms and biases near where they start.
            weight.copy_(weight + 0.1 * noise if weight.ndim == 1 else noise / weight.shape[-1] ** 0.5)
        if tied:  # or each token would answer itself
            model.get_input_embeddings().weight.mul_(0.25)


def add_tokenizer(folder: Path) -> Path:
    for file in make_tiny_model(folder.parent / "words").glob("tokenizer*"):
        shutil.copy(file, folder)
    return folder


@pytest.fixture(scope="module", params=MODELS, ids=lambda name: name.replace(", ", "-").replace(" ", "_"))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, tuple[str, ...]]:
    config_class, overrides, runners = MODELS[request.param]
    folder = write_model(tmp_path_factory.mktemp("m") / "model", config_class, overrides)
    return folder, expected_tokens(folder), runners


def expected_tokens(folder: Path, prompts: list[list[int]] = PROMPTS) -> list[list[int]]:
    """transformers' greedy tokens of each prompt."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return [
        model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt)),
            max_new_tokens=NUM_TOKENS,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )[0, len(prompt) :].tolist()
        for prompt in prompts
    ]


def load(folder: Path, runner: str, **options: Any) -> Engine:
    # At most 32 tokens a step: prompts are read in pieces beside others that decode.
    options = {"max_len": 140, "threads": 1, "max_batch_tokens": 32, "runner": runner, "dtype": "float32", **options}
    return load_engine(EngineOptions(folder, **options))


def answers(engine: Engine, prompts: list[list[int]] = PROMPTS, adapter: str | None = None) -> list[list[int]]:
    for number, prompt in enumerate(prompts):
        engine.add(str(number), prompt, SamplingParams(NUM_TOKENS, temperature=0, ignore_eos=True), adapter=adapter)
    found: list[list[int]] = [[] for _ in prompts]
    while engine.requests:
        for output in engine.step():
            assert output.token is not None
            found[int(output.request_id)].append(output.token.id)
    return found


@pytest.mark.parametrize("runner", BOTH)
def test_greedy_tokens_are_those_of_transformers(case: Any, runner: str) -> None:
    folder, expected, runners = case
    if runner not in runners:
        with pytest.raises(UnsupportedError, match="the torch runner does"):
            load(folder, "openvino")
        assert load(folder, "auto").runner.describe()["runner"] == "torch"
        return
    assert answers(load(folder, runner)) == expected
    assert len({token for answer in expected for token in answer}) > 10  # the comparison is of something


def test_logits_of_every_position_are_close(case: Any) -> None:
    """Tokens may hide a small mistake; logits do not. The second piece reads what the first left in the cache."""
    import torch
    from transformers import AutoModelForCausalLM

    folder, _, runners = case
    prompt, table = PROMPTS[0], [9, *range(8)]  # blocks in no order
    with torch.inference_mode():
        reference = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        expected = reference(torch.tensor([prompt])).logits[0].numpy()
    for runner in runners:
        computing = load(folder, runner).runner
        first = computing.run([StepChunk(prompt[:50], 0, table, 50)]).copy()
        second = computing.run([StepChunk(prompt[50:], 50, table, len(prompt) - 50)])
        assert np.abs(np.concatenate([first, second]) - expected).max() < 2e-4 * max(1, np.abs(expected).max())


# What the checkpoints of the hub say, where it differs from what transformers 5 writes.
OLDER = {
    "llama 3": {"rope_theta": 10000.0, "rope_scaling": {k: v for k, v in LLAMA3.items() if k != "rope_theta"}},
    "phi 4 mini": {
        "rope_theta": 10000.0,
        "partial_rotary_factor": 0.75,
        "rope_scaling": {"type": "longrope", **FACTORS},
    },
    "gemma 3": {"rope_theta": 1000000.0, "rope_local_base_freq": 10000.0, "rope_scaling": None, "layer_types": None},
    "glm 4": {"rope_theta": 10000.0, "partial_rotary_factor": 0.5},
    "internlm 3": {
        "architectures": ["InternLM3ForCausalLM"],
        "attention_bias": None,
        "qkv_bias": False,
        "bias": False,
        "rope_scaling": {"rope_type": "dynamic", "factor": 6.0},
    },
    "qwen 3 moe": {"num_local_experts": None, "num_experts": 6},
}


@pytest.mark.parametrize("name", OLDER)
def test_older_spellings_say_the_same(tmp_path: Path, name: str) -> None:
    config_class, overrides, _ = MODELS[name]
    folder = write_model(tmp_path / "model", config_class, overrides)
    before = read_config(folder)
    file = folder / "config.json"
    raw = {**json.loads(file.read_text()), "rope_parameters": None, **OLDER[name]}
    file.write_text(json.dumps({key: value for key, value in raw.items() if value is not None}))
    assert replace(read_config(folder), architecture=before.architecture) == before


def test_minicpm_is_granite_with_other_names(tmp_path: Path) -> None:
    """transformers has no MiniCPM of its own; the maker's file computes Granite's formula from these three constants."""
    constants = {"embedding_multiplier": 12.0, "residual_multiplier": 1.4 / 2, "attention_multiplier": 16**-0.5}
    folder = write_model(tmp_path / "model", "GraniteConfig", {**constants, "logits_scaling": 64 / 32})
    expected = expected_tokens(folder)
    file = folder / "config.json"
    raw = {key: value for key, value in json.loads(file.read_text()).items() if key not in constants}
    own = {"scale_emb": 12, "scale_depth": 1.4, "dim_model_base": 32}
    file.write_text(json.dumps({**raw, "architectures": ["MiniCPMForCausalLM"], "logits_scaling": None, **own}))
    for runner in BOTH:
        assert answers(load(folder, runner)) == expected


def test_the_text_part_of_a_gemma_that_sees(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForImageTextToText, Gemma3Config

    text = {**TINY, **MODELS["gemma 3"][1]}
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    vision |= {"image_size": 28, "patch_size": 14}
    model = AutoModelForImageTextToText.from_config(
        Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4, image_token_index=260)
    )
    randomise(model, tied=True)
    folder = tmp_path / "model"
    model.save_pretrained(folder)
    add_tokenizer(folder)
    with torch.inference_mode():
        expected = model.eval()(torch.tensor([PROMPTS[0]])).logits[0, -1].numpy()
    for runner in BOTH:
        ours = load(folder, runner).runner.run([StepChunk(PROMPTS[0], 0, list(range(8)), 1)])
        np.testing.assert_allclose(ours[0], expected, atol=2e-4, rtol=1e-3)


def test_a_longer_context_takes_the_long_factors(tmp_path: Path) -> None:
    config_class, overrides, _ = MODELS["phi 4 mini"]
    folder = write_model(tmp_path / "model", config_class, {**overrides, "original_max_position_embeddings": 64})
    expected = expected_tokens(folder, [PROMPTS[0]])  # 90 tokens: transformers takes the long ones as well
    for runner in BOTH:
        assert load(folder, runner, max_len=None).max_len == 64
        assert answers(load(folder, runner), [PROMPTS[0]]) == expected


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
@pytest.mark.parametrize("name", ["glm 4", "smollm 3", "gemma 3"])
def test_an_adapter_counts_as_peft_counts_it(tmp_path: Path, name: str) -> None:
    peft = pytest.importorskip("peft")
    import torch
    from transformers import AutoModelForCausalLM

    config_class, overrides, _ = MODELS[name]
    folder = write_model(tmp_path / "model", config_class, overrides)
    adapter = make_tiny_adapter(tmp_path / "adapter", folder, modules=("q_proj", "k_proj", "o_proj", "down_proj"))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model = peft.PeftModel.from_pretrained(model, str(adapter)).eval()
    with torch.inference_mode():
        expected = model(torch.tensor([PROMPTS[0]])).logits[0, -1].numpy()
    for runner in BOTH:
        engine = load(folder, runner, adapters={"a": adapter})
        ours = engine.runner.run([StepChunk(PROMPTS[0], 0, list(range(8)), 1, adapter=1)])
        np.testing.assert_allclose(ours[0], expected, atol=5e-4, rtol=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_what_a_configuration_leaves_out_is_what_transformers_takes(tmp_path: Path, name: str) -> None:
    """Older checkpoints state only what differs from the defaults of the class."""
    import transformers

    config_class = getattr(transformers, MODELS[name][0])
    stated, usual = config_class(**TINY, **_without(MODELS[name][1], TINY)).to_dict(), config_class().to_dict()
    family = transformers.AutoModelForCausalLM._model_mapping[config_class].__name__
    if name == "internlm 3":  # transformers computes it with Llama's class; its makers name their own
        family = "InternLM3ForCausalLM"
    sizes = {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"}
    kept = sizes | {"num_key_value_heads", "max_position_embeddings", "layer_types", "no_rope_layers"}
    short = {key: value for key, value in stated.items() if key in kept or value != usual.get(key)}
    found = []
    for raw in (stated, short):
        (tmp_path / "config.json").write_text(json.dumps({**raw, "architectures": [family]}))
        found.append(read_config(tmp_path))
    assert found[0] == found[1]


def _without(overrides: dict[str, Any], taken: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in overrides.items() if key not in taken}


def test_shards_of_mixed_dtypes(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    folder = write_model(tmp_path / "model", "Qwen3Config", {"head_dim": 16}, max_shard_size="60KB")
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 2
    kinds = {"norm.weight": torch.float32, "k_proj.weight": torch.float16}
    for shard in shards:
        stored = {
            name: tensor.to(next((kind for end, kind in kinds.items() if name.endswith(end)), torch.bfloat16))
            for name, tensor in load_file(shard).items()
        }
        save_file(stored, shard, metadata={"format": "pt"})
    expected = expected_tokens(folder)
    for runner in BOTH:
        assert answers(load(folder, runner)) == expected
    shards[1].unlink()
    with pytest.raises(NotFoundError, match=shards[1].name):
        load(folder, "torch")


@pytest.mark.parametrize("name", ["gemma 3", "glm 4", "phi 4 mini", "granite", "smollm 3"])
def test_rounded_weights_stay_close(tmp_path: Path, name: str) -> None:
    config_class, overrides, _ = MODELS[name]
    folder = write_model(tmp_path / "model", config_class, overrides)
    chunk = StepChunk(PROMPTS[0], 0, list(range(8)), len(PROMPTS[0]))
    exact = load(folder, "openvino").runner.run([chunk]).copy()
    rounded = load(folder, "openvino", precision="int8").runner.run([chunk])
    error = np.abs(rounded - exact).mean() / exact.std()
    print(f"{name}: {error:.3f}")
    assert 1e-4 < error < 0.1


def test_every_family_is_compared() -> None:
    import transformers

    written = {getattr(transformers, name)().model_type for name, _, _ in MODELS.values()}
    classes = transformers.models.auto.modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    compared = {classes[kind] for kind in written}
    own_tests = {"MiniCPMForCausalLM", "Gemma3ForConditionalGeneration", "InternLM3ForCausalLM"}
    assert set(FAMILIES) - own_tests <= compared
