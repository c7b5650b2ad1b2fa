"""One tiny run, whole: trained, killed, resumed, exported, loaded by transformers."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed here")

from zhilu.training.model import Guide, Nano, NanoConfig, attention_mask, greedy  # noqa: E402
from zhilu.training.nano.circuit import draw_copy_circuit  # noqa: E402
from zhilu.training.nano.export import export, load_exported, weights_digest  # noqa: E402
from zhilu.training.nano.train import Recipe, learning_rate_share, train  # noqa: E402
from zhilu.training.optimizer import orthogonalize  # noqa: E402
from zhilu.training.spectral import spectral_embedding  # noqa: E402

TINY = Recipe(
    model=NanoConfig(
        vocab_size=600,
        hidden_size=64,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=32,
        intermediate_size=64,
    ),
    batch_tokens=1024,
    steps=8,
    warmup_steps=2,
    max_chars=20_000,
    threads=1,
    compile=False,
    dtype="float32",  # which is faster is a matter of the moment on a busy machine
)


def _curve(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "curve.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train(TINY, data, folder)
    return folder


def test_loss_falls(run: Path) -> None:
    curve = _curve(run)
    assert len(curve) == TINY.steps
    assert curve[-1] < curve[0] - 0.3


def test_a_stopped_run_goes_on_with_the_same_loss_curve(run: Path, data: Path, tmp_path: Path) -> None:
    class Stop(Exception):
        """Raised between two steps: what was not saved is lost, as in a kill."""

    def stop_at_five(line: dict[str, float]) -> None:
        if line["step"] == 5:
            raise Stop

    (tmp_path / "tokenizer.json").write_bytes((run / "tokenizer.json").read_bytes())
    with pytest.raises(Stop):
        train(replace(TINY, save_minutes=0), data, tmp_path, stop_at_five)
    train(TINY, data, tmp_path)
    assert _curve(tmp_path) == pytest.approx(_curve(run), abs=1e-5)


def test_batches_made_ahead_by_other_processes_are_the_same(run: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes((run / "tokenizer.json").read_bytes())
    train(replace(TINY, makers=2), data, tmp_path)
    assert _curve(tmp_path) == pytest.approx(_curve(run), abs=1e-5)


def test_an_export_gives_transformers_the_same_logits_and_greedy_tokens(run: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    out = export(run, tmp_path / "out")
    _assert_equal_to_transformers(out, AutoModelForCausalLM, AutoTokenizer)
    assert weights_digest(out) == weights_digest(export(run, tmp_path / "again"))


def _assert_equal_to_transformers(folder: Path, model_class: type, tokenizer_class: type) -> None:
    reference = model_class.from_pretrained(folder, dtype=torch.float32).eval()  # type: ignore[attr-defined]
    tokenizer = tokenizer_class.from_pretrained(folder)  # type: ignore[attr-defined]
    ours = load_exported(folder)
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": "青岩在哪里？ Where?"}], add_generation_prompt=True
    )["input_ids"]
    with torch.no_grad():
        gap = (reference(torch.tensor([ids])).logits - ours(torch.tensor([ids]))).abs().max()
    assert gap < 1e-3
    made = reference.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False, eos_token_id=None)
    assert made[0, len(ids) :].tolist() == greedy(ours, ids, 12, frozenset())


def test_the_drawn_circuit_copies_before_any_training() -> None:
    def rate(drawn: bool) -> float:
        torch.manual_seed(0)
        model = Nano(NanoConfig())
        if drawn:
            draw_copy_circuit(model)
        run = torch.randint(300, 12000, (2, 48))
        ids = torch.cat([run, torch.randint(300, 12000, (2, 20)), run], dim=1)
        with torch.no_grad():
            guess = model(ids)[:, -48:-1].argmax(-1)
        return float((guess == run[:, 1:]).float().mean())

    assert rate(False) < 0.05
    assert rate(True) > 0.4


def test_a_guide_is_the_negative_log_of_the_attention_it_asks_for() -> None:
    torch.manual_seed(0)
    q, k = torch.randn(1, 4, 5, 8), torch.randn(1, 2, 5, 8)  # four heads over two keys
    mask = attention_mask(torch.zeros(1, 5, dtype=torch.long), torch.float32)
    places = torch.tensor([[0, 3, 2], [0, 0, 0]])  # the second one is padding
    guide = Guide(0, 3, places[:, 0], places[:, 1], places[:, 2])
    guide.measure(q, k, mask)
    attention = (q[0, 3, 3] @ k[0, 1, :4].T / 8**0.5).softmax(-1)
    assert float(guide.losses[0]) == pytest.approx(-float(attention[2].log()), abs=1e-5)


def test_packed_rows_do_not_know_of_each_other() -> None:
    torch.manual_seed(0)
    model = Nano(TINY.model)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    one, other = torch.randint(9, 600, (1, 300)), torch.randint(9, 600, (1, 17))  # longer than a chunk
    packed = torch.cat([one, other], dim=1)
    segments = torch.tensor([[1] * 300 + [2] * 17])
    with torch.no_grad():
        together = model.model(packed, mask=attention_mask(segments, torch.float32))
        assert torch.allclose(together[:, :300], model.model(one), atol=1e-4)
        # Rotary positions are relative: the second row starts at 300 and comes out as if it started at 0.
        assert torch.allclose(together[:, 300:], model.model(other), atol=1e-4)


def test_words_of_like_company_start_alike() -> None:
    rng = np.random.default_rng(0)
    # Tokens 0 and 1 stand between tokens 10-19, tokens 2 and 3 between tokens 20-29.
    runs = [
        np.array([t for _ in range(400) for t in (rng.integers(low, low + 10), word + rng.integers(2))])
        for low, word in ((10, 0), (20, 2))
    ]
    found = spectral_embedding(runs, 32, 8)
    assert found.shape == (32, 8)
    assert torch.allclose(found.norm(dim=1), torch.ones(32), atol=1e-4)
    assert float(found[0] @ found[1]) > 0.7 > float(found[0] @ found[2]) + 0.3


def test_orthogonalize_brings_singular_values_near_one() -> None:
    torch.manual_seed(1)
    values = torch.linalg.svdvals(orthogonalize(torch.randn(3, 64, 32)))
    assert values.min() > 0.5
    assert values.max() < 1.4


def test_the_schedule_warms_up_holds_and_decays() -> None:
    recipe = replace(TINY, warmup_steps=10, decay_share=0.4)
    shares = [learning_rate_share(step, step / 100, recipe) for step in range(100)]
    assert shares[0] == pytest.approx(0.1)
    assert set(shares[10:60]) == {1.0}
    assert shares[80] == pytest.approx(0.5)
    assert shares[99] < 0.05


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, zhilu.training.nano; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
