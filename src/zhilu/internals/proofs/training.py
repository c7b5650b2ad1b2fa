"""6.1: the loop equals a plain one that packs nothing and writes nothing itself; and what happens without each part."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from zhilu.internals.proofs.optimizers import small_model
from zhilu.internals.proofs.text import source_bytes
from zhilu.internals.result import Chart, Check, Grid, Result, Say, Series, Table, at_most, same, worst
from zhilu.messages import T
from zhilu.training.loop import warmup_stable_decay
from zhilu.training.model import attention_mask
from zhilu.training.rows import Batch, Row, pack

__all__ = ["prove"]

_STEPS, _LENGTH, _ROWS = 30, 96, 4


def prove(part: Any, say: Say) -> Result:
    """``part`` has what ``lesson1_training`` has."""
    say(0.0, T("packing documents", "打包文档"))
    documents = _documents(_STEPS)
    whole = [[pack(rows, _LENGTH)] for rows in documents]
    parts = [[pack(rows[:1], _LENGTH), pack(rows[1:], _LENGTH)] for rows in documents]
    settings = part.Settings()
    say(0.1, T("training", "训练"))
    losses, weights = _run(part, whole, settings)
    say(0.3, T("training in micro-batches", "用小批累积训练"))
    split, split_weights = _run(part, parts, settings)
    say(0.45, T("the reference loop", "参考实现"))
    wanted, wanted_weights = _reference(documents, settings)
    say(0.6, T("in bfloat16", "用 bfloat16 训练"))
    half, _ = _run(part, whole, replace(settings, half=True))
    apart = _off(losses, split)
    checks = [
        *_parts(part, whole[0][0]),
        at_most(T("loss curve against the reference loop", "损失曲线与参考实现之差"), _off(losses, wanted), 1e-4),
        at_most(T("weights after training against the reference loop", "训练后的权重与参考实现之差"), _apart(weights, wanted_weights), 1e-4),
        at_most(T("micro-batches against whole batches: loss curve", "小批累积与整批的损失曲线之差"), apart, 1e-4),
        at_most(T("micro-batches against whole batches: weights", "小批累积与整批的权重之差"), _apart(weights, split_weights), 1e-4),
        at_most(T("bfloat16 against float32: loss curve", "bfloat16 与 float32 的损失曲线之差"), _off(losses, half), 0.1),
        at_most(T("last loss over first", "最后损失与最初损失之比"), losses[-1] / losses[0], 0.75),
    ]  # fmt: skip
    wild = replace(settings, rate=settings.rate * 30)
    curves = [(T("as it should be", "应有的样子"), losses)]
    for index, (name, changed) in enumerate(
        (
            (T("thirty times the rate, no warm-up, no clipping", "三十倍学习率，无预热、无裁剪"), replace(wild, warmup=1, clip=0.0)),
            (T("the same with warm-up and clipping", "同上，但有预热和裁剪"), wild),
            (T("documents see each other", "文档互相可见"), replace(settings, separate=False)),
        )
    ):  # fmt: skip
        say(0.7 + 0.1 * index, T(f"ablation: {name.en}", f"消融：{name.zh}"))
        curves.append((name, _run(part, whole, changed)[0]))
    steps = list(range(1, _STEPS + 1))
    return Result(
        task="6.1",
        answer=1 if apart <= 1e-4 else 0,
        checks=checks,
        charts=[
            Chart(
                title=T("Loss, and what a part of the loop is for", "损失，以及每个部分的作用"),
                x=T("step", "步"),
                y=T("loss", "损失"),
                series=[Series(name=name, xs=steps, ys=ys) for name, ys in curves],
            ),
            Chart(
                title=T("The rate: up, level, down", "学习率：升、平、降"),
                x=T("step", "步"),
                y=T("share of the full rate", "占最高学习率的比例"),
                series=[Series(name=T("rate", "学习率"), xs=steps, ys=[part.rate(i, _STEPS, settings) for i in range(_STEPS)])],
            ),
        ],
        grids=[_mask(part, whole[0][0])],
        tables=[
            Table(
                title=T("Where each curve ends", "每条曲线的终点"),
                columns=[T("run", "运行"), T("worst on the way", "途中最差"), T("last loss", "最后损失")],
                rows=[[name, T.of(f"{max(ys[1:]):.3f}"), T.of(f"{ys[-1]:.3f}")] for name, ys in curves],
            )
        ],
    )  # fmt: skip


def _documents(steps: int) -> list[list[list[Row]]]:
    """For each step some sequences of short documents: consecutive lines of real Python, as bytes."""
    rng, text = np.random.default_rng(5), source_bytes()
    at, found = 0, []
    for _ in range(steps):
        sequences = []
        for _ in range(_ROWS):
            rows, left = list[Row](), _LENGTH
            while left >= 12:
                length = min(left, int(rng.integers(12, 48)))
                ids = list(text[at : at + length])
                at += length
                rows.append(Row(ids, [0.0] + [1.0] * (length - 1), "source"))
                left -= length
            sequences.append(rows)
        found.append(sequences)
    return found


def _run(part: Any, steps: list[list[Batch]], settings: Any) -> tuple[list[float], list[torch.Tensor]]:
    model = small_model()
    part.initialise(model, seed=4)
    losses = part.train(model, steps, settings)
    return losses, [weight.detach().clone() for weight in model.parameters()]


def _reference(documents: list[list[list[Row]]], settings: Any) -> tuple[list[float], list[torch.Tensor]]:
    """Each document alone through PyTorch's fused attention; PyTorch's loss, clipping and optimizer; the trainer's schedule."""
    model = small_model()
    torch.manual_seed(4)
    model_names = dict(model.named_parameters())
    for name, weight in model_names.items():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            torch.nn.init.zeros_(weight)
        elif name.endswith("proj.weight"):
            torch.nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
        elif "embed" in name:
            torch.nn.init.normal_(weight, std=0.04)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.rate, betas=(0.9, 0.95), weight_decay=0.0)
    losses = []
    for step, sequences in enumerate(documents):
        optimizer.zero_grad()
        rows = [row for sequence in sequences for row in sequence]
        count = sum(len(row.ids) - 1 for row in rows)
        total = 0.0
        for row in rows:
            ids = torch.tensor([row.ids])
            logits = model(ids[:, :-1])[0]
            entropy = F.cross_entropy(logits, ids[0, 1:], reduction="sum")
            ((entropy + settings.z * logits.logsumexp(-1).square().sum()) / count).backward()
            total += entropy.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        share = warmup_stable_decay(step, step / len(documents), settings.warmup, settings.decay, settings.floor)
        optimizer.param_groups[0]["lr"] = settings.rate * share
        optimizer.step()
        losses.append(total / count)
    return losses, [weight.detach().clone() for weight in model.parameters()]


def _parts(part: Any, batch: Batch) -> list[Check]:
    """Each function against the library's or the trainer's."""
    torch.manual_seed(2)
    logits, targets = torch.randn(5, 7, 11) * 4, torch.randint(11, (5, 7))
    mine = float(part.loss_sum(logits, targets, torch.ones(5, 7), 0.0))
    theirs = float(F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum"))
    pair = [[torch.nn.Parameter(torch.zeros(4, 3)), torch.nn.Parameter(torch.zeros(9))] for _ in range(2)]
    for one in pair:
        torch.manual_seed(3)
        for weight in one:
            weight.grad = torch.randn_like(weight) * 5
    part.clip(pair[0], 1.0)
    torch.nn.utils.clip_grad_norm_(pair[1], 1.0)
    cut = worst(float((a.grad - b.grad).abs().max()) for a, b in zip(*pair, strict=True) if a.grad is not None and b.grad is not None)  # fmt: skip
    segments = torch.from_numpy(batch.segments)
    equal = torch.equal(part.document_mask(segments, torch.float32), attention_mask(segments, torch.float32))
    return [
        at_most(T("loss against torch's cross_entropy", "损失与 torch cross_entropy 之差"), abs(mine - theirs), 1e-4),
        at_most(T("clipping against clip_grad_norm_", "裁剪与 clip_grad_norm_ 之差"), cut, 1e-6),
        same(T("mask = the trainer's own", "掩码 = 训练器自带的"), equal, True),
    ]


def _off(mine: list[float], theirs: list[float]) -> float:
    return worst(abs(a - b) for a, b in zip(mine, theirs, strict=True))


def _apart(mine: list[torch.Tensor], theirs: list[torch.Tensor]) -> float:
    return worst(float((a - b).abs().max()) for a, b in zip(mine, theirs, strict=True))


def _mask(part: Any, batch: Batch) -> Grid:
    seen = part.document_mask(torch.from_numpy(batch.segments[:1, :48]), torch.float32)[0, 0, 0] == 0
    numbers = batch.segments[0, :48]
    return Grid(
        title=T("Documents side by side in one row: who may look at whom", "一行里并排的文档：谁能看谁"),
        rows=T("token", "token"),
        columns=T("looks at", "看"),
        cells=[[1.0 if seen[i, j] else None for j in range(len(numbers))] for i in range(len(numbers))],
    )
