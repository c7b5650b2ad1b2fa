"""Our OpenVINO graph against transformers' BertModel on the same weights."""

from __future__ import annotations

import json

import numpy as np
import pytest

from zhilu.models.embedders.minilm import MiniLM, package_folder

TEXTS = [
    "hello",
    "The river flows from the mountains to the sea.",
    "What is the capital of France?",
    "A knowledge base remembers its embedder and dimension; switching re-indexes into a shadow and swaps. " * 3,
    "paged attention keeps keys and values in blocks " * 40,
    "指路把路线图变成可以运行的软件。",
    "",
]


@pytest.fixture(scope="module")
def reference():
    torch = pytest.importorskip("torch", reason="PyTorch is an extra")
    from safetensors.torch import load_file
    from tokenizers import Tokenizer
    from transformers import BertConfig, BertModel

    folder = package_folder()
    model = BertModel(BertConfig(**json.loads((folder / "config.json").read_text())), add_pooling_layer=False).eval()
    missing, unexpected = model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    assert not missing
    assert all("pooler" in name or "position_ids" in name for name in unexpected)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    vectors = []
    with torch.no_grad():
        for text in TEXTS:
            hidden = model(input_ids=torch.tensor([tokenizer.encode(text).ids])).last_hidden_state[0]
            vectors.append(torch.nn.functional.normalize(hidden.mean(0), dim=0).numpy())
    return np.stack(vectors)


@pytest.mark.parametrize(("arithmetic", "least_cosine"), [("f32", 0.999999), ("bf16", 0.9995), ("int8", 0.99)])
def test_vectors_equal_the_reference(reference, arithmetic, least_cosine):
    vectors = MiniLM(package_folder(), threads=1, arithmetic=arithmetic).embed(TEXTS)
    cosines = (vectors * reference).sum(axis=1)
    assert cosines.min() >= least_cosine, cosines
    if arithmetic == "f32":
        assert np.abs(vectors - reference).max() < 1e-5
