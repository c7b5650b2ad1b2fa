"""The views of Lens on zhilu-nano and on tiny models: what they show is what the model's own files say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from zhilu.context import open_context
from zhilu.engine.testing import make_tiny_model
from zhilu.errors import InputError, NotFoundError
from zhilu.lens.cli import lens
from zhilu.lens.subject import Subject
from zhilu.lens.views import architecture, attention, logits, positions, step, templates, tokens
from zhilu.models.shipped import NANO

NANO_SUBJECT = Subject("zhilu-nano", NANO)
TEXT = "The old dog bites the young man in the park"


@pytest.mark.parametrize(
    "text", ["Hello, world!", "指路让学习更简单 😀 héllo", "<|im_start|>user\nhi<|im_end|>\n", "  a  b"]
)
def test_tokens_give_the_text_back_and_the_merges_end_at_them(text: str) -> None:
    seen = tokens.look(NANO_SUBJECT, text)
    assert seen.lossless and seen.replayed
    assert (
        "".join(bytes.fromhex(token.hex).decode("latin-1") for token in seen.tokens).encode("latin-1") == text.encode()
    )


def test_a_prediction_is_judged_by_its_boundaries_and_its_count() -> None:
    seen = tokens.look(NANO_SUBJECT, TEXT)
    cuts = tokens.boundaries(seen.tokens)
    assert tokens.judge(seen, cuts).model_dump()["score"] == 1.0
    assert not tokens.judge(seen, []).passed
    assert not tokens.judge(seen, cuts, count=30).passed
    assert not tokens.judge(seen, range(1, len(TEXT))).passed


def test_every_row_of_a_map_is_one_and_nothing_of_it_lies_ahead() -> None:
    seen = attention.look(NANO_SUBJECT, attention.AttentionIn(text=TEXT, layer=1, head=2, chat=True))
    weights = attention.weights_of(seen)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-3)
    assert np.triu(weights, 1).max() == 0
    assert len(seen.scores) == seen.layers * seen.heads


def test_a_previous_token_head_and_an_induction_head_are_found() -> None:
    scores = attention.look(NANO_SUBJECT, attention.AttentionIn(text=TEXT)).scores
    best = attention.strongest(scores)
    assert best["previous"].previous > 0.8
    assert best["induction"].induction > 0.5


@pytest.mark.parametrize("where", [{"layer": 8}, {"head": 4}, {"layer": -1}])
def test_a_layer_or_head_that_is_not_there_is_refused_by_name(where: dict[str, int]) -> None:
    with pytest.raises(InputError, match=next(iter(where))):
        attention.look(NANO_SUBJECT, attention.AttentionIn(text=TEXT, **where))


def test_without_positions_both_orders_score_the_same() -> None:
    seen = positions.compare(NANO_SUBJECT, positions.OrderIn(text=TEXT, query=8, key=2, to=5))
    first, second = seen.orders
    assert first.without == pytest.approx(second.without)
    assert abs(first.rope - second.rope) > 0.01
    assert sum(pair.share for pair in seen.pairs) == pytest.approx(first.rope, abs=1e-3)
    assert seen.rope[0] == pytest.approx(first.without, abs=1e-3)  # at distance 0 nothing is turned
    assert seen.sinusoidal[0] == pytest.approx(1)
    with pytest.raises(InputError):
        positions.compare(NANO_SUBJECT, positions.OrderIn(text=TEXT, query=2, key=5, to=1))


def test_parameters_are_counted_from_the_weights() -> None:
    seen = architecture.look(NANO_SUBJECT)
    assert seen.parameters == architecture.stated_parameters(NANO_SUBJECT) == sum(p.parameters for p in seen.parts)
    assert sum(part.share for part in seen.parts) == pytest.approx(100)
    spread = architecture.histogram(NANO_SUBJECT, "model.layers.0.mlp.down_proj.weight")
    assert sum(spread.counts) == 640 * 256
    with pytest.raises(NotFoundError, match="nearest"):
        architecture.histogram(NANO_SUBJECT, "model.layers.0.mlp.down_proj.weigh")


def test_sampling_parameters_bend_the_next_token() -> None:
    plain = logits.look(NANO_SUBJECT, logits.LogitsIn(text="The weather is"))
    assert plain.kept == plain.vocabulary
    assert sum(one.after for one in plain.next) <= 1.0001
    assert logits.look(NANO_SUBJECT, logits.LogitsIn(text="The weather is", top_k=3)).kept == 3
    assert logits.look(NANO_SUBJECT, logits.LogitsIn(text="The weather is", temperature=0)).kept == 1
    hot = logits.look(NANO_SUBJECT, logits.LogitsIn(text="The weather is", temperature=2))
    assert hot.after_entropy > plain.after_entropy
    assert plain.layers[-1].text == plain.next[0].text


def test_a_step_lowers_the_loss_and_leaves_the_model_alone() -> None:
    before = step._Copy(NANO_SUBJECT.observer).hash()
    seen = step.take(NANO_SUBJECT, step.StepIn(text="The capital of Atlantis is Poseidonis.", steps=2))
    assert seen.losses[0] > seen.losses[1] > seen.losses[2]
    assert seen.hash_before == seen.hash_after_inference == before != seen.hash_after_training
    assert seen.slope == pytest.approx(1, abs=0.05)
    assert step._Copy(NANO_SUBJECT.observer).hash() == before


@pytest.mark.parametrize("arch", ["llama", "qwen2"])
def test_gradients_of_other_families_are_true(arch: str, tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / arch, arch, vocab_text="the cat sat on the mat " * 20)
    seen = step.take(Subject(arch, folder), step.StepIn(text="the cat sat on the mat", rate=0.01))
    assert seen.slope == pytest.approx(1, abs=0.05)


def test_a_template_shows_its_marks_and_keeps_the_words() -> None:
    asked = templates.ChatIn(messages=[templates.Turn(role="user", content="Who are you? 你是谁？")])
    seen = templates.render(NANO_SUBJECT, asked)
    assert [piece.text for piece in seen.rendered.pieces if piece.special][:1] == ["<|im_start|>"]
    assert any("你是谁？" in turn for turn in templates.turns_of(seen.rendered))
    assert not any(piece.special for piece in seen.bare.pieces)
    assert seen.rendered.next[0].text != seen.bare.next[0].text


def test_verbs_show_and_keep(own_home: Path) -> None:
    with_context = {"obj": open_context({})}
    ran = CliRunner().invoke(lens, ["tokens", "The| old| dog", "--guess"], **with_context)
    assert ran.exit_code == 0, ran.output
    assert "boundaries right" in ran.output
    for words in (
        ["attention", TEXT], ["positions", TEXT, "--query", "8", "--key", "2", "--to", "5"], ["architecture"],
        ["logits", "The"], ["step", TEXT, "--loss", "falls", "--changes", "training"], ["chat", "Hello"],
        ["architecture", "--guess", "embedding=43", "--guess", "attention=16", "--guess", "feedforward=41"],
    ):  # fmt: skip
        ran = CliRunner().invoke(lens, words, **with_context)
        assert ran.exit_code == 0, (words, ran.output, ran.exception)
    assert {path.stem for path in (own_home / "lens").iterdir()} == {"1.1", "1.4", "1.5"}
