"""The lessons in their order: what each teaches, what one guesses first, and where its parts are."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from zhilu.errors import NotFoundError, nearest
from zhilu.internals.words import WORDS, Words
from zhilu.internals.words_beyond import BEYOND
from zhilu.messages import T

__all__ = ["LESSONS", "Lesson", "find_lesson"]


@dataclass(frozen=True)
class Lesson:
    """
    Attributes:
        task: of the roadmap, or a further part of one (6.4.2, 6.7.1), which the roadmap does not name.
        part: the module under ``lessons`` that one reads and may rewrite, such as ``beyond.experts``.
        proof: the module under ``proofs``.
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
        return WORDS[self.task] if self.task in WORDS else BEYOND[self.task]

    @property
    def gated(self) -> bool:
        """Whether the roadmap has it, and so a gate."""
        return self.task in WORDS

    @property
    def file(self) -> str:
        """Under ``lessons``."""
        return f"{self.part.replace('.', '/')}.py"

    @property
    def module(self) -> str:
        return f"zhilu.internals.lessons.{self.part}"

    @property
    def path(self) -> Path:
        return Path(__file__).parent / "lessons" / self.file

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
            (
                "engine/observe.py",
                "internals/lessons/lesson3_flash_torch.py",
                "internals/lessons/lesson3_flash_triton.py",
            ),
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
            "6.4.2",
            "beyond.zero",
            "beyond.zero",
            ("training/workers.py", "internals/lessons/lesson4_parallel.py"),
            ("ZeRO (1910.02054)", "FSDP (2304.11277)", "Adam (1412.6980)"),
            needs_torch=True,
        ),
        Lesson(
            "6.4.3",
            "beyond.grid",
            "beyond.grid",
            ("internals/lessons/lesson4_parallel.py", "training/model.py"),
            ("Ring attention (2310.01889)", "Sequence parallelism (2205.05198)", "GShard, experts (2006.16668)"),
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
        Lesson(
            "6.7.1",
            "beyond.experts",
            "beyond.experts",
            ("training/model.py",),
            ("DeepSeek-V3 (2412.19437)", "Balancing without a loss (2408.15664)", "Switch Transformers (2101.03961)"),
            needs_torch=True,
        ),
        Lesson(
            "6.7.2",
            "beyond.speculative",
            "beyond.speculative",
            ("engine/choose/speculate.py", "engine/engine.py", "engine/observe.py"),
            ("Speculative decoding (2211.17192)", "Speculative sampling (2302.01318)"),
        ),
        Lesson(
            "6.7.3",
            "beyond.multi_token",
            "beyond.multi_token",
            ("training/model.py",),
            ("DeepSeek-V3 (2412.19437)", "Multi-token prediction (2404.19737)"),
            needs_torch=True,
        ),
        Lesson(
            "6.7.4",
            "beyond.quantise",
            "beyond.quantise",
            ("engine/observe.py", "engine/model/weights.py"),
            ("QLoRA, NF4 (2305.14314)", "GPTQ (2210.17323)", "LLM.int8() (2208.07339)"),
        ),
        Lesson(
            "6.7.5",
            "beyond.preferences",
            "beyond.preferences",
            ("training/model.py",),
            ("PPO (1707.06347)", "InstructGPT (2203.02155)", "DPO (2305.18290)", "DeepSeekMath, GRPO (2402.03300)"),
            needs_torch=True,
        ),
        Lesson(
            "6.7.6",
            "beyond.scaling",
            "beyond.scaling",
            ("training/model.py",),
            ("Scaling laws (2001.08361)", "Chinchilla (2203.15556)"),
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
