"""Train zhilu-nano from scratch.

    python -m zhilu.training.nano.train --preset cpu --data DIR --out DIR --minutes 90     one process a CPU core
    python -m zhilu.training.nano.train --preset gpu --data DIR --out DIR                  one process a GPU

The folder OUT gets ``tokenizer.json``, ``checkpoint.pt`` (resumed from when present) and ``curve.jsonl``. A resumed run sees the
batches it would have seen and, when steps (not minutes) bound it, repeats its loss curve exactly.
"""

from __future__ import annotations

import argparse
import copy
import json
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from zhilu.training.loop import Run, warmup_stable_decay
from zhilu.training.model import Guide, Nano, NanoConfig, attention_mask
from zhilu.training.nano.circuit import draw_copy_circuit
from zhilu.training.nano.curriculum import Corpus, Mixer
from zhilu.training.nano.data import DevGuard, data_folder, group_contexts, texts
from zhilu.training.nano.tokenizer import load_tokenizer, train_tokenizer
from zhilu.training.optimizer import make_optimizers
from zhilu.training.rows import Batch
from zhilu.training.spectral import spectral_embedding
from zhilu.training.workers import Workers

__all__ = ["PRESETS", "Loss", "Recipe", "learning_rate_share", "train"]


_GUIDE_WEIGHT = 0.3
BATCHES_A_BLOCK = 24


@dataclass(frozen=True)
class Recipe:
    """All that decides a run, beside the data. ``minutes`` bounds it by the clock, else ``steps``."""

    model: NanoConfig = field(default_factory=NanoConfig)
    device: str = "cpu"
    batch_tokens: int = 16384
    compile: bool = True
    dtype: str | None = None  # of the arithmetic: float32 or bfloat16; None: the faster here (``choose_dtype``)
    matrix_lr: float = 0.02
    embed_lr: float = 0.0015
    warmup_steps: int = 60
    decay_share: float = 0.35  # of the run: the last part of the warmup-stable-decay schedule
    clip: float = 1.0
    z_loss: float = 1e-4
    steps: int = 3000
    minutes: float | None = None
    max_chars: int = 10_000_000  # of plain text a language
    threads: int = 2
    seed: int = 7
    save_minutes: float = 3.0
    makers: int = (
        0  # processes that make batches ahead; 0: the training process does (it keeps up with a CPU, not with a GPU)
    )


PRESETS = {
    "cpu": Recipe(),
    # 18.8 M parameters, 38 MB in bfloat16: what a package may carry. Deep and narrow: looking an answer up takes layers.
    "gpu": Recipe(
        model=NanoConfig(hidden_size=320, num_hidden_layers=13, intermediate_size=832),
        device="cuda",
        batch_tokens=65536,
        matrix_lr=0.015,
        steps=16000,  # 1.05 billion tokens
        warmup_steps=200,
        max_chars=60_000_000,
        makers=12,
    ),
}


def learning_rate_share(step: int, progress: float, recipe: Recipe) -> float:
    """The share of the full learning rate at a step; ``progress`` runs from 0 to 1."""
    return warmup_stable_decay(step, progress, recipe.warmup_steps, recipe.decay_share, floor=0.02)


def guides_of(places: torch.Tensor, config: NanoConfig) -> list[Guide]:
    """Supervised attention in three heads, from ``Batch.guides``. Cross-entropy alone takes millions of tokens to find out what the data knows.

    Late: a reply's start looks at its span and each of its tokens at the one to copy next; its bracket looks at the span's
    end. Early: the span looks at its passage's number.
    """
    late, early, last = config.num_hidden_layers - 2, 1, config.num_attention_heads - 1
    heads = ((late, 0), (late, 1), (early, last), (late, 0))
    return [
        Guide(layer, head, places[kind, :, 0], places[kind, :, 1], places[kind, :, 2])
        for kind, (layer, head) in enumerate(heads)
    ]


class Loss:
    """The loss of a batch. The network runs compiled where a C++ compiler is at hand; the vocabulary's scores are worked
    out at labelled positions only, whose number varies, so that part stays eager."""

    def __init__(self, model: Nano, recipe: Recipe) -> None:
        self.model, self.recipe = model, recipe

        def body(ids: torch.Tensor, segments: torch.Tensor, places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            guides = guides_of(places, model.config)
            mask = attention_mask(segments, model.model.norm.weight.dtype)
            hidden = model.model(ids, guides, mask=mask)
            return hidden, torch.stack([guide.losses[0] for guide in guides])

        able = shutil.which("g++") or shutil.which("clang++")
        self.body = torch.compile(body, dynamic=False) if recipe.compile and able else body

    def __call__(self, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The loss, and what it is made of for the curve."""
        device = self.recipe.device
        ids = torch.from_numpy(batch.ids).to(device)
        weights = torch.from_numpy(batch.weights[:, 1:]).to(device).reshape(-1)
        places = weights.nonzero().squeeze(1)
        weights = weights[places]
        hidden, guided = self.body(
            ids[:, :-1].contiguous(),
            torch.from_numpy(batch.segments[:, :-1].copy()).to(device),
            torch.from_numpy(batch.guides).to(device),
        )
        hidden = hidden.reshape(-1, self.model.config.hidden_size)[places]
        targets = ids[:, 1:].reshape(-1)[places]
        logits = self.model.logits(hidden).float()
        each = F.cross_entropy(logits, targets, reduction="none")
        loss = (weights * (each + self.recipe.z_loss * logits.logsumexp(-1).square())).sum() / weights.sum()
        loss = loss + _GUIDE_WEIGHT * guided.sum()
        with torch.no_grad():
            right = (logits.argmax(-1) == targets).float()
            answers, starts = weights > 0.31, weights > 1
            figures = {
                "answer_loss": each[answers].mean(),
                "answer_accuracy": right[answers].mean(),
                "start_accuracy": right[starts].mean(),
                "guide_span": guided[0],
                "guide_citation": guided[1],
                "guide_marker": guided[2],
                "guide_follow": guided[3],
            }
        return loss, figures


def choose_dtype(device: str) -> torch.dtype:
    """bfloat16 where this machine multiplies matrices clearly faster in it (measured here and now), else float32."""
    if device == "cuda":
        return torch.bfloat16
    times = {}
    for dtype in (torch.float32, torch.bfloat16):
        x, w = torch.ones(2048, 256, dtype=dtype), torch.ones(640, 256, dtype=dtype)
        F.linear(x, w)
        began = time.perf_counter()
        for _ in range(10):
            F.linear(x, w)
        times[dtype] = time.perf_counter() - began
    return torch.bfloat16 if times[torch.bfloat16] < 0.6 * times[torch.float32] else torch.float32


def _dtype_of(recipe: Recipe, workers: Workers) -> torch.dtype:
    """The recipe's, else the leader's choice: a timing on a busy machine may come out differently in each process."""
    dtype = getattr(torch, recipe.dtype) if recipe.dtype else choose_dtype(recipe.device)
    (is_low,) = workers.agree([float(dtype == torch.bfloat16)], recipe.device)
    return torch.bfloat16 if is_low else torch.float32


def initial_embedding(out: Path, corpus: Corpus, config: NanoConfig, workers: Workers) -> torch.Tensor:
    """``(vocab, hidden)``: words that keep like company start alike (``spectral.py``), with enough chance to tell them apart."""
    path = out / "embedding.pt"
    if workers.leads and not path.exists():
        torch.save(spectral_embedding(corpus.tokens.values(), config.vocab_size, config.hidden_size), path)
    workers.agree([0.0])
    company = torch.load(path, weights_only=True)
    chance = F.normalize(torch.randn(company.shape, generator=torch.Generator().manual_seed(1)), dim=1)
    return 0.04 * config.hidden_size**0.5 * (0.8 * company + 0.6 * chance)


def prepare_tokenizer(folder: Path, out: Path, vocab_size: int) -> Path:
    """Train ``out/tokenizer.json`` on text of both languages; reused when there.

    Every common Chinese character is counted up until it gets an entry of its own: a character in two byte tokens can come out torn.
    """
    path = out / "tokenizer.json"
    if not path.exists():
        guard = DevGuard(folder)
        sample = [*texts(folder, "zh", 24_000_000, guard), *texts(folder, "en", 7_000_000, guard)]
        sample += [context.text for context in group_contexts(folder, guard) for _ in range(3)]
        seen = Counter(c for text in sample for c in text if "\u4e00" <= c <= "\u9fff")
        sample += [character * 3000 for character, _ in seen.most_common(min(4500, vocab_size * 2 // 5))]
        train_tokenizer(sample, vocab_size).save(str(path))
    return path


def train(recipe: Recipe, data: Path, out: Path, report: Callable[[dict[str, Any]], None] = lambda line: None) -> Nano:
    """Run or resume the recipe; ``report`` gets every line of the loss curve. Returns the trained model."""
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    torch.set_float32_matmul_precision("high")
    workers = Workers(recipe.device)
    if workers.leads:
        prepare_tokenizer(data, out, recipe.model.vocab_size)
    workers.agree([0.0], recipe.device)  # wait for the leader's tokenizer
    dtype = _dtype_of(recipe, workers)
    tokenizer = load_tokenizer(out / "tokenizer.json")
    corpus = Corpus(data, tokenizer, recipe.max_chars)
    mixer = Mixer(corpus, tokenizer, recipe.batch_tokens // workers.count, recipe.seed)
    master = Nano(recipe.model)
    with torch.no_grad():
        master.model.embed_tokens.weight.copy_(initial_embedding(out, corpus, recipe.model, workers))
    draw_copy_circuit(master)
    optimizers = make_optimizers(master.to(recipe.device), recipe.matrix_lr, recipe.embed_lr, dtype)
    run = _Run(master, optimizers, recipe, out, workers, dtype)
    run.take_up()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, run.stop)
    blocks = Blocks(mixer, workers.rank, recipe)
    batches = blocks.take(run.block, run.block_progress)
    with blocks, (out / "curve.jsonl").open("a", encoding="utf-8") as curve:
        while run.goes_on():
            if run.batch >= len(batches):
                run.next_block()
                batches = blocks.take(run.block, run.block_progress)
            line = run.step(batches[run.batch])
            if workers.leads:
                curve.write(json.dumps(line) + "\n")
                curve.flush()
                report(line)
    run.keep()
    return master


def planned(block: int, recipe: Recipe) -> float:
    """The share of a run bound by steps at which a block begins."""
    return min(1.0, block * BATCHES_A_BLOCK / recipe.steps)


class Blocks:
    """Blocks of batches by number: made on demand, or ahead by ``recipe.makers`` forked processes (runs bound by steps only:
    there a block's place in the curriculum is known beforehand)."""

    def __init__(self, mixer: Mixer, rank: int, recipe: Recipe) -> None:
        self.mixer, self.rank, self.recipe = mixer, rank, recipe
        self.ahead: dict[int, Future[list[Batch]]] = {}
        self.pool: ProcessPoolExecutor | None = None
        if recipe.makers and recipe.minutes is None:
            os.environ["TOKENIZERS_PARALLELISM"] = "false"
            self.pool = ProcessPoolExecutor(recipe.makers, multiprocessing.get_context("fork"), _adopt, (mixer,))

    def take(self, number: int, progress: float) -> list[Batch]:
        """The batches of block ``number``; the next ones are ordered at once where there are makers."""
        if self.pool is None:
            return self.mixer.block(number, progress, self.rank, BATCHES_A_BLOCK)
        for later in range(number, number + 2 * self.recipe.makers):
            if later not in self.ahead:
                share = progress if later == number else planned(later, self.recipe)
                self.ahead[later] = self.pool.submit(_make, later, share, self.rank)
        return self.ahead.pop(number).result()

    def __enter__(self) -> Blocks:
        return self

    def __exit__(self, *_: object) -> None:
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)


_adopted: list[Mixer] = []


def _adopt(mixer: Mixer) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _adopted[:] = [mixer]


def _make(number: int, progress: float, rank: int) -> list[Batch]:
    return _adopted[0].block(number, progress, rank, BATCHES_A_BLOCK)


class _Run(Run):
    """``model`` are the float32 weights that the optimizers move; the arithmetic
    runs on a copy of them in the dtype that is fast here."""

    counters = ("steps", "tokens", "elapsed", "block", "batch", "block_progress")

    def __init__(
        self,
        model: Nano,
        optimizers: list[torch.optim.Optimizer],
        recipe: Recipe,
        out: Path,
        workers: Workers,
        dtype: torch.dtype,
    ) -> None:
        super().__init__(model, optimizers, out / "checkpoint.pt")
        self.workers, self.recipe = workers, recipe
        self.working = copy.deepcopy(model).to(dtype)
        self.loss = Loss(self.working, recipe)
        self.tokens, self.elapsed = 0, 0.0
        self.block, self.batch, self.block_progress, self.progress = 0, 0, 0.0, 0.0
        self.started = time.monotonic()

    def goes_on(self) -> bool:
        """Set ``progress``, the share of the run that is done (of its minutes where it has them, else of its steps); True until 1."""
        done = self.steps / self.recipe.steps
        if self.recipe.minutes is not None:
            done = (self.elapsed + time.monotonic() - self.started) / (60 * self.recipe.minutes)
        self.progress, stopped = self.workers.agree([done, float(self.stopped)], self.recipe.device)
        return self.progress < 1 and not stopped

    def next_block(self) -> None:
        """Turn to the next block, drawn from the curriculum's stage of this moment."""
        self.block, self.batch = self.block + 1, 0
        self.block_progress = self.progress if self.recipe.minutes is not None else planned(self.block, self.recipe)

    def step(self, batch: Batch) -> dict[str, Any]:
        """One optimizer step; returns its line of the curve."""
        began, progress = time.monotonic(), self.progress
        share = learning_rate_share(self.steps, progress, self.recipe)
        self.set_rates(share)
        loss, figures = self.loss(batch)
        loss.backward()
        for weight, used in zip(self.model.parameters(), self.working.parameters(), strict=True):
            assert used.grad is not None
            weight.grad, used.grad = used.grad.float(), None
        self.workers.average_gradients(self.model.parameters())
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self.refresh()
        self.steps, self.batch = self.steps + 1, self.batch + 1
        self.tokens += batch.ids.size * self.workers.count
        if time.monotonic() - self.saved > 60 * self.recipe.save_minutes:
            self.keep()
        return {
            "step": self.steps,
            "loss": float(loss.detach()),
            **{name: float(figure.detach()) for name, figure in figures.items()},
            "grad_norm": float(norm),
            "lr_share": share,
            "tokens": self.tokens,
            "progress": progress,
            "seconds": time.monotonic() - began,
        }

    @torch.no_grad()
    def refresh(self) -> None:
        """Bring the working copy up to the weights."""
        for weight, used in zip(self.model.parameters(), self.working.parameters(), strict=True):
            used.copy_(weight)

    def keep(self) -> None:
        """Write the checkpoint; one worker does it for all."""
        if self.workers.leads:
            now = time.monotonic()
            self.elapsed, self.started = self.elapsed + now - self.started, now
            self.save(asdict(self.recipe))

    def take_up(self) -> None:
        """Go on from the checkpoint, if there is one."""
        if self.resume(self.recipe.device):
            self.refresh()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start_workers(count: int, argv: list[str]) -> None:
    """Become torchrun with ``count`` processes of this program: they meet once a step, where threads would once an operation.

    glibc is told to keep freed memory: handing a step's gigabyte back and asking anew cost a sixth of the time (LOG.md).
    """
    keep = {"MALLOC_MMAP_THRESHOLD_": "4000000000", "MALLOC_TRIM_THRESHOLD_": "8000000000"}
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    threads = [] if "--threads" in argv else ["--threads", "1"]
    os.execve(
        sys.executable,
        [*run, "-m", "zhilu.training.nano.train", *argv, *threads],
        {"OMP_NUM_THREADS": "1", **keep, **os.environ},
    )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m zhilu.training.nano.train", description="Train zhilu-nano from scratch."
    )
    parser.add_argument("--preset", choices=sorted(PRESETS), default="cpu")
    parser.add_argument("--data", help="data folder (default: $ZHILU_DATA)")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--minutes", type=float, help="end the schedule within this wall time")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--workers", type=int, help="processes (default: one a CPU core, at most 8, or one a GPU)")
    given = parser.parse_args(argv)
    if "WORLD_SIZE" not in os.environ:
        workers = given.workers or (torch.cuda.device_count() if given.preset == "gpu" else min(8, _cores()))
        if workers > 1:
            _start_workers(workers, sys.argv[1:] if argv is None else argv)
    chosen = {
        name: getattr(given, name) for name in ("minutes", "steps", "threads") if getattr(given, name) is not None
    }
    recipe = replace(PRESETS[given.preset], **chosen)

    def report(line: dict[str, Any]) -> None:
        if line["step"] % 20 == 0:
            print(" ".join(f"{k}={v:.4g}" for k, v in line.items()), flush=True)

    train(recipe, data_folder(given.data), given.out, report)


if __name__ == "__main__":
    main()
