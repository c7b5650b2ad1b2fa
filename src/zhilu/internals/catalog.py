"""The lessons in their order: what each teaches, what one guesses first, and where its parts are."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from zhilu.errors import NotFoundError, nearest
from zhilu.internals.words import WORDS, Words
from zhilu.messages import T

__all__ = ["LESSONS", "Lesson", "find_lesson"]


@dataclass(frozen=True)
class Lesson:
    """
    Attributes:
        part: name of the module under ``lessons`` that one reads and may rewrite.
        proof: name of the module under ``proofs``.
        real: the product's own files that the lesson imports or explains.
        papers: where the idea comes from.
    """

    task: str
    part: str
    proof: str
    real: tuple[str, ...]
    papers: tuple[str, ...]
    needs_torch: bool = False

    @property
    def words(self) -> Words:
        return WORDS[self.task]

    @property
    def module(self) -> str:
        return f"zhilu.internals.lessons.{self.part}"

    @property
    def path(self) -> Path:
        return Path(__file__).parent / "lessons" / f"{self.part}.py"

    def prove(self) -> object:
        """The proof's function; imports what it needs."""
        return import_module(f"zhilu.internals.proofs.{self.proof}").prove


LESSONS: dict[str, Lesson] = {
    lesson.task: lesson
    for lesson in (
        Lesson(
            "6.1",
            "lesson1_training",
            "training",
            ("training/model.py", "training/rows.py", "training/loop.py", "training/nano/train.py"),
            ("LLaMA (2302.13971)", "PaLM, z-loss (2204.02311)", "WSD schedule (2404.06395)", "Clipping (1211.5063)"),
            needs_torch=True,
        ),
        Lesson(
            "6.2",
            "lesson2_kv_cache",
            "kv_cache",
            ("engine/observe.py", "engine/blocks.py", "engine/runner/torch.py"),
            ("Grouped-query attention (2305.13245)", "DeepSeek-V2, MLA (2405.04434)", "LLaMA (2302.13971)"),
        ),
        Lesson(
            "6.3",
            "lesson3_flash_attention",
            "flash_attention",
            ("engine/observe.py",),
            ("FlashAttention (2205.14135)", "FlashAttention-2 (2307.08691)", "Online softmax (1805.02867)"),
        ),
        Lesson(
            "6.4",
            "lesson4_parallel",
            "parallel",
            ("training/workers.py", "training/model.py"),
            ("ZeRO (1910.02054)", "Megatron-LM (1909.08053)", "PipeDream, 1F1B (1806.03377)", "Ring all-reduce (2009)"),
            needs_torch=True,
        ),
        Lesson(
            "6.5",
            "lesson5_paged",
            "paged",
            ("engine/blocks.py", "engine/scheduler.py", "engine/engine.py"),
            ("PagedAttention (2309.06180)", "Orca, continuous batching (OSDI 2022)", "Chunked prefill (2308.16369)"),
        ),
        Lesson(
            "6.6",
            "lesson6_optimizers",
            "optimizers",
            ("training/optimizer.py", "training/model.py"),
            ("AdamW (1711.05101)", "Lion (2302.06675)", "Adafactor (1804.04235)", "Muon (Jordan 2024)"),
            needs_torch=True,
        ),
    )
}


def find_lesson(task: str) -> Lesson:
    """
    Raises:
        NotFoundError: names the lessons there are.
    """
    if task in LESSONS:
        return LESSONS[task]
    close = nearest(task, list(LESSONS)) or next(iter(LESSONS))
    there = ", ".join(sorted(LESSONS))
    raise NotFoundError(
        T(f"There is no lesson {task!r}; there are {there}.", f"没有课程 {task!r}；现有 {there}。"),
        param="task",
        fix=f"zhilu internals run {close}",
    )
