"""The shipped weights themselves: whole, small, loadable, and what their card says they are."""

from __future__ import annotations

import json
import re

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed here")

from zhilu.models.shipped import NANO, card  # noqa: E402
from zhilu.prompts import Passage, chat_messages, grounded_messages  # noqa: E402
from zhilu.training.model import greedy  # noqa: E402
from zhilu.training.nano.evaluate import NanoAnswerer, is_degenerate  # noqa: E402
from zhilu.training.nano.export import load_exported, weights_digest  # noqa: E402
from zhilu.training.nano.template import CHAT_TEMPLATE  # noqa: E402

EN = Passage(
    title="", text="The river Arden freezes in January. Boats of the guild carry amber and wool to Belmont in summer."
)
ZH = Passage(title="", text="青岩古镇始建于1378年，位于贵阳市南郊。镇上的行会主要经营茶叶，每年春天沿河运往下游。")


@pytest.fixture(scope="module")
def nano() -> NanoAnswerer:
    return NanoAnswerer(NANO)


def test_the_card_names_these_very_weights_and_their_size() -> None:
    assert (NANO / "model.safetensors").stat().st_size < 20_000_000
    for lang in ("en", "zh"):
        assert weights_digest() in card(NANO, lang)
    assert card(NANO, "zh-CN") == card(NANO, "zh") != card(NANO, "en")


def test_the_config_is_a_qwen3_with_the_template_of_training() -> None:
    config = json.loads((NANO / "config.json").read_text())
    assert config["architectures"] == ["Qwen3ForCausalLM"]
    assert config["head_dim"] % 32 == 0
    assert json.loads((NANO / "tokenizer_config.json").read_text())["chat_template"] == CHAT_TEMPLATE


def test_transformers_gives_the_same_tokens(nano: NanoAnswerer) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    reference = AutoModelForCausalLM.from_pretrained(NANO, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(NANO)
    messages = grounded_messages("镇上的行会主要经营什么？", [EN, ZH])
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
    made = reference.generate(torch.tensor([ids]), max_new_tokens=16, do_sample=False, eos_token_id=None)
    assert made[0, len(ids) :].tolist() == greedy(load_exported(), list(ids), 16, frozenset())


@pytest.mark.parametrize("text", ["hello", "你好", "Thank you", "What can you do?", "你能做什么？"])
def test_small_talk_is_in_whole_words(nano: NanoAnswerer, text: str) -> None:
    reply = nano.reply(chat_messages([{"role": "user", "content": text}]))
    assert not is_degenerate(reply)
    assert len(reply) >= 4


@pytest.mark.parametrize(
    ("question", "passages"),
    [
        ("What do the boats of the guild carry?", [EN, ZH]),
        ("镇上的行会主要经营什么？", [ZH]),
        ("古镇始建于哪一年？", [ZH, EN]),
    ],
)
def test_grounded_answers_are_copied_and_cited(nano: NanoAnswerer, question: str, passages: list[Passage]) -> None:
    reply = nano.reply(grounded_messages(question, passages))
    assert not is_degenerate(reply)
    found = re.fullmatch(r"(.+?)\s*\[(\d)\]", reply)
    assert found, reply
    assert 1 <= int(found.group(2)) <= len(passages)
    assert found.group(1) in " ".join(passage["text"] for passage in passages)
