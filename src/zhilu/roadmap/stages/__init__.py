"""The seven stages of the roadmap, in order."""

from __future__ import annotations

from zhilu.messages import T
from zhilu.roadmap.stages.applications import APPLICATIONS
from zhilu.roadmap.stages.concepts import CONCEPTS
from zhilu.roadmap.stages.environment import ENVIRONMENT
from zhilu.roadmap.stages.inference import INFERENCE
from zhilu.roadmap.stages.internals import INTERNALS
from zhilu.roadmap.stages.retrieval import RETRIEVAL
from zhilu.roadmap.stages.tuning import TUNING
from zhilu.roadmap.task import Stage, Task

__all__ = ["AT_THE_END", "STAGES", "TASKS"]

STAGES: tuple[Stage, ...] = (ENVIRONMENT, CONCEPTS, INFERENCE, TUNING, RETRIEVAL, APPLICATIONS, INTERNALS)
TASKS: dict[str, Task] = {task.id: task for stage in STAGES for task in stage.tasks}

AT_THE_END = T(
    "At the end you can run and serve a model locally, build enterprise AI applications, fine-tune (SFT, QLoRA), build a "
    "RAG knowledge base, automate with agents, and put front end, back end and model together as one system.",
    "走完之后，你能在本地运行和部署模型、构建企业级 AI 应用、微调模型（SFT、QLoRA）"
    "、搭建 RAG 知识库、用智能体自动化任务，并把前端、后端与模型整合成一个系统。",
)
