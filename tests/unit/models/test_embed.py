"""The recipe of zhilu-embed learns, resumes and keeps its split; the analyser is the one the weights were trained on."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zhilu.models.embedders.units import bucket_rows, count_tokens, units

torch = pytest.importorskip("torch", reason="PyTorch is not installed here")
zstandard = pytest.importorskip("zstandard", reason="zstandard is not installed here")

from zhilu.models.embedders.static import StaticEmbedder  # noqa: E402
from zhilu.training.embed.batches import Batches  # noqa: E402
from zhilu.training.embed.data import Corpus, is_kept_back, read_corpus, retrieval_set  # noqa: E402
from zhilu.training.embed.evaluate import bm25, fused, score  # noqa: E402
from zhilu.training.embed.model import Bags, Vocabulary, word_overlap  # noqa: E402
from zhilu.training.embed.train import Recipe, train  # noqa: E402

HELD = {"en": "Nobody shall ever train on this, whoever asks.", "zh": "谁也不能用这一段文字来训练任何模型。"}
_EN = (
    "granite magma crystal slate lighthouse keeper lamp rock beehive queen flower nectar railway tunnel timber harbour"
)
_ZH = "茶叶 发酵 采摘 萎凋 长城 烽火 骑兵 城墙 熊猫 竹子 幼崽 母亲 造纸 树皮 破布 竹帘"
_WORDS = {"en": _EN.split(), "zh": _ZH.split()}


def _sentences(lang: str, topic: int, rng: random.Random) -> list[str]:
    """Three sentences of words that belong to ``topic``: no other text shares a long run of characters with them."""
    words = _WORDS[lang][4 * topic : 4 * topic + 4]
    if lang == "en":
        return [
            " ".join(rng.choices([*words, *(f"w{rng.randrange(999)}" for _ in range(4))], k=14)) + "." for _ in "abc"
        ]
    return [
        "".join(rng.choices([*words, *(chr(0x4E00 + rng.randrange(2000)) for _ in range(6))], k=18)) + "。"
        for _ in "abc"
    ]


def _write(path: Path, records: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    path.write_bytes(zstandard.ZstdCompressor().compress(lines.encode()))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in small: four topics a language, questions made of two of their words."""
    folder = tmp_path_factory.mktemp("data")
    rng = random.Random(5)
    for lang, words in _WORDS.items():
        passages, documents = [], []
        for number in range(60):
            text = (" " if lang == "en" else "").join(_sentences(lang, number % 4, rng))
            question = " ".join(rng.sample(words[4 * (number % 4) : 4 * (number % 4) + 4], 2)) + "?"
            passages.append({"context": text, "question": question, "answerable": True, "answers": [], "lang": lang})
            lines = ["".join(f"{s} " for s in _sentences(lang, number % 4, rng)) for _ in range(3)]
            documents.append({"text": "# A heading\n" + "\n".join(lines), "lang": lang})
        for name in ("en-squad1-part", "en-squad1-dev-not-in-v2") if lang == "en" else ("zh-cmrc2018-train",):
            _write(folder / "qa" / f"{name}.jsonl.zst", passages if "dev" not in name else [])
        _write(folder / "text" / f"{lang}-00.jsonl.zst", documents)
        _write(
            folder / "dev" / f"qa-xquad_{lang}.jsonl.zst",
            [{**passages[0], "context": HELD[lang], "question": HELD[lang]}],
        )
    return folder


@pytest.fixture(scope="module")
def corpus(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    path = tmp_path_factory.mktemp("corpus") / "corpus.npz"
    read_corpus(data, 100_000).save(path)
    return Corpus.open(path)


def test_units_by_hand() -> None:
    assert units("The Normans invaded in 1066.") == ["the", "norman", "^norma", "invad", "in", "1066", "#4"]
    assert units("Café，ＡＢＣ") == ["caf", "abc"]  # a last e goes, as in "cafes"
    assert units("北京市") == ["北", "京", "市", "北京", "京市"]
    assert units("…") == units("") == [""]
    assert count_tokens("北京 has 3 rings") == 5


def test_units_are_those_the_weights_were_trained_on() -> None:
    sample = "Running quickly, the glasses' companies studied naïve classes. 指路（ZhiLu）在2026年10月发布；第三版！"
    given = json.dumps([units(sample), [bucket_rows(u, 4096) for u in units(sample)]], ensure_ascii=False)
    assert (
        hashlib.sha256(given.encode()).hexdigest() == "8ba3989e2808edece9cb01f251d60d5fdf676a2e8e389624a918b8f81708536d"
    )


def test_what_is_measured_is_never_trained_on(data: Path, corpus: Corpus) -> None:
    names = corpus.units()
    bodies = {tuple(names[u] for u in corpus.body(p)) for p in range(len(corpus.paragraph_at) - 1)}
    for name, file in (("squad", "en-squad1-part.jsonl.zst"), ("cmrc", "zh-cmrc2018-train.jsonl.zst")):
        passages, questions = retrieval_set(data, name, 5, 9)
        assert len(passages) == 5 and questions and all(is_kept_back(file, p) for p in passages)
        assert not bodies & {tuple(units(p)) for p in passages}
    assert len(bodies) > 100 and not bodies & {tuple(units(text)) for text in HELD.values()}


def test_batches_are_the_same_again_and_pair_what_belongs_together(corpus: Corpus) -> None:
    first, again = (Batches(corpus, 16, 0.5, 0.2, seed=3) for _ in range(2))
    kinds = set()
    for step in range(12):
        batch, same = first.batch(step), again.batch(step)
        kinds.add(batch.kind)
        assert len(batch.questions) == len(batch.passages) == len(batch.which) == 16
        assert all(np.array_equal(a, b) for a, b in zip(batch.questions, same.questions, strict=True))
        assert all(len(text) for text in (*batch.questions, *batch.passages))
        if batch.kind == "asked":
            for question, paragraph in zip(batch.questions, batch.which, strict=True):
                numbers = np.flatnonzero(corpus.about == paragraph)
                assert any(np.array_equal(question, corpus.question(int(n))) for n in numbers)
    assert kinds == {"asked", "cloze"}


def test_bags_count_as_the_runtime_does(corpus: Corpus, tmp_path: Path) -> None:
    """The same text has the same rows in training and in the product, with a vocabulary too small for it."""
    from zhilu.training.embed.export import export
    from zhilu.training.embed.model import StaticModel

    vocabulary = Vocabulary(corpus, 40, 16)
    text = "granite granite magma 茶叶 茶叶 harbour"
    number = {name: i for i, name in enumerate(corpus.units())}
    bags = Bags.of([np.array([number[u] for u in units(text)], np.int32)], vocabulary)
    model = StaticModel(vocabulary.start, 32, torch.Generator().manual_seed(1))
    embedder = StaticEmbedder(export(model, vocabulary, tmp_path))
    trained = zip(bags.rows.tolist(), bags.counts.tolist(), strict=True)
    run = zip(*embedder.rows_of(text), strict=True)
    assert sorted((row, round(count, 3)) for row, count in trained) == sorted((row, round(n, 3)) for row, n in run)
    for kind, logs in (("query", model.query), ("passage", model.passage)):
        exact = model(bags, logs).detach().numpy()[0]
        assert float(embedder.embed([text], kind)[0] @ exact) > 0.999  # int8 costs next to nothing


def test_word_overlap_is_bm25(corpus: Corpus) -> None:
    vocabulary = Vocabulary(corpus, 40, 16)
    passages = [corpus.body(p) for p in range(4)]
    overlap = word_overlap(passages, passages, vocabulary, least_rarity=0.0).numpy()
    assert (overlap.argmax(axis=1) == np.arange(4)).all() and np.allclose(overlap.max(axis=1), 1.0)


def test_it_learns_and_a_resumed_run_ends_in_the_same_weights(data: Path, tmp_path: Path) -> None:
    recipe = Recipe(dim=16, vocabulary=120, buckets=32, batch=24, steps=30, lr=0.02, warmup_steps=3, asked_share=0.5)
    lines: list[dict[str, Any]] = []
    whole = train(recipe, data, tmp_path / "whole", lines.append)
    losses = [line["loss"] for line in lines if "step" in line]
    assert len(losses) == 30 and np.mean(losses[-8:]) < np.mean(losses[:8])

    halves = tmp_path / "halves"
    seen: list[int] = []

    class Killed(Exception):
        pass

    def die(line: dict[str, Any]) -> None:
        if line.get("step") == 13:
            raise Killed

    with pytest.raises(Killed):
        train(Recipe(**{**vars(recipe), "save_seconds": 0.0}), data, halves, die)
    resumed = train(recipe, None, halves, lambda line: seen.append(line["step"]))
    assert seen[0] in (13, 14) and seen[-1] == 30
    assert (resumed / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_scores_by_hand() -> None:
    gold = np.array([0, 1])
    assert score(np.array([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0]]), gold) == {"recall@5": 1.0, "mrr@10": (1 + 1 / 3) / 2}
    lexical = bm25(["red apples", "green pears", "blue plums", "old figs", "raw nuts"], ["an apple", "which pear"])
    assert lexical[0].argmax() == 0 and lexical[1].argmax() == 1
    assert fused(lexical, lexical[::-1], 0.9)[0].argmax() == 1
