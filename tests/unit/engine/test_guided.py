"""Grammars as token masks: over bytes, over the embedded model's tokenizer, and inside the engine."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from llguidance import LLMatcher

from zhilu import wire
from zhilu.engine.choose.guided import Guide, Guides
from zhilu.engine.choose.guided_grammars import Grammar, grammar_of
from zhilu.engine.choose.sampling import SamplingParams
from zhilu.engine.engine import Engine
from zhilu.engine.sequence import Output
from zhilu.engine.text.tokenizer import Tokenizer
from zhilu.errors import InputError
from zhilu.models.shipped import NANO

regex = LLMatcher.grammar_from_regex
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 8}, "age": {"type": "integer", "minimum": 0, "maximum": 99}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def nano() -> Tokenizer:
    return Tokenizer(NANO)


def guides(tokenizer: Tokenizer, padding: int = 0) -> Guides:
    return Guides(tokenizer, tokenizer.vocab_size + padding, {tokenizer.eos_id or 0})


def spell(tokenizer: Tokenizer, guide: Guide) -> set[bytes]:
    return {tokenizer.token_bytes(int(id)) for id in np.flatnonzero(guide.allowed())}


@pytest.mark.parametrize("which", ["tokenizer", "nano"])
@pytest.mark.parametrize("text", ["北京", "上海🙂", "a"])
def test_a_text_that_fits_may_come_token_by_token(which: str, text: str, request: pytest.FixtureRequest) -> None:
    """With a token per byte every Chinese character is cut into three."""
    tokenizer: Tokenizer = request.getfixturevalue(which)
    guide = guides(tokenizer).start(regex("北京|上海🙂|a"))
    for id in tokenizer.encode(text):
        assert not guide.is_finished and not guide.may_end
        assert guide.allowed()[id]
        guide.take(id)
    assert guide.is_finished and guide.may_end
    assert np.flatnonzero(guide.allowed()).tolist() == [tokenizer.eos_id]


def test_only_bytes_that_can_go_on_are_allowed(tokenizer: Tokenizer) -> None:
    guide = guides(tokenizer).start(regex("北京|京都"))
    assert spell(tokenizer, guide) == {"北".encode()[:1], "京".encode()[:1]}
    first, second, _ = tokenizer.encode("京")
    guide.take(first)
    guide.take(second)
    assert spell(tokenizer, guide) == {"京".encode()[2:]}
    with pytest.raises(InputError, match="guided decoding"):
        guide.take(tokenizer.encode("x")[0])


def test_the_end_is_allowed_once_the_text_is_complete(nano: Tokenizer) -> None:
    guide = guides(nano).start(regex("[0-9]+"))
    assert not guide.allowed()[nano.eos_id or 0]
    guide.take(nano.encode("7")[0])
    assert guide.may_end and not guide.is_finished and guide.allowed()[nano.eos_id or 0]
    guide.take(nano.eos_id or 0)
    assert guide.is_finished


def test_what_is_forced_is_cut_as_the_tokenizer_cuts_it(nano: Tokenizer) -> None:
    text = '<tool_call>\n{"name": "weather"'
    guide = guides(nano).start(regex(re.escape(text) + "[ab]"))
    ids = nano.encode(text)
    assert guide.forced()[: len(ids) - 1] == ids[:-1]
    for id in ids[:-1]:
        assert np.flatnonzero(guide.allowed()).tolist() == [id]
        guide.take(id)


def test_drafts_are_counted_and_taken_back(nano: Tokenizer) -> None:
    guide = guides(nano).start(regex("abc[0-9]*"))
    ids = nano.encode("abc12")
    strange = nano.encode("x")
    assert guide.count_fitting([*ids, *strange]) == len(ids)
    before = guide.allowed()
    for id in ids:
        guide.take(id)
    guide.rollback(len(ids))
    assert (guide.allowed() == before).all()


def test_padding_beyond_the_vocabulary_is_never_allowed(nano: Tokenizer) -> None:
    mask = guides(nano, padding=64).start(regex("(?s:.*)")).allowed()
    assert len(mask) == nano.vocab_size + 64
    assert mask[: nano.vocab_size].sum() > 12_000 and not mask[nano.vocab_size :].any()
    assert not any(mask[id] for id in nano.special_ids - {nano.eos_id})


@pytest.mark.parametrize(
    ("grammar", "needle"),
    [
        (regex("[.*"), "unclosed character class"),
        (regex("(?=x)y"), "look-around"),
        (LLMatcher.grammar_from_json_schema({"type": "object", "properties": {"a": 3}}), "schema must be an object"),
        (LLMatcher.grammar_from_json_schema({"type": "array", "uniqueItems": True}), "uniqueItems"),
        (LLMatcher.grammar_from_json_schema({"$ref": "#/$defs/gone"}), "does not exist"),
        (LLMatcher.grammar_from_lark("start: nothing_of_the_kind"), "nothing_of_the_kind"),
        ("{", "EOF"),
        (regex("a" * 1_100_000), "at most 1000000"),
        # What compiles and still cannot begin.
        (regex(r"[^\s\S]"), "no text fits"),
        (LLMatcher.grammar_from_lark("start: a\na: a"), "no text fits"),
        (LLMatcher.grammar_from_json_schema({"$ref": "#"}), "no text fits"),
        (LLMatcher.grammar_from_lark("start: " + "(" * 100_000 + '"a"' + ")" * 100_000), "too deeply nested"),
        (regex("(" * 100_000 + "a" + ")" * 100_000), "invalid regex"),
    ],
)
def test_a_grammar_that_cannot_be_done_says_why(nano: Tokenizer, grammar: str, needle: str) -> None:
    with pytest.raises(InputError, match=needle):
        guides(nano).check(grammar)


def test_sequences_of_one_grammar_do_not_meet(nano: Tokenizer) -> None:
    all = guides(nano)
    first, second = all.start(regex("ab|cd")), all.start(regex("ab|cd"))
    first.take(nano.encode("a")[0])
    assert len(spell(nano, second)) > 1
    assert len(spell(nano, first)) == 1


def finish(engine: Engine, *wishes: SamplingParams, n: int = 1) -> list[list[Output]]:
    """All outputs, request by request."""
    for number, wish in enumerate(wishes):
        engine.add(str(number), [5, 6, 7], wish, n)
    outputs: list[list[Output]] = [[] for _ in wishes]
    while engine.requests:
        for output in engine.step():
            outputs[int(output.request_id)].append(output)
    return outputs


def text_of(outputs: list[Output], index: int = 0) -> str:
    return "".join(output.text for output in outputs if output.index == index)


def test_a_batch_of_guided_and_free_requests(make_engine: Callable[..., Engine]) -> None:
    """The model is noise, so whatever is right about these answers comes from the grammar."""
    engine = make_engine()
    schema = SamplingParams(120, seed=1, grammar=LLMatcher.grammar_from_json_schema(PERSON), ignore_eos=True)
    choice = SamplingParams(50, seed=2, grammar=regex("北京|上海"), min_tokens=20)
    free = SamplingParams(30, seed=3, ignore_eos=True)
    outputs = finish(engine, schema, choice, free, n=3)
    for index in range(3):
        person = json.loads(text_of(outputs[0], index))
        assert set(person) == {"name", "age"} and 0 <= person["age"] <= 99 and len(person["name"]) <= 8
        assert text_of(outputs[1], index) in ("北京", "上海")
    endings = [[o.finish_reason for o in of_one if o.finish_reason] for of_one in outputs]
    assert endings == [["stop"] * 3, ["stop"] * 3, ["length"] * 3]
    alone = finish(make_engine(), free)
    assert text_of(alone[0]) == text_of(outputs[2])


def test_guided_answers_survive_being_put_back(make_engine: Callable[..., Engine]) -> None:
    """Too little memory for all: some sequences are preempted and computed anew, in the middle of their grammar."""
    engine = make_engine(kv_tokens=128, max_len=128)
    outputs = finish(engine, *(SamplingParams(100, seed=seed, grammar=regex("[ab]{40}")) for seed in range(4)))
    assert engine.scheduler.num_preemptions > 0
    assert all(re.fullmatch("[ab]{40}", text_of(of_one)) for of_one in outputs)


def test_a_bad_grammar_ends_its_own_request_only(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    with pytest.raises(InputError):
        engine.add("bad", [5], SamplingParams(5, grammar=regex("[")))
    assert not engine.requests
    # What passes the check can still grow beyond the parser's limits later.
    engine.add("good", [5, 6], SamplingParams(5, ignore_eos=True))
    engine.add("wild", [5, 6], SamplingParams(5, grammar=regex("a*"), ignore_eos=True))
    engine.requests["wild"].sequences[0].guide = Broken()  # type: ignore[assignment]
    outputs = []
    while engine.requests:
        outputs += engine.step()
    assert [o.request_id for o in outputs if o.error] == ["wild"]
    assert [o.finish_reason for o in outputs if o.request_id == "good"][-1] == "length"


class Broken(Guide):
    def __init__(self) -> None:
        pass

    def allowed(self) -> np.ndarray:
        raise InputError("guided decoding cannot go on: ParserTooComplex")


def test_only_allowed_token_ids_are_drawn(make_engine: Callable[..., Engine]) -> None:
    wish = SamplingParams(30, seed=1, allowed_token_ids=frozenset({10, 11, 12}))
    (outputs,) = finish(make_engine(), wish)
    assert {o.token.id for o in outputs if o.token} == {10, 11, 12}


def offered(*tools: dict[str, Any], **fields: Any) -> Grammar:
    functions = [{"type": "function", "function": tool} for tool in tools]
    asked = {"messages": [{"role": "user", "content": "x"}], "tools": functions, **fields}
    grammar = grammar_of(wire.parse_request(wire.ChatRequest, asked))
    assert grammar is not None
    return grammar


CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
GOOD = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "北京"}}\n</tool_call>'


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("It is <b>sunny</b>, see <tool>.", True),
        (GOOD, True),
        (f"Let me look. {GOOD}\n{GOOD}\nDone.", True),
        (GOOD.replace("get_weather", "get_wind"), False),
        (f"{GOOD}\n{GOOD.replace('get_weather', 'launch')}", False),
        (GOOD.replace("city", "town"), False),
    ],
)
def test_a_free_answer_may_call_only_what_was_offered(nano: Tokenizer, text: str, fits: bool) -> None:
    guide = guides(nano).start(offered({"name": "get_weather", "parameters": CITY}, {"name": "clock"}))
    for id in nano.encode(text, add_special_tokens=False):
        if not guide.allowed()[id]:
            assert not fits
            return
        guide.take(id)
    assert fits and guide.may_end


@pytest.mark.parametrize(
    ("calls", "is_over"), [("AA", False), ("ABAB", False), ("ABABA", True), ("AAA", True), ("ABC", False)]
)
def test_a_call_that_comes_for_the_third_time_is_the_last(nano: Tokenizer, calls: str, is_over: bool) -> None:
    text = "".join(
        f'<tool_call>\n{{"name": "get_weather", "arguments": {{"city": "{city}"}}}}\n</tool_call>\n' for city in calls
    ).removesuffix("\n")
    for forced in ("required", "auto"):
        grammar = offered({"name": "get_weather", "parameters": CITY}, tool_choice=forced)
        guide = guides(nano).start(grammar)
        for id in nano.encode(text, add_special_tokens=False):
            assert not guide.is_finished
            guide.take(id)
        assert guide.may_end and guide.is_finished is is_over


def test_a_schema_that_cannot_be_followed_leaves_any_arguments_but_no_other_name(nano: Tokenizer) -> None:
    odd = {"type": "object", "properties": {"city": {"type": "array", "uniqueItems": True}}}
    grammar = offered({"name": "get_weather", "parameters": odd})
    with pytest.raises(InputError):
        guides(nano).check(grammar)
    assert grammar.looser is not None
    guide = guides(nano).start(grammar.looser)
    for id in nano.encode(GOOD, add_special_tokens=False):
        assert guide.allowed()[id]
        guide.take(id)
    with pytest.raises(InputError):
        guides(nano).check(offered({"name": "f", "parameters": odd}, tool_choice="required"))


def test_a_grammar_that_takes_long_holds_up_no_other(nano: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's thread starts grammars between its steps."""
    found, slow, quick = guides(nano), regex("ab"), regex("cd")
    found.check(quick)
    entered, go_on = threading.Event(), threading.Event()

    def held(lexicon: Any, grammar: str, **options: Any) -> LLMatcher:
        if grammar == slow:
            entered.set()
            assert go_on.wait(60)
        return LLMatcher(lexicon, grammar, **options)

    monkeypatch.setattr("llguidance.LLMatcher", held)
    with ThreadPoolExecutor(2) as pool:
        compiling = pool.submit(found.check, slow)
        try:
            assert entered.wait(60)
            assert pool.submit(found.start, quick).result(10).allowed().any()
        finally:
            go_on.set()
        compiling.result(60)
