"""The roadmap as data is the roadmap: every stage, every task, both languages."""

from __future__ import annotations

import re

import pytest

from zhilu.messages import T
from zhilu.roadmap.stages import STAGES, TASKS
from zhilu.roadmap.task import LATER, Task

NUM_TASKS = {"0": 5, "1": 6, "2": 5, "3": 5, "4": 5, "5": 7, "6": 6}
# One word of each task's gate in the roadmap, so that a gate's text cannot slip to a neighbour.
GATE_WORDS = {
    "0.1": "pip works", "0.2": "GFLOP/s", "0.3": "driver, CUDA, memory free", "0.4": "seconds to ready", "0.5": "notebook",
    "1.1": "token count and boundaries", "1.2": "attention map", "1.3": "RoPE", "1.4": "share of the parameters",
    "1.5": "weights' hash", "1.6": "chat template", "2.1": "token by token", "2.2": "official OpenAI Python client",
    "2.3": "refused, never ignored", "2.4": "adapter-applied proof", "2.5": "gateway saw them", "3.1": "loss mask not empty",
    "3.2": "held-out loss", "3.3": "train-to-serve parity", "3.4": "base + adapter", "3.5": "KL stays bounded",
    "4.1": "paraphrases", "4.2": "kill -9", "4.3": "citations contain it", "4.4": "nDCG", "4.5": "web search",
    "5.1": "scored set", "5.2": "exact-match rate", "5.3": "approval", "5.4": "sliding window", "5.5": "spoken question",
    "5.6": "React sample", "5.7": "run and stream", "6.1": "reference loop", "6.2": "speed-up", "6.3": "online-softmax",
    "6.4": "bytes communicated", "6.5": "block table", "6.6": "bytes of state",
}  # fmt: skip


def texts_of(task: Task) -> list[T]:
    return [task.title, task.gate, task.why, task.do]


def test_all_seven_stages_with_all_their_tasks() -> None:
    assert {stage.id: len(stage.tasks) for stage in STAGES} == NUM_TASKS
    assert list(TASKS) == sorted(TASKS) == sorted(GATE_WORDS)
    assert all(task.id.startswith(f"{stage.id}.") for stage in STAGES for task in stage.tasks)


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.id)
def test_a_task_has_the_roadmaps_gate(task: Task) -> None:
    assert GATE_WORDS[task.id] in task.gate.en


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.id)
def test_a_task_is_told_in_english_and_chinese(task: Task) -> None:
    for text in texts_of(task):
        assert text.en.strip() and text.zh.strip()
        assert not re.search(r"[\u4e00-\u9fff]", text.en), "Chinese in the English text"
    for text in (task.gate, task.why, task.do):
        assert re.search(r"[\u4e00-\u9fff]", text.zh), "no Chinese in the Chinese text"


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.id)
def test_a_stage_is_told_in_english_and_chinese(stage) -> None:  # type: ignore[no-untyped-def]
    for text in filter(None, (stage.title, stage.subtitle, stage.tools, stage.also)):
        assert (text.en.strip() and text.zh.strip() and text.en.isascii()) or "…" in text.en


def test_the_named_tools_and_projects_of_the_roadmap_are_there() -> None:
    everything = " ".join(text.en for s in STAGES for text in (s.tools, s.also or s.tools))
    for name in ("WSL2", "vLLM", "FastChat", "Ollama", "LMDeploy", "QLoRA", "DPO", "PPO", "DeepSpeed", "ColossalAI", "Milvus",
                 "pgvector", "Chroma", "FAISS", "LangChain", "LlamaIndex", "customer service", "DeepSeek technical"):  # fmt: skip
        assert name in everything, name


def test_a_guide_says_when_its_gate_is_not_built() -> None:
    task = TASKS["1.2"]
    assert task.guide(has_gate=False).en.endswith(LATER.en)
    assert task.guide(has_gate=False).zh.endswith(LATER.zh)
    assert LATER.en not in task.guide(has_gate=True).en
