"""Train zhilu-embed from scratch: about four minutes on one CPU core, then int8 weights.

    python -m zhilu.training.embed.train --data DIR --out DIR [--steps N]

The folder OUT gets ``corpus.npz`` (the texts as units; reused if present), ``checkpoint.pt`` (resumed from if present),
``curve.jsonl`` and ``weights/``, which is what ships. A resumed run sees the batches it would have seen and ends in the same
weights.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from zhilu.training.embed.batches import Batch, Batches
from zhilu.training.embed.data import Corpus, read_corpus
from zhilu.training.embed.export import export
from zhilu.training.embed.model import Bags, StaticModel, Vocabulary, word_overlap
from zhilu.training.loop import Run, warmup_stable_decay
from zhilu.training.nano.data import data_folder

__all__ = ["Recipe", "loss_of", "train"]

_SAME = -1e4  # the score of a passage that is the right one under another number: no negative


@dataclass(frozen=True)
class Recipe:
    """All that decides a run, beside the data."""

    dim: int = 1024
    vocabulary: int = 15500
    buckets: int = 3500
    batch: int = 768
    steps: int = 700
    lr: float = 0.002
    weight_lr: float = 0.01
    warmup_steps: int = 50
    decay_share: float = 0.6  # of the run: the last part, in which the learning rate goes down to a fiftieth
    asked_share: float = 0.4
    keep_share: float = 0.2
    dropout: float = 0.1
    # The loss of the sum with word overlap: the vectors shall add what words do not say (CLEAR, Gao et al. 2021).
    beside_words: float = 1.0
    # Adam's epsilon as a multiple of the 95th percentile of the rows' first gradients. With the usual tiny one a rare word's
    # vector moves as far in one step as a common word's, and forgets which word it is.
    epsilon: float = 1.0
    max_chars: int = 80_000_000  # of plain text a language
    threads: int = 1
    seed: int = 7
    save_seconds: float = 60.0


def loss_of(
    model: StaticModel, batch: Batch, vocabulary: Vocabulary, recipe: Recipe
) -> tuple[torch.Tensor, dict[str, float]]:
    """Cross-entropy of each question's passage among the batch's (InfoNCE), of each passage's question, and of the question's
    passage once more when word overlap is added; with what it is made of for the curve."""
    questions = model(Bags.of(batch.questions, vocabulary), model.query, recipe.dropout)
    passages = model(Bags.of(batch.passages, vocabulary), model.passage, recipe.dropout)
    similar = questions @ passages.T  # (B, B)
    which = torch.from_numpy(batch.which)
    same = (which[:, None] == which[None]) & ~torch.eye(len(which), dtype=torch.bool)
    right = torch.arange(len(which))
    scores = (similar * model.sharpness.exp()).masked_fill(same, _SAME)
    finds = F.cross_entropy(scores, right)
    loss = finds + 0.5 * F.cross_entropy(scores.T, right)
    figures = {"loss": float(finds.detach()), "hits": float((scores.argmax(1) == right).float().mean())}
    if recipe.beside_words:
        overlap = word_overlap(batch.questions, batch.passages, vocabulary)
        both = similar * model.beside_words[0].exp() + overlap * model.beside_words[1]
        beside = F.cross_entropy(both.masked_fill(same, _SAME), right)
        loss = loss + recipe.beside_words * beside
        figures["loss_beside_words"] = float(beside.detach())
    return loss, figures


def train(
    recipe: Recipe, data: Path | None, out: Path, report: Callable[[dict[str, Any]], None] = lambda line: None
) -> Path:
    """Run or resume the recipe; ``report`` gets every line of the curve. Returns the folder of the exported weights.

    ``data`` None: ``out/corpus.npz`` is there.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(recipe.threads)
    corpus = _corpus(recipe, data, out, report)
    vocabulary = Vocabulary(corpus, recipe.vocabulary, recipe.buckets)
    batches = Batches(corpus, recipe.batch, recipe.asked_share, recipe.keep_share, recipe.seed)
    run = _Run(recipe, vocabulary, out)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, run.stop)
    with (out / "curve.jsonl").open("a", encoding="utf-8") as curve:
        while run.goes_on():
            line = run.step(batches.batch(run.steps))
            curve.write(json.dumps(line) + "\n")
            curve.flush()
            report(line)
    run.save(asdict(recipe))
    return export(run.model, vocabulary, out / "weights")


def _corpus(recipe: Recipe, data: Path | None, out: Path, report: Callable[[dict[str, Any]], None]) -> Corpus:
    path = out / "corpus.npz"
    if not path.exists():
        read_corpus(data_folder(data), recipe.max_chars, lambda line: report({"reading": line})).save(path)
    return Corpus.open(path)


class _Run(Run):
    model: StaticModel

    def __init__(self, recipe: Recipe, vocabulary: Vocabulary, out: Path) -> None:
        self.recipe, self.vocabulary = recipe, vocabulary
        model = StaticModel(vocabulary.start, recipe.dim, torch.Generator().manual_seed(recipe.seed))
        self.optimizer = torch.optim.Adam(
            [
                {"params": [model.table], "lr": recipe.lr},
                {"params": [model.query, model.passage, model.sharpness, model.beside_words], "lr": recipe.weight_lr},
            ],
            betas=(0.9, 0.99),
        )
        super().__init__(model, [self.optimizer], out / "checkpoint.pt")
        self.resume()

    def goes_on(self) -> bool:
        return self.steps < self.recipe.steps and not self.stopped

    def step(self, batch: Batch) -> dict[str, Any]:
        """One optimizer step; returns its line of the curve."""
        began, recipe = time.monotonic(), self.recipe
        torch.manual_seed(recipe.seed + self.steps)  # dropout, the same after a resume
        progress = self.steps / recipe.steps
        self.set_rates(warmup_stable_decay(self.steps, progress, recipe.warmup_steps, recipe.decay_share, floor=0.02))
        self.optimizer.zero_grad()
        loss, figures = loss_of(self.model, batch, self.vocabulary, recipe)
        loss.backward()
        assert self.model.table.grad is not None
        # Thousands of rare words share the buckets: trained, they become the mean of all and tell none apart.
        self.model.table.grad[len(self.vocabulary.own) :] = 0
        if self.steps == 0 and recipe.epsilon:
            self._set_epsilon(self.model.table.grad)
        self.optimizer.step()
        self.steps += 1
        if time.monotonic() - self.saved > recipe.save_seconds:
            self.save(asdict(recipe))
        return {"step": self.steps, "kind": batch.kind, **figures, "seconds": time.monotonic() - began}

    def _set_epsilon(self, gradient: torch.Tensor) -> None:
        rows = gradient.square().mean(dim=1).sqrt()
        self.optimizer.param_groups[0]["eps"] = float(rows[rows > 0].quantile(0.95)) * self.recipe.epsilon


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m zhilu.training.embed.train", description="Train zhilu-embed from scratch."
    )
    parser.add_argument("--data", help="data folder (default: $ZHILU_DATA)")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--threads", type=int)
    given = parser.parse_args(argv)
    chosen = {name: getattr(given, name) for name in ("steps", "threads") if getattr(given, name) is not None}

    def report(line: dict[str, Any]) -> None:
        if "reading" in line or line["step"] % 20 == 0:
            print(" ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in line.items()), flush=True)

    data = Path(given.data) if given.data else None
    print(f"weights: {train(replace(Recipe(), **chosen), data, given.out, report)}")


if __name__ == "__main__":
    main()
