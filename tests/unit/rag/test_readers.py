"""A model that reads by itself: asked briefly, judged by its claims, its right short answers kept, follow-ups not rewritten."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zhilu.client import ModelClient
from zhilu.context import Context
from zhilu.events import Event
from zhilu.models import EMBEDDED
from zhilu.prompts import REFUSAL, language_of
from zhilu.rag.answer.manner import COPIES, READS, manner_of
from zhilu.rag.answer.pipeline import answer
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.retrieve.followup import about, is_faithful, opening_question
from zhilu.rag.testing import HASH
from zhilu.serving.engines.llamacpp import ENGINE
from zhilu.serving.facts import LaunchOptions, ServedModel
from zhilu.serving.supervise.ports import reserve_port

FILES = {
    "gym.md": "# Gym\n\n## Plans\n\n| Plan | Monthly price |\n|---|---|\n| Basic | 24 euros |\n| Summit | 61 euros |\n\n## Staff\n\n"
    "Maren Holt runs the gym. Lost keys cost 15 euros.\n",
    "releases.md": "# Releases\n\nVersion 2.1.0 was released on 17 September 2022. Version 2.10.1 was released on 5 October 2023.\n",
    "house.md": "# 手册\n\n## 假期\n\n员工婚假为 10 天，产假为 158 天。\n\n## 停车\n\n地下车位月租 380 元，地面车位月租 260 元。\n",
}
Make = Callable[..., ModelClient]


@pytest.fixture
def kb(fill: Callable[..., KnowledgeBase]) -> KnowledgeBase:
    return fill(FILES)


def ask(
    kb: KnowledgeBase, client: ModelClient, question: str, *earlier: str, model: str = "m", answered: str = ""
) -> dict[str, Any]:
    history = [{"role": "user", "content": q} for q in earlier]
    if answered:
        history.append({"role": "assistant", "content": answered})

    async def collect() -> list[Event]:
        events = answer(kb, question, client=client, model=model, embedder=HASH, history=history, manner=READS)
        return [event async for event in events]

    events = asyncio.run(collect())
    result = events[-1].data
    assert "".join(e.data["text"] for e in events if e.name == "delta") == result["answer"]
    return {**result, "trace": kb.trace(result["trace_id"])}


def test_a_right_short_answer_is_kept_with_its_sentence_beneath(kb: KnowledgeBase, scripted: Make) -> None:
    client = scripted("61 euros")
    result = ask(kb, client, "How much is the Summit plan a month?")
    assert result["verdict"] == "grounded" and result["answer"].startswith(
        "61 euros [1] — “Summit: Monthly price 61 euros”"
    )
    asked = client.asked[0]  # type: ignore[attr-defined]
    said = json.dumps(asked["messages"], ensure_ascii=False)
    assert REFUSAL.en not in said and "[1]" not in said and "briefly" in said
    assert sum(h in said for h in ("# Gym", "Releases", "手册", "Plans", "Staff")) <= 8 and asked["max_tokens"] <= 160


def test_the_neighbours_value_gives_way_to_the_sentence_asked_for(kb: KnowledgeBase, scripted: Make) -> None:
    client = scripted("260 元", "260 元")
    result = ask(kb, client, "地下车位一个月多少钱？")
    assert result["verdict"] == "quoted" and "380" in result["answer"] and "260" not in result["answer"].split("”")[0]
    assert result["trace"]["sentences"][0]["support"] == "beside"


def test_who_tells_the_neighbours_value_is_asked_once_more_with_the_right_one_alone(
    kb: KnowledgeBase, scripted: Make
) -> None:
    client = scripted("24 euros", "61 euros")
    result = ask(kb, client, "How much is the Summit plan a month?")
    assert result["verdict"] == "grounded" and result["answer"].startswith(
        "61 euros [1] — “Summit: Monthly price 61 euros”"
    )
    first, second = (asked["messages"][1]["content"] for asked in client.asked)  # type: ignore[attr-defined]
    assert "Basic" in first and "Basic" not in second and "Summit: Monthly price 61 euros" in second
    assert result["trace"]["raw"] == "24 euros\n\n61 euros"


def test_an_invented_number_never_reaches_the_stream(kb: KnowledgeBase, scripted: Make) -> None:
    result = ask(kb, scripted("The Summit plan is 99 euros."), "How much is the Summit plan a month?")
    assert "99" not in result["answer"] and result["trace"]["sentences"][0]["support"] == "unsupported"


def test_what_cannot_be_judged_is_shown_and_says_so(kb: KnowledgeBase, scripted: Make) -> None:
    result = ask(kb, scripted("Yes."), "Does Maren Holt run the gym?")
    assert result["verdict"] == "unjudged" and not result["refused"]
    assert result["answer"].startswith("Yes.") and "compare them with the passage" in result["answer"]
    assert "Maren Holt runs the gym" in result["answer"] and any(c["cited"] for c in result["citations"])


@pytest.mark.parametrize("question", ["When was version 2.99 released?", "How much is the Platinum plan a month?"])
def test_what_the_documents_do_not_name_is_refused_without_the_model(
    kb: KnowledgeBase, scripted: Make, question: str
) -> None:
    client = scripted()
    result = ask(kb, client, question)
    assert result["verdict"] == "refused_by_retrieval" and client.asked == []  # type: ignore[attr-defined]
    assert any(word in result["trace"]["retrieval"]["decision"]["en"] for word in ("2.99", "platinum"))


def test_a_model_that_finds_nothing_is_believed(kb: KnowledgeBase, scripted: Make) -> None:
    result = ask(kb, scripted("The text does not mention it."), "How much is the Summit plan a day?")
    assert (result["answer"], result["verdict"]) == (REFUSAL.en, "refused_by_model")


def test_a_follow_up_that_names_a_thing_is_asked_about_it_alone(kb: KnowledgeBase, scripted: Make) -> None:
    client = scripted("10 天")
    result = ask(kb, client, "那婚假呢？", "产假有多少天？")
    assert result["verdict"] == "grounded" and result["answer"].startswith("10 天")
    said = client.asked[0]["messages"][1]["content"]  # type: ignore[attr-defined]
    assert len(client.asked) == 1 and said.endswith("问题：关于婚假，资料怎么说？")  # type: ignore[attr-defined]
    assert "产假有多少天？" not in said
    assert result["trace"]["rewrite"]["rewritten"] == "产假有多少天？ 那婚假呢？"


def test_a_follow_up_that_asks_goes_behind_the_question_it_goes_on_from(kb: KnowledgeBase, scripted: Make) -> None:
    client = scripted("24 euros")
    ask(kb, client, "And how much is it for Basic?", "How much is the Summit plan a month?")
    said = client.asked[0]["messages"][1]["content"]  # type: ignore[attr-defined]
    assert "Asked before: How much is the Summit plan a month?\nQuestion: And how much is it for Basic?" in said


def test_a_follow_up_comes_after_the_answer_that_was_given(kb: KnowledgeBase, scripted: Make) -> None:
    client = scripted("24 euros")
    first = "How much is the Summit plan a month?"
    said = "61 euros [1] — “Summit: Monthly price 61 euros” (The model's own words: compare them with the passage.)"
    ask(kb, client, "And for Basic?", first, answered=said)
    turns = client.asked[0]["messages"]  # type: ignore[attr-defined]
    assert [t["role"] for t in turns] == ["system", "user", "assistant", "user"]
    assert turns[1]["content"].endswith(f"Question: {first}") and turns[2]["content"] == "61 euros"
    assert turns[3]["content"] == "Question: And for Basic?"


@pytest.mark.parametrize(
    "said", ["The documents do not say.", "The document says: “Basic”  [1]", "没有得到文档支持的回答。"]
)
def test_a_refusal_before_is_no_model_for_the_next_answer(kb: KnowledgeBase, scripted: Make, said: str) -> None:
    client = scripted("24 euros")
    ask(kb, client, "And for Basic?", "How much is the Summit plan a month?", answered=said)
    assert len(client.asked[0]["messages"]) == 2  # type: ignore[attr-defined]


def test_three_passages_are_read_as_far_as_the_prompt_stays_short(
    fill: Callable[..., KnowledgeBase], scripted: Make
) -> None:
    def asked(words: int) -> str:
        files = {
            f"p{i}.md": f"The plan number {i} costs {i} euros a month. " + "More of it. " * words for i in range(4)
        }
        client = scripted("1 euros")
        ask(fill(files), client, "What does the plan cost a month?")
        return str(client.asked[0]["messages"][1]["content"])  # type: ignore[attr-defined]

    assert sum(f"number {i} costs" in asked(2) for i in range(4)) == 3
    assert sum(f"number {i} costs" in asked(120) for i in range(4)) == 2


@pytest.mark.parametrize(
    ("question", "thing"),
    [
        ("那婚假呢？", "婚假"),
        ("And the dryer?", "the dryer"),
        ("And for the Team edition?", "the Team edition"),
        ("What about the hitch arm?", "the hitch arm"),
        ("那为什么不能退呢？", None),
        ("And how much is the dryer?", None),
        ("还有吗？", None),
        ("And is that allowed in several pieces?", None),
        ("那它多重", None),
        ("How much is the dryer?", None),
    ],
)
def test_what_a_follow_up_speaks_of(question: str, thing: str | None) -> None:
    assert about(question) == thing


def test_the_likely_sentence_comes_before_the_model_is_asked(kb: KnowledgeBase, scripted: Make) -> None:
    client = scripted("61 euros")

    async def first() -> Event:
        events = answer(
            kb, "How much is the Summit plan a month?", client=client, model="m", embedder=HASH, manner=READS
        )
        async for event in events:
            return event
        raise AssertionError

    event = asyncio.run(first())
    assert event.name == "retrieved" and client.asked == []  # type: ignore[attr-defined]
    likely = event.data["likely"]
    passage = event.data["passages"][likely["n"] - 1]
    assert likely["text"] == "Summit: Monthly price 61 euros"
    assert passage["text"][likely["start"] : likely["end"]] == "| Summit | 61 euros |"


def test_an_earlier_question_does_not_leak_into_an_unrelated_one(kb: KnowledgeBase, scripted: Make) -> None:
    client = scripted("15 euros")
    result = ask(kb, client, "What do lost keys cost, if I lose it?", "How much is the Basic plan a month?")
    assert result["verdict"] == "grounded" and result["trace"]["rewrite"] is None
    assert "Basic plan a month?" not in client.asked[0]["messages"][1]["content"]  # type: ignore[attr-defined]


def test_what_the_earlier_question_found_does_not_answer_the_next(kb: KnowledgeBase, scripted: Make) -> None:
    assert ask(kb, scripted(), "那游泳馆呢？", "产假有多少天？")["verdict"] == "refused_by_retrieval"


def test_a_follow_up_goes_on_from_the_last_question_that_stood_alone() -> None:
    history = [{"role": "user", "content": q} for q in ("When was version 2.1.0 released?", "And that one?")]
    assert opening_question("What about 2.10.1?", history) == "When was version 2.1.0 released?"
    assert opening_question("How much is the Summit plan a month?", history) is None


def test_a_rewrite_does_not_change_the_language() -> None:
    assert language_of("Milvus 的 index 呢") == "zh"
    assert not is_faithful("Milvus index", "Milvus 的 index 呢", ["Milvus 怎么安装？"])


def test_the_manner_follows_from_the_model(context: Context) -> None:
    assert manner_of(context, EMBEDDED)[0] is COPIES
    manner, reason = manner_of(context, "somebody-elses-model")
    assert manner is READS and reason.en


@pytest.mark.real_model
@pytest.mark.timeout(900)
def test_a_real_model_answers_briefly_and_is_believed(real_model: Callable[..., Path], kb: KnowledgeBase) -> None:
    port = reserve_port()
    launch = ENGINE.launch(
        ServedModel("real", real_model("qwen-coder-1.5b", "*.gguf")), LaunchOptions(max_len=2048, concurrency=1), port
    )
    process = subprocess.Popen(launch.argv, stdin=subprocess.PIPE, start_new_session=True)
    try:
        deadline = time.monotonic() + 600
        while not _is_up(port):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)
        client = ModelClient(f"http://127.0.0.1:{port}")
        name = "real"
        for question, right in (
            ("How much is the Summit plan a month?", "61 euros"),
            ("地下车位一个月多少钱？", "380"),
        ):
            result = ask(kb, client, question, model=name)
            assert result["verdict"] == "grounded" and right in result["answer"].split("“")[0], result["answer"]
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)


def _is_up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as response:
            return bool(response.status == 200)
    except OSError:
        return False
