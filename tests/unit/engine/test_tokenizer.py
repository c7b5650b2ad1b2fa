"""Text in and out: equal to transformers, and never half a character."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from zhilu.engine.testing import make_tiny_model
from zhilu.engine.text.detokenizer import IncrementalText
from zhilu.engine.text.tokenizer import Tokenizer
from zhilu.errors import InputError, TooLargeError
from zhilu.models.shipped import NANO

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "北京"}'}}
CONVERSATIONS = [
    [{"role": "user", "content": "你好 <b>"}],
    [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}],
    [
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "sunny"},
        {"role": "tool", "content": "windy"},
    ],
]


@pytest.mark.parametrize("messages", CONVERSATIONS)
@pytest.mark.parametrize("tools", [None, [TOOL]])
def test_chat_template_renders_as_transformers_does(tiny: Path, messages: list, tools: list | None) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(tiny)
    parsed = json.loads(json.dumps(messages))
    for message in parsed:
        for call in message.get("tool_calls", ()):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    expected = theirs.apply_chat_template(parsed, tools=tools, tokenize=False, add_generation_prompt=True)
    ours = Tokenizer(tiny)
    text = ours.render_chat(messages, tools)
    assert text == expected
    assert ours.encode(text, add_special_tokens=False) == theirs(text, add_special_tokens=False)["input_ids"]


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=40))
def test_every_text_survives_token_by_token_without_half_characters(tokenizer: Tokenizer, text: str) -> None:
    text = text.replace("\ufffd", "")
    stream = IncrementalText(tokenizer)
    pieces = [stream.push(id) for id in tokenizer.encode(text)]
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


@pytest.mark.parametrize("text", ["指路，大模型", "👩‍👩‍👧‍👦 family", "naïve café", "🇨🇳🙂"])
def test_with_a_trained_vocabulary_too(tmp_path: Path, text: str) -> None:
    tokenizer = Tokenizer(make_tiny_model(tmp_path, vocab_text="指路 大模型 naïve 🙂🙂 " * 20))
    stream = IncrementalText(tokenizer)
    pieces = [stream.push(id) for id in tokenizer.encode(text)]
    assert "".join(pieces) == text and not any("\ufffd" in piece for piece in pieces)


def test_broken_bytes_do_not_block_the_stream(tokenizer: Tokenizer) -> None:
    first, *_ = tokenizer.encode("好")
    letter = tokenizer.encode("a")[0]
    stream = IncrementalText(tokenizer)
    assert stream.push(first) == ""
    assert stream.push(letter) == "\ufffda"
    assert stream.push(letter) == "a"


def test_special_tokens_are_hidden_and_tool_marks_are_not(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("a<|im_end|><tool_call>b")
    assert tokenizer.decode(ids) == "a<tool_call>b"
    assert tokenizer.decode(ids, skip_special_tokens=False) == "a<|im_end|><tool_call>b"
    stream = IncrementalText(tokenizer)
    assert "".join(map(stream.push, ids)) == "a<tool_call>b"


def test_token_bytes_add_up(tokenizer: Tokenizer) -> None:
    text = "é 好\n🙂"
    assert b"".join(map(tokenizer.token_bytes, tokenizer.encode(text))) == text.encode()
    assert tokenizer.token_bytes(10**6) == b""


def test_a_template_may_refuse_and_cannot_escape(tmp_path: Path) -> None:
    path = make_tiny_model(tmp_path)
    file = path / "chat_template.jinja"  # goes before tokenizer_config.json
    file.write_text("{{ raise_exception('only one system message') }}")
    with pytest.raises(InputError, match="only one system message"):
        Tokenizer(path).render_chat([{"role": "user", "content": "x"}])
    file.write_text("{{ messages.__class__.__mro__ }}")
    with pytest.raises(InputError, match="unsafe"):
        Tokenizer(path).render_chat([{"role": "user", "content": "x"}])
    file.write_text("{% if %}")
    with pytest.raises(InputError, match="compile"):
        Tokenizer(path)


def test_template_extras(tmp_path: Path) -> None:
    path = make_tiny_model(tmp_path)
    source = "{% for m in messages %}{% generation %}{{ m | tojson }}{% endgeneration %}{% break %}{% endfor %}{{ eos_token }}{{ x }}"
    (path / "chat_template.jinja").write_text(source)
    text = Tokenizer(path).render_chat([{"role": "user", "content": "<好>"}] * 2, x=1)
    assert text == '{"role": "user", "content": "<好>"}<|im_end|>1'


def test_a_vocabulary_of_words_and_bytes_streams_too(tmp_path: Path) -> None:
    """As Llama 2's: a space is part of the next word, and only the first one's is dropped; unknown characters are bytes."""
    tokens = ["<unk>", "<0xE5>", "<0xA5>", "<0xBD>", "\u2581Hello", "\u2581world", "!"]
    rust = tokenizers.Tokenizer(tokenizers.models.BPE({token: id for id, token in enumerate(tokens)}, []))
    decoders = tokenizers.decoders
    rust.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    rust.save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer(tmp_path)
    stream = IncrementalText(tokenizer)
    assert [stream.push(id) for id in (4, 5, 6, 1, 2, 3, 5)] == ["Hello", " world", "!", "", "", "好", " world"]


def test_a_word_without_end_is_an_error_and_no_panic() -> None:
    """Onig gives up on ten million letters, and what pyo3 makes of that is not even an ``Exception``."""
    nano = Tokenizer(NANO)
    with pytest.raises(TooLargeError, match="10100000 characters"):
        nano.encode("a" * 10_100_000)
    assert nano.encode("hello")
