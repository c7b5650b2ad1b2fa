"""The views of Lens on zhilu-nano and on tiny models: what they show is what the model's own files say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from zhilu.context import open_context
from zhilu.engine.observe import Observer
from zhilu.engine.testing import make_tiny_model
from zhilu.errors import InputError, NotFoundError
from zhilu.lens.cli import lens
from zhilu.lens.subject import Subject
from zhilu.lens.views import (
    architecture,
    attention,
    languages,
    logits,
    positions,
    step,
    stretch,
    templates,
    tokens,
    tree,
)
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
    heads = attention.heads(NANO_SUBJECT, attention.AttentionIn(text=TEXT, chat=True))
    assert len(heads.scores) == seen.layers * seen.heads


def test_a_previous_token_head_and_an_induction_head_are_found() -> None:
    scores = attention.heads(NANO_SUBJECT, attention.AttentionIn(text=TEXT)).scores
    best = attention.strongest(scores)
    assert best["previous"].previous > 0.8
    assert best["induction"].induction > 0.5


def test_the_first_map_does_not_wait_for_the_last_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []
    block = Observer.block
    monkeypatch.setattr(
        Observer, "block", lambda self, layer, *more: computed.append(layer) or block(self, layer, *more)
    )
    text = "Nobody has asked for this text before."
    attention.look(NANO_SUBJECT, attention.AttentionIn(text=text, layer=1))
    assert computed == [0, 1]
    whole = NANO_SUBJECT.observer.observe(NANO_SUBJECT.encode(text), [5]).attention[5]
    later = attention.weights_of(attention.look(NANO_SUBJECT, attention.AttentionIn(text=text, layer=5, head=1)))
    np.testing.assert_allclose(later, whole[1], atol=1e-4)


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


def test_penalties_push_down_what_was_written() -> None:
    text = "The dog saw the dog and the dog saw the"
    plain = logits.look(NANO_SUBJECT, logits.LogitsIn(text=text))
    for penalty in ({"presence_penalty": 2.0}, {"frequency_penalty": 1.0}, {"repetition_penalty": 2.0}):
        bent = {one.id: one.after for one in logits.look(NANO_SUBJECT, logits.LogitsIn(text=text, **penalty)).next}
        written = set(NANO_SUBJECT.encode(text))
        there = [one for one in plain.next if one.id in written and one.id in bent]
        assert there and all(bent[one.id] < one.probability for one in there), penalty


def test_branches_score_what_the_model_gives_each_text_alone() -> None:
    asked = tree.TreeIn(text="The weather is", width=3, depth=4, seed=7)
    seen = tree.grow(NANO_SUBJECT, asked)
    observer, ids = NANO_SUBJECT.observer, NANO_SUBJECT.encode("The weather is")

    def alone(path: list[int]) -> float:
        rows = observer.logits(observer.observe([*ids, *path]).hidden[-1])
        chances = rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
        return float(sum(chances[len(ids) - 1 + i, token] for i, token in enumerate(path)))

    beams: list[tuple[list[int], float]] = [([], 0.0)]  # every text of the search run by itself
    greedy: list[int] = []
    for _ in range(asked.depth):
        greedy.append(int(observer.logits(observer.observe([*ids, *greedy]).hidden[-1])[-1].argmax()))
        found = []
        for path, _total in beams:
            row = observer.logits(observer.observe([*ids, *path]).hidden[-1])[-1]
            found += [([*path, int(token)], alone([*path, int(token)])) for token in np.argsort(-row)[: asked.width]]
        beams = sorted(found, key=lambda one: -one[1])[: asked.width]
    spelled = [b"".join(map(NANO_SUBJECT.tokenizer.token_bytes, path)).decode() for path, _ in beams]
    assert [one.text for one in seen.answers if one.kind == "beam"] == spelled
    np.testing.assert_allclose([o.total for o in seen.answers if o.kind == "beam"], [t for _, t in beams], atol=1e-3)
    assert seen.answers[0].total == pytest.approx(alone(greedy), abs=1e-3)
    assert seen == tree.grow(NANO_SUBJECT, asked)
    assert seen.answers[1] != tree.grow(NANO_SUBJECT, asked.model_copy(update={"seed": 8})).answers[1]


def test_what_needs_the_whole_model_many_times_refuses_a_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import zhilu.lens.subject as subject

    monkeypatch.setattr(subject, "MOST_PARAMETERS", 1000)
    for ask in (
        lambda: tree.grow(NANO_SUBJECT, tree.TreeIn(text="Hi")),
        lambda: stretch.stretch(NANO_SUBJECT, logits.LogitsIn(text=TEXT)),
        lambda: step.take(NANO_SUBJECT, step.StepIn(text=TEXT)),
    ):
        with pytest.raises(InputError, match="zhilu-nano"):
            ask()


def test_positions_too_near_or_too_far_apart_cost_the_model_its_understanding() -> None:
    text = "The capital of France is Paris. The capital of France is Paris. The capital of France is Paris."
    seen = {one.spacing: one for one in stretch.stretch(NANO_SUBJECT, logits.LogitsIn(text=text)).at}
    assert seen[1.0].surprise == min(one.surprise for one in seen.values())
    assert seen[0.0625].surprise > seen[1.0].surprise + 1
    assert seen[1.0].surprise == pytest.approx(
        step.loss_of(NANO_SUBJECT.observer, NANO_SUBJECT.encode(text)) / np.log(2), abs=1e-3
    )


def test_the_same_message_is_counted_in_every_language() -> None:
    seen = languages.languages(NANO_SUBJECT)
    assert len(seen.languages) == len(languages.MESSAGE)
    for one in seen.languages:
        assert one.tokens == len(NANO_SUBJECT.encode(one.text))
        assert one.compression == pytest.approx(one.bytes / one.tokens, abs=1e-3)
    assert next(one for one in seen.languages if one.language == "en").relative == 1


def test_another_models_template_in_the_place_of_the_own(tmp_path: Path) -> None:
    asked = templates.ChatIn(messages=[templates.Turn(role="user", content="Hello there")])
    other = Subject("llama", make_tiny_model(tmp_path / "llama", "llama", vocab_text="hello there " * 20))
    seen = templates.render(NANO_SUBJECT, asked, other)
    assert seen.other is not None and "Hello there" in seen.other.text
    assert seen.other.text == other.tokenizer.render_chat([{"role": "user", "content": "Hello there"}])


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
