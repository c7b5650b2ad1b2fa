"""Train zhilu-nano from scratch.

    python -m zhilu.models.nano.train --preset cpu --data DIR --out DIR --minutes 70     on two CPU cores
    python -m zhilu.models.nano.train --preset gpu --data DIR --out DIR                  on one GPU

The folder OUT gets ``tokenizer.json``, ``checkpoint.pt`` (resumed from when present) and ``curve.jsonl``. A resumed run sees the
batches it would have seen and, when steps (not minutes) bound it, repeats its loss curve exactly.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from zhilu.models.nano.circuit import draw_copy_circuit
from zhilu.models.nano.data import DevGuard, data_folder, group_contexts, texts
from zhilu.models.nano.model import Guide, Nano, NanoConfig
from zhilu.models.nano.optimizer import make_optimizers
from zhilu.models.nano.rows import Batch, Corpus, Mixer
from zhilu.models.nano.tokenizer import load_tokenizer, train_tokenizer
from zhilu.models.nano.workers import Workers

__all__ = ["PRESETS", "Recipe", "learning_rate_share", "train"]


_GUIDE_WEIGHT = 0.3


@dataclass(frozen=True)
class Recipe:
    """All that decides a run, beside the data. ``minutes`` bounds it by the clock, else ``steps``."""

    model: NanoConfig = field(default_factory=NanoConfig)
    device: str = "cpu"
    batch_tokens: int = 4096
    matrix_lr: float = 0.02
    embed_lr: float = 0.0015
    warmup_steps: int = 40
    decay_share: float = 0.35  # of the run: the last part of the warmup-stable-decay schedule
    clip: float = 1.0
    z_loss: float = 1e-4
    steps: int = 3000
    minutes: float | None = None
    max_chars: int = 10_000_000  # of plain text a language
    threads: int = 2
    seed: int = 7
    save_minutes: float = 3.0


PRESETS = {
    "cpu": Recipe(),
    # As deep as 20 MB of bfloat16 allow: looking an answer up takes layers more than width.
    "gpu": Recipe(
        model=NanoConfig(hidden_size=256, num_hidden_layers=9, intermediate_size=640),
        device="cuda",
        batch_tokens=65536,
        matrix_lr=0.015,
        steps=12000,
        warmup_steps=200,
        max_chars=80_000_000,
    ),
}


def learning_rate_share(step: int, progress: float, recipe: Recipe) -> float:
    """Warmup-stable-decay (Hu et al. 2024): the share of the full learning rate at a step; ``progress`` runs from 0 to 1."""
    warm = min(1.0, (step + 1) / recipe.warmup_steps)
    return warm * min(1.0, max(0.02, (1 - progress) / recipe.decay_share))


def guides_of(batch: Batch, config: NanoConfig, device: str) -> list[Guide]:
    """Supervised attention, in four heads. The cross-entropy alone takes millions of tokens to find out what the data knows.

    Late: a reply's start looks at its span, its bracket at the span's end; one layer before, its start looks at a word that
    question and passage share. Early: the span looks at its passage's number.
    """
    late, early, last = config.num_hidden_layers - 2, 1, config.num_attention_heads - 1
    guides = []
    wanted = (
        (batch.spans, late, 0),
        (batch.citations, late, 1),
        (batch.anchors, late - 1, last),
        (batch.markers, early, last),
    )
    for pairs, layer, head in wanted:
        if len(pairs):
            rows, queries, keys = torch.from_numpy(pairs).to(device).unbind(1)
            guides.append(Guide(layer, head, rows, queries, keys))
    return guides


def loss_of(model: Nano, batch: Batch, device: str, z_loss: float) -> tuple[torch.Tensor, dict[str, float]]:
    """The loss, and what it is made of for the curve. The vocabulary's scores are worked out at labelled positions only."""
    ids = torch.from_numpy(batch.ids).to(device)
    weights = torch.from_numpy(batch.weights[:, 1:]).to(device).reshape(-1)
    places = weights.nonzero().squeeze(1)
    weights = weights[places]
    guides = guides_of(batch, model.config, device)
    hidden = model.model(ids[:, :-1], guides).reshape(-1, model.config.hidden_size)[places]
    targets = ids[:, 1:].reshape(-1)[places]
    logits = model.logits(hidden).float()
    each = F.cross_entropy(logits, targets, reduction="none")
    loss = (weights * (each + z_loss * logits.logsumexp(-1).square())).sum() / weights.sum()
    loss = loss + _GUIDE_WEIGHT * sum(each for guide in guides for each in guide.losses)
    with torch.no_grad():
        answers = weights > 0.31 if bool((weights > 0.31).any()) else weights > 0
        right = logits.argmax(-1) == targets
        starts = weights > 1
        figures = {"answer_loss": each[answers].mean(), "answer_accuracy": right[answers].float().mean()}
        if bool(starts.any()):
            figures["start_accuracy"] = right[starts].float().mean()
        figures |= {f"guide_{guide.layer}.{guide.head}": guide.losses[0] for guide in guides}
    return loss, {name: float(figure.detach()) for name, figure in figures.items()}


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
    tokenizer = load_tokenizer(out / "tokenizer.json")
    mixer = Mixer(
        Corpus(data, tokenizer, recipe.max_chars), tokenizer, recipe.batch_tokens // workers.count, recipe.seed
    )
    model = Nano(recipe.model)
    draw_copy_circuit(model)
    model.to(recipe.device)
    optimizers = make_optimizers(model, recipe.matrix_lr, recipe.embed_lr)
    run = _Run(model, optimizers, recipe, out, workers)
    run.resume()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, run.stop)
    batches = mixer.block(run.block, run.block_progress)
    with (out / "curve.jsonl").open("a", encoding="utf-8") as curve:
        while run.goes_on():
            if run.batch + workers.count > len(batches):
                run.next_block()
                batches = mixer.block(run.block, run.block_progress)
            line = run.step(batches[run.batch + workers.rank])
            if workers.leads:
                curve.write(json.dumps(line) + "\n")
                curve.flush()
                report(line)
    run.save()
    return model


class _Run:
    """The state of a run: what a checkpoint holds."""

    def __init__(
        self, model: Nano, optimizers: list[torch.optim.Optimizer], recipe: Recipe, out: Path, workers: Workers
    ) -> None:
        self.workers = workers
        self.model, self.optimizers, self.recipe, self.path = model, optimizers, recipe, out / "checkpoint.pt"
        self.base = [group["lr"] for optimizer in optimizers for group in optimizer.param_groups]
        self.steps, self.tokens, self.elapsed = 0, 0, 0.0
        self.block, self.batch, self.block_progress, self.progress = 0, 0, 0.0, 0.0
        self.started = self.saved = time.monotonic()
        self.stopped = False

    def goes_on(self) -> bool:
        """Set ``progress``, the share of the run that is done (of its minutes where it has them, else of its steps); True until 1."""
        done = self.steps / self.recipe.steps
        if self.recipe.minutes is not None:
            done = (self.elapsed + time.monotonic() - self.started) / (60 * self.recipe.minutes)
        self.progress, stopped = self.workers.agree([done, float(self.stopped)], self.recipe.device)
        return self.progress < 1 and not stopped

    def stop(self, *_: Any) -> None:
        """Ask the run to write its checkpoint and end after the step in hand (a signal handler)."""
        self.stopped = True

    def next_block(self) -> None:
        """Turn to the next block, drawn from the curriculum's stage of this moment."""
        self.block, self.batch, self.block_progress = self.block + 1, 0, self.progress

    def step(self, batch: Batch) -> dict[str, Any]:
        """One optimizer step; returns its line of the curve."""
        began, progress = time.monotonic(), self.progress
        share = learning_rate_share(self.steps, progress, self.recipe)
        groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        for group, base in zip(groups, self.base, strict=True):
            group["lr"] = base * share
        with torch.autocast(self.recipe.device, dtype=torch.bfloat16, enabled=self.recipe.device == "cuda"):
            loss, figures = loss_of(self.model, batch, self.recipe.device, self.recipe.z_loss)
        loss.backward()
        self.workers.average_gradients(self.model.parameters())
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self.steps, self.batch = self.steps + 1, self.batch + self.workers.count
        self.tokens += batch.ids.size * self.workers.count
        if time.monotonic() - self.saved > 60 * self.recipe.save_minutes:
            self.save()
        return {
            "step": self.steps,
            "loss": float(loss.detach()),
            **figures,
            "grad_norm": float(norm),
            "lr_share": share,
            "tokens": self.tokens,
            "progress": progress,
            "seconds": time.monotonic() - began,
        }

    def save(self) -> None:
        """Write the checkpoint beside itself, then rename: a kill leaves the old one whole."""
        if not self.workers.leads:
            return
        now = time.monotonic()
        self.elapsed, self.started, self.saved = self.elapsed + now - self.started, now, now
        state = {
            name: getattr(self, name) for name in ("steps", "tokens", "elapsed", "block", "batch", "block_progress")
        }
        state |= {"recipe": asdict(self.recipe), "model": self.model.state_dict()}
        state["optimizers"] = [optimizer.state_dict() for optimizer in self.optimizers]
        temporary = self.path.with_suffix(".tmp")
        torch.save(state, temporary)
        os.replace(temporary, self.path)

    def resume(self) -> None:
        """Take up the checkpoint, if there is one."""
        if not self.path.exists():
            return
        state = torch.load(self.path, map_location=self.recipe.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        for name in ("steps", "tokens", "elapsed", "block", "batch", "block_progress"):
            setattr(self, name, state[name])


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m zhilu.models.nano.train", description="Train zhilu-nano from scratch."
    )
    parser.add_argument("--preset", choices=sorted(PRESETS), default="cpu")
    parser.add_argument("--data", help="data folder (default: $ZHILU_DATA)")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--minutes", type=float, help="end the schedule within this wall time")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--threads", type=int)
    given = parser.parse_args(argv)
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
