from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from zhilu.prompts import Passage, grounded_messages, is_refusal
from zhilu.training.nano.curriculum import STAGES, Corpus, Mixer, encode
from zhilu.training.nano.data import Context, Question
from zhilu.training.nano.talk import chat_row, is_learnable, short_title, summary_row, tool_row
from zhilu.training.nano.tasks import cloze_asks, find_asks, grounded, sentences, window
from zhilu.training.nano.template import segments
from zhilu.training.nano.tokenizer import IM_END_ID, train_tokenizer
from zhilu.training.nano.toolbank import BANK, bank_record

EN = "The market was founded in 1801 by three merchants. Its guild traded in amber, which came from Elsinore. Many stayed."
ZH = "古镇建于1801年，由三位商人共同出资。镇上的行会主要经营茶叶，每年春天沿河运往下游。"


@pytest.fixture(scope="module")
def mixer(data: Path) -> Mixer:
    texts = [EN, ZH, "Question: Answer the numbered passages only [1] 问题：根据编号的段落回答"] * 20
    tokenizer = train_tokenizer(texts, 700)
    return Mixer(Corpus(data, tokenizer, 20_000), tokenizer, batch_tokens=2048, seed=3)


@pytest.mark.parametrize(("text", "lang"), [(EN, "en"), (ZH, "zh")])
def test_sentences_lose_nothing(text: str, lang: str) -> None:
    assert "".join(sentences(text, lang)) == text
    assert len(sentences(text, lang)) >= 2


@pytest.mark.parametrize(("text", "lang"), [(EN, "en"), (ZH, "zh")])
def test_made_questions_are_answered_verbatim(text: str, lang: str) -> None:
    rng = random.Random(1)
    asks = cloze_asks(text, lang, 0, 40, rng, 0.1, 0.3) + find_asks(text, lang, 0, 40, rng)
    assert len(asks) > 40
    for ask in asks:
        assert ask.answer in text
        assert ask.answer not in ask.question or "____" not in ask.question or len(ask.answer) < 8


def test_citations_follow_the_shuffled_passages() -> None:
    passages = [
        Passage(title="", text=EN),
        Passage(title="河", text=ZH),
        Passage(title="", text="Nothing of note here."),
    ]
    asks = cloze_asks(EN, "en", 0, 6, random.Random(2), 0.0)
    for seed in range(8):
        conversation = grounded(passages, asks, "en", random.Random(seed))
        prompt = conversation[1]["content"]
        shown = dict(re.findall(r"\[(\d)\] (?:河\n)?(.+)", prompt))
        for message in conversation[2::2] if conversation[0]["role"] == "system" else []:
            span, number = re.fullmatch(r"(.*) \[(\d)\]", message["content"], re.DOTALL).groups()  # type: ignore[union-attr]
            assert span.strip() in shown[number]


def test_the_prompt_is_the_products_own() -> None:
    passages = [Passage(title="", text=ZH)]
    asks = cloze_asks(ZH, "zh", 0, 3, random.Random(4), 0.0)
    conversation = grounded(passages, asks, "zh", random.Random(0))
    assert conversation[:2] == [dict(m) for m in grounded_messages(asks[0].question, passages, "zh")]


def test_a_window_keeps_the_answers_inside_in_place() -> None:
    context = Context(EN, "en", [Question("What?", "amber", EN.index("amber")), Question("Who?", "", -1)])
    for seed in range(10):
        cut = window(context, 70, random.Random(seed))
        assert len(cut.text) <= 70
        assert [q.answer for q in cut.questions] == ["amber"]
        assert cut.text.startswith("amber", cut.questions[0].start)


def test_every_kind_of_row_learns_something_and_how_to_end(mixer: Mixer) -> None:
    seen: set[str] = set()
    for stage in STAGES:
        rng = random.Random(5)
        for _ in range(150):
            row = mixer.row(stage, rng)
            if row is None:
                continue
            seen.add(row.kind)
            assert len(row.ids) == len(row.weights)
            assert row.weights[0] == 0
            assert any(row.weights)
            if row.kind != "text":
                assert row.ids[-2] == IM_END_ID  # a line break follows it, as in the template
                assert row.weights[-2] > 0.01
    assert seen == {"copy", "qa", "text", "chat", "title", "summary", "rewrite", "tool"}


def test_prompts_carry_little_weight_and_answers_most(mixer: Mixer) -> None:
    messages = grounded(
        [Passage(title="", text=EN)], cloze_asks(EN, "en", 0, 4, random.Random(1), 0.0), "en", random.Random(1)
    )
    row = encode(mixer.tokenizer, messages, (), random.Random(1), "copy")
    learned = sum(weight for weight in row.weights if weight > 0.2)
    assert learned > 4 * (sum(row.weights) - learned)


def test_guides_point_at_the_span_and_at_its_passages_number(mixer: Mixer) -> None:
    passages = [Passage(title="x.md", text="无关。"), Passage(title="", text=ZH), Passage(title="t", text="Nothing.")]
    asks = cloze_asks(ZH, "zh", 1, 8, random.Random(7), 0.0)
    messages = grounded(passages, asks, "zh", random.Random(5))
    row = encode(mixer.tokenizer, messages, (), random.Random(1), "copy")
    assert row.spans
    number = re.search(r"\[(\d)\] " + ZH[:4], messages[1]["content"])
    assert number
    for (start, place), (same, marker) in zip(row.spans, row.markers, strict=True):
        assert place == same
        assert row.ids[start + 1] == row.ids[place]
        assert row.weights[start] < 1 < row.weights[start + 1]
        assert mixer.tokenizer.decode([row.ids[marker]]) == number.group(1)


def test_blocks_repeat_and_differ(mixer: Mixer) -> None:
    first, again, other = (mixer.block(number, 0.7, rank, num_batches=2) for number, rank in ((3, 0), (3, 0), (4, 0)))
    assert [b.ids.tolist() for b in first] == [b.ids.tolist() for b in again]
    assert [b.ids.tolist() for b in first] != [b.ids.tolist() for b in other]
    assert all(b.ids.shape == b.weights.shape == b.segments.shape for b in first)
    assert {b.ids.shape[1] for b in first} == {STAGES[-1].length}
    assert [b.ids.tolist() for b in mixer.block(3, 0.7, 1, num_batches=2)] != [b.ids.tolist() for b in first]


def test_packing_keeps_rows_whole_and_their_places_true(mixer: Mixer) -> None:
    found = other = 0
    for batch in mixer.block(1, 0.9, num_batches=6):
        assert (batch.segments > 0).mean() > 0.5
        for sequence, start, place in batch.guides[0][batch.guides[0][:, 1] > 0]:
            assert batch.segments[sequence, start] == batch.segments[sequence, place] > 0
            same = batch.ids[sequence, start + 1] == batch.ids[sequence, place]
            other += not same  # a word that is cut or spaced otherwise where it was said
            found += same
    assert found > max(3, 4 * other)


def test_refusals_are_taught_more_and_more(mixer: Mixer) -> None:
    def share(stage: int) -> float:
        rng, total, refused = random.Random(9), 0, 0
        for _ in range(60):
            messages = mixer._grounded("qa", "zh", STAGES[stage], rng) or []
            replies = [m["content"] for m in messages if m["role"] == "assistant"]
            total, refused = total + len(replies), refused + sum(map(is_refusal, replies))
        return refused / total

    assert share(0) < share(2)
    assert 0.08 < share(2) < 0.5


@pytest.mark.parametrize(
    ("question", "lang", "title"),
    [("What is the capital of France?", "en", "Capital of France"), ("青岩古镇建于哪一年？", "zh", "青岩古镇建于")],
)
def test_titles_are_made_of_the_questions_words(question: str, lang: str, title: str) -> None:
    assert short_title(question, lang) == title


def test_small_talk_summaries_and_calls() -> None:
    rng = random.Random(0)
    assert chat_row("zh", "天为什么蓝？", rng)[-1]["role"] == "assistant"
    assert ZH.startswith(summary_row(ZH, "zh")[-1]["content"])
    tool = {"name": "a", "description": "A", "parameters": {"type": "object", "properties": {"x": {"type": "string"}}}}
    spare = [{**tool, "name": name} for name in "bcd"]
    record = {"tools": [*spare, tool], "query": "q", "calls": [{"name": "a", "arguments": {"x": "1"}}], "lang": "en"}
    rows = [tool_row(record, random.Random(seed)) for seed in range(60)]
    said = [(next(m for m in turns if m["role"] == "assistant"), tools) for turns, tools in rows]
    called = [(reply, {t["function"]["name"] for t in tools}) for reply, tools in said if reply.get("tool_calls")]
    silent = [tools for reply, tools in said if not reply.get("tool_calls")]
    assert 30 < len(called) < 60
    for reply, shown in called:
        assert "a" in shown
        assert reply["tool_calls"][0]["function"] == {"name": "a", "arguments": '{"x": "1"}'}
    assert silent
    assert all("a" not in {t["function"]["name"] for t in tools} for tools in silent)
    assert any(m[-2]["role"] == "tool" for m, _ in rows if len(m) > 2)


def test_a_dialogue_too_long_for_its_row_loses_its_beginning_not_its_call(mixer: Mixer) -> None:
    history = [
        {"role": r, "content": f"{n} and more words of small talk " * 4}
        for n in range(14)
        for r in ("user", "assistant")
    ]
    tool = {"name": "a", "description": "A", "parameters": {"type": "object", "properties": {}}}
    call = {"name": "a", "arguments": {}}
    record = {"tools": [tool], "query": "do it", "history": history, "calls": [call], "lang": "en", "source": "long"}
    mixer._tools["en"].append(([], [record]))
    try:
        rng, rows = random.Random(1), []
        while len(rows) < 5:
            row = mixer.row(STAGES[2], rng)
            if row and row.kind == "tool" and "do it" in mixer.tokenizer.decode(row.ids):
                rows.append(row)
    finally:
        mixer._tools["en"].pop()
    assert all(any(weight > 1 for weight in row.weights) for row in rows)


def test_guides_of_a_call_point_at_its_names_and_values(mixer: Mixer) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "unit": {"enum": ["metric", "miles"]}}}
    tools = [
        {"type": "function", "function": {"name": name, "description": "city", "parameters": schema}}
        for name in ("get_time", "get_weather")
    ]
    arguments = json.dumps({"city": "Springfield", "unit": "miles"})
    call = {"type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    messages = [
        {"role": "user", "content": "Springfield? No: how warm is it in Springfield?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
    ]
    row = encode(mixer.tokenizer, messages, tools, random.Random(1), "tool")
    text = "".join(part for part, _ in segments(messages, tools))
    starts = [start for start, _ in mixer.tokenizer.encode(text, add_special_tokens=False).offsets]
    shown = [starts[to] for _, to in row.spans]
    second = text.index('"name": "get_weather"')
    wanted = [
        second + len('"name": "'),
        text.index('"city"', second) + 1,
        text.rindex("Springfield?"),
        text.index('"unit"', second) + 1,
        text.index('"miles"', second) + 1,
    ]
    assert len(shown) == len(wanted)
    for place, start in zip(wanted, shown, strict=True):
        assert start <= place < start + 3  # a token may begin with the space before
    assert all(row.weights[start + 1] == 1.0 for start, _ in row.spans)
    assert all(row.ids[start + 1] == row.ids[to] for start, to in row.follows)


def test_guides_of_a_summary_follow_the_text_token_by_token(mixer: Mixer) -> None:
    row = encode(mixer.tokenizer, summary_row(EN, "en"), (), random.Random(1), "summary")
    assert len(row.spans) == 1
    assert len(row.follows) > 10
    assert all(row.ids[start + 1] == row.ids[to] for start, to in row.follows)


def test_requests_of_the_bank_name_what_was_said() -> None:
    rng = random.Random(4)
    for number in range(300):
        lang = ("en", "zh")[number % 2]
        record = bank_record(lang, ["Ada Lovelace", "第三季度报告"], rng)
        assert is_learnable(record)
        assert {call["name"] for call in record["calls"]} <= {tool["name"] for tool in record["tools"]}
        assert "{" not in record["query"]
    for function in BANK:
        for lang in ("en", "zh"):
            named = {name for phrase in function.asked[lang] for name in re.findall(r"\{(\w+)\}", phrase)}
            assert named == set(function.slots), function.name


def test_an_argument_that_nobody_said_is_not_taught() -> None:
    tool = {"name": "a", "description": "A", "parameters": {"properties": {"day": {"type": "string"}}}}
    record = {"tools": [tool], "query": "Book Friday please", "calls": [{"name": "a", "arguments": {"day": "Friday"}}]}
    assert is_learnable(record)
    assert not is_learnable({**record, "calls": [{"name": "a", "arguments": {"day": "2026-11-27"}}]})


def test_the_tokenizer_is_used_as_given(mixer: Mixer) -> None:
    assert isinstance(mixer.tokenizer, Tokenizer)
