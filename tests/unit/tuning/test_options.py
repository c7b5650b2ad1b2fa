"""Options of a run: each changes what it says and nothing else, and what does not go together is refused."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from zhilu.context import open_context
from zhilu.engine.testing import make_tiny_model
from zhilu.errors import InputError, MissingComponentError, UnsupportedError
from zhilu.models.shipped import NANO
from zhilu.tuning.config import TuneConfig, choose, refuse_options, refuse_unused

from .conftest import PIRATE
from .test_sft import ROWS, row

pytestmark = pytest.mark.usefixtures("needs_torch")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("m") / "tiny")


def a_run(folder: Path, path: Path, **options: Any) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    from zhilu.tuning.base_model import TARGETS
    from zhilu.tuning.recipes.sft import SftRun, add_lora
    from zhilu.tuning.recipes.units import Unit

    config = TuneConfig(model="tiny", data="x", rank=4, epochs=6, batch_tokens=120, max_len=400, **options)
    chosen = choose(config, 1000, [len(r.ids) for r in ROWS], 512)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if config.method == "lora":
        model = add_lora(model, config, chosen, TARGETS)
    return SftRun(model, [Unit((r,)) for r in ROWS], config, chosen, path)


def test_what_rows_begin_with_is_computed_once_and_changes_no_loss(folder: Path) -> None:
    """Rows with one system prompt, and a question with two answers: fewer tokens, the losses and gradients of each row alone."""
    import torch
    from transformers import AutoModelForCausalLM

    from zhilu.tuning.data.preflight import Rendered
    from zhilu.tuning.recipes.batches import pack, shared_start, tensors, tree_size
    from zhilu.tuning.recipes.sft import loss_sum

    system = tuple(range(30, 50))
    rows = []
    for body in (row(9, 4, 7), row(12, 5, 8), row(9, 2, 7)):
        learned = (*(False for _ in system), *body.learned)
        rows.append(Rendered("", system + body.ids, tuple((0, 0) for _ in learned), learned))
    assert shared_start([r.ids for r in rows]) == 20
    assert tree_size([r.ids for r in rows]) == 20 + 9 + 12  # the third row is the first
    assert len(pack(rows, 50)) == 1
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    batch = tensors(rows)
    assert batch["input_ids"].shape[1] == 41
    together = loss_sum(model, batch)
    together.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    alone = [loss_sum(model, tensors([r])) for r in rows]
    sum(alone).backward()
    assert float(together.detach()) == pytest.approx(sum(float(one.detach()) for one in alone), rel=1e-5)
    assert all(torch.allclose(gradients[name], p.grad, atol=1e-5) for name, p in model.named_parameters())


def test_lion_is_the_papers(tmp_path: Path) -> None:
    import torch

    from zhilu.tuning.recipes.optimizers import Lion

    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
    optimizer = Lion([weight], lr=0.1, betas=(0.9, 0.99), weight_decay=0.5)
    expected, moment = weight.detach().clone(), torch.zeros(3)
    for gradient in (torch.tensor([0.5, -1.0, 0.0]), torch.tensor([-4.0, 0.1, 2.0])):
        weight.grad = gradient.clone()
        optimizer.step()
        update = torch.sign(0.9 * moment + 0.1 * gradient)
        expected = expected - 0.1 * (update + 0.5 * expected)
        moment = 0.99 * moment + 0.01 * gradient
        assert torch.allclose(weight, expected, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["lion", "adamw8bit"])
@pytest.mark.parametrize("method", ["lora", "full"])
def test_other_optimizers_learn_and_go_on_as_they_were(
    folder: Path, tmp_path: Path, optimizer: str, method: str
) -> None:
    import torch

    if optimizer == "adamw8bit":
        pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed here")

    def fresh(name: str) -> Any:
        return a_run(folder, tmp_path / name, optimizer=optimizer, method=method)

    whole = fresh("a.pt")
    curve = [whole.step()["loss"] for _ in range(6)]
    assert curve[-1] < curve[0]
    broken = fresh("b.pt")
    for _ in range(3):
        broken.step()
    broken.save({})
    again = fresh("b.pt")
    assert again.resume()
    assert [again.step()["loss"] for _ in range(3)] == pytest.approx(curve[3:], rel=1e-6)
    assert all(torch.equal(whole.weights()[name], again.weights()[name]) for name in whole.weights())


def test_moments_take_less_where_that_is_asked_for(folder: Path, tmp_path: Path) -> None:
    """Bytes of optimizer state, measured on a full run: as the estimate counts them."""
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed here")
    sizes = {}
    for optimizer in ("adamw", "lion", "adamw8bit"):
        run = a_run(
            make_tiny_model(tmp_path / optimizer, hidden_size=128),
            tmp_path / "c.pt",
            optimizer=optimizer,
            method="full",
        )
        run.step()
        states = run.optimizers[0].state.values()
        sizes[optimizer] = sum(
            t.nbytes for state in states for name, t in state.items() if hasattr(t, "nbytes") and "qmap" not in name
        )
    assert sizes["lion"] == pytest.approx(sizes["adamw"] / 2, rel=0.02)
    assert sizes["adamw8bit"] < 0.4 * sizes["adamw"]


@pytest.mark.parametrize("method", ["lora", "full"])
def test_checkpointing_changes_no_step(folder: Path, tmp_path: Path, method: str) -> None:
    import torch

    runs = [a_run(folder, tmp_path / "c.pt", method=method, dropout=0.1, checkpointing=on) for on in (False, True)]
    without = a_run(folder, tmp_path / "c.pt", method=method)
    calls = []
    layer = next(m for m in runs[1].model.modules() if type(m).__name__.endswith("DecoderLayer"))
    layer.self_attn.register_forward_hook(lambda *_: calls.append(1))
    for _ in range(3):
        one, other = (run.step() for run in runs)
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-6)
        assert without.step()["learned"] == one["learned"]
    if method == "lora":
        assert without.weights().keys() == runs[0].weights().keys()
        assert any(not torch.equal(v, without.weights()[k]) for k, v in runs[0].weights().items()), (
            "dropout is in force"
        )
    assert len(calls) == 2 * 3, "each layer is computed a second time on the way back"
    assert all(torch.allclose(runs[0].weights()[k], v, atol=1e-7) for k, v in runs[1].weights().items())


def test_what_options_take_is_estimated() -> None:
    from zhilu.tuning.estimate import estimate, nearest_that_fits

    usual = estimate(NANO, "full", 8, 1024)
    again = estimate(NANO, "full", 8, 1024, checkpointing=True)
    assert again.sequence < 0.3 * usual.sequence
    assert estimate(NANO, "full", 8, 1024, optimizer="lion").trained == pytest.approx(usual.trained * 8 / 12, abs=1)
    assert estimate(NANO, "full", 8, 1024, optimizer="adamw8bit").trained == pytest.approx(usual.trained / 2, abs=1)
    found = nearest_that_fits(NANO, usual, 8, again.total, longest=1024)
    assert found == again, "checkpointing comes before another method"


def test_what_does_not_go_together_is_refused(monkeypatch: pytest.MonkeyPatch, own_home: Path) -> None:
    from zhilu.tuning.recipes import optimizers
    from zhilu.tuning.tune_cli import tune

    for wrong, match in (
        ({"method": "full", "dora": True}, "dora"),
        ({"method": "full", "rslora": True}, "rslora"),
        ({"method": "lora", "precision": "bfloat16"}, "4 bits"),
        # Ray imports what stands before "://".
        ({"launch": "ray", "ray_address": "antigravity://x"}, "no address of a Ray cluster"),
        ({"launch": "ray", "ray_address": "nonsense"}, "no address of a Ray cluster"),
        ({"launch": "ray", "ray_address": "head:6379/x"}, "no address of a Ray cluster"),
    ):
        with pytest.raises(InputError, match=match):
            refuse_options(TuneConfig(model="m", data="d", **wrong))
    for right in ("head.example:6379", "ray://10.0.0.1:10001", "[::1]:6379", "auto", None):
        refuse_options(TuneConfig(model="m", data="d", launch="ray", ray_address=right))
    with closing(open_context({})) as context:  # from the command line too
        asked = ["run", "--data", "d", "--model", "zhilu-nano", "--method", "full", "--dora"]
        done = CliRunner().invoke(tune, asked, obj=context)
        assert isinstance(done.exception, InputError)
        assert "--method lora --dora" in (done.exception.fix or "")
    monkeypatch.setattr(optimizers, "find_spec", lambda name: None)
    with pytest.raises(MissingComponentError, match="bitsandbytes"):
        optimizers.require_optimizer("adamw8bit")
    optimizers.require_optimizer("lion")


@pytest.mark.parametrize("launch", ["fsdp2", "zero1", "zero2", "zero3"])
def test_options_of_the_whole_model_are_refused_where_it_is_in_parts(launch: str) -> None:
    for option in ({"dora": True}, {"optimizer": "lion"}, {"optimizer": "adamw8bit"}, {"checkpointing": True}):
        with pytest.raises(InputError, match=f"{next(iter(option))}[^\0]*--launch {launch}"):
            refuse_options(TuneConfig(model="m", data="d", launch=launch, **option))
        refuse_options(TuneConfig(model="m", data="d", launch="ddp", **option))


def test_an_option_that_would_have_no_effect_is_refused() -> None:
    of_sft = {"model": "m", "data": "d", "objective": "sft"}
    for asked, name in (
        ({"reward": "number"}, "reward"),
        ({"max_answer": 64}, "max_answer"),
        ({"beta": 0.1}, "beta"),
        ({"objective": "reward", "beta": 0.1}, "beta"),
        ({"method": "full", "rank": 8}, "rank"),
        ({"method": "full", "alpha": 8}, "alpha"),
        ({"method": "full", "dropout": 0.1}, "dropout"),
        ({"ray_address": "ray://head:10001"}, "ray_address"),
        ({"launch": "ddp", "ray_address": "ray://head:10001"}, "ray_address"),
    ):
        with pytest.raises(InputError) as raised:
            refuse_unused(TuneConfig(**{**of_sft, **asked}))
        assert (raised.value.code, raised.value.param) == ("unused_option", name)
    for asked in (
        {},
        {"rank": 8, "alpha": 8, "dropout": 0.1},
        {"objective": "grpo", "reward": "number", "max_answer": 64, "beta": 0.1},
        {"objective": "kto", "beta": 0.2, "method": "full"},
        {"launch": "ray", "ray_address": "ray://head:10001"},
    ):
        refuse_unused(TuneConfig(**{**of_sft, **asked}))


def test_numbers_that_cannot_be_are_one_error_in_both_languages(own_home: Path) -> None:
    from zhilu.tuning.tune_cli import tune

    with closing(open_context({})) as context:
        for verb in ("run", "estimate"):
            asked = [verb, "--data", "d", "--model", "zhilu-nano", "--alpha", "nan", "--seed", str(2**70)]
            done = CliRunner().invoke(tune, asked, obj=context)
            assert isinstance(done.exception, InputError)
            for said in (done.exception.message.en, done.exception.message.zh):
                assert "--alpha nan" in said and "--seed" in said
        for option, value in (("--learning-rate", "1"), ("--epochs", "5000"), ("--nproc", "0"), ("--launch", "mpi")):
            done = CliRunner().invoke(tune, ["run", "--data", "d", option, value], obj=context)
            assert done.exit_code == 2 and option in done.output


def test_numbers_follow_the_model_and_the_options() -> None:
    """A large base gets fewer epochs in more steps; Lion a fifth of the rate; short rows short sequences; and each says why."""
    sizes = [53] * 200
    small, large = (
        choose(TuneConfig(model="m", data="d"), count, sizes, 32_768) for count in (10_000_000, 500_000_000)
    )
    assert small.max_len == large.max_len == 512
    assert large.steps * large.batch_tokens < 0.6 * small.steps * small.batch_tokens
    lion = choose(
        TuneConfig(model="m", data="d", optimizer="lion", dora=True, checkpointing=True), 10_000_000, sizes, 32_768
    )
    assert lion.learning_rate == pytest.approx(small.learning_rate / 5)
    assert {"optimizer", "dora", "checkpointing"} <= lion.reasons.keys()
    assert choose(TuneConfig(model="m", data="d"), 10_000_000, [700] * 50, 2048).max_len == 1024
    assert choose(TuneConfig(model="m", data="d"), 10_000_000, [30] * 50, 2048).max_len == 256


def test_products_are_exact_and_a_resumed_run_keeps_its_precision() -> None:
    import torch
    from torch.nn import functional as F

    from zhilu.tuning.recipes.arithmetic import use_fastest_float32, with_precision

    products = torch.backends.mkldnn.matmul
    was = products.fp32_precision
    try:
        assert "float32" in use_fastest_float32().en
        x, weight = torch.randn(96, 512), torch.randn(640, 512)
        exact = x.double() @ weight.double().T
        assert float((F.linear(x, weight) - exact).abs().max() / exact.abs().max()) < 1e-5
    finally:
        products.fp32_precision = was
    config = TuneConfig(model="m", data="d", method="qlora")
    chosen = choose(config, 10_000_000, [50] * 20, 2048)
    measured = with_precision(config, chosen, {})
    other = "float32" if measured.precision == "bfloat16" else "bfloat16"
    assert with_precision(config, chosen, {"precision": other}).precision == other
    assert with_precision(TuneConfig(model="m", data="d"), chosen, {}) == chosen
    forced = TuneConfig(model="m", data="d", method="qlora", precision="bfloat16")
    assert with_precision(forced, choose(forced, 10_000_000, [50] * 20, 2048), {}).precision == "bfloat16"


def test_a_base_in_4_bits_may_be_multiplied_in_bfloat16(folder: Path) -> None:
    """The loss is that of float32 to 1 %, and sums leave the projection as float32."""
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed here")
    import torch

    from zhilu.tuning.four_bit import load_base_in_4_bits

    ids = torch.arange(300, 364)[None]
    losses = []
    for precision in ("float32", "bfloat16"):
        model = load_base_in_4_bits(NANO, precision)
        with torch.no_grad():
            out = model(input_ids=ids, labels=ids)
        assert out.logits.dtype == torch.float32
        losses.append(float(out.loss))
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.01)


@pytest.mark.timeout(400)
def test_dora_is_served_merged_and_never_as_it_is(own_home: Path, train: Any) -> None:
    """The engine refuses the adapter by name; asking says how out; merged, the engine's greedy answers are those of PEFT."""
    import asyncio

    import torch

    from zhilu.engine.engine import load_engine
    from zhilu.engine.model.adapters import read_adapter
    from zhilu.engine.model.config import read_config
    from zhilu.engine.options import EngineOptions
    from zhilu.tuning.after.behaviour import ask_held_out
    from zhilu.tuning.after.merge import merge_run, with_adapter
    from zhilu.tuning.after.parity import check_parity

    with closing(open_context({})) as context:
        run = train(context, PIRATE, "lengths", epochs=2, dora=True)
        out = run.info().outcome
        assert out.held_out_after < out.held_out_before
        with pytest.raises(UnsupportedError, match="use_dora"):
            read_adapter("a", context.home.adapters / "lengths", read_config(NANO))
        for ask in (ask_held_out, check_parity):
            with pytest.raises(UnsupportedError) as told:
                asyncio.run(ask(context, "lengths"))
            assert told.value.fix == "zhilu tune merge lengths"
        made = merge_run(context, "lengths")
        assert made.apart <= made.tolerance
        answer = out.answers[0]
        with torch.no_grad():
            lengths = [t for name, t in with_adapter(context, run.info()).named_parameters() if "magnitude" in name]
        assert lengths, "PEFT reads back the lengths that were trained"
        options = EngineOptions(context.home.models / made.model, max_len=256, threads=1, runner="torch")
        assert _greedy(load_engine(options), answer.prompt_ids, len(answer.after_ids)) == answer.after_ids


def _greedy(engine: Any, prompt: list[int], length: int) -> list[int]:
    from zhilu.engine.choose.sampling import SamplingParams

    engine.add("r", prompt, SamplingParams(length, temperature=0, ignore_eos=True))
    tokens: list[int] = []
    while engine.requests:
        for output in engine.step():
            assert output.token, output.error
            tokens.append(output.token.id)
    return tokens
