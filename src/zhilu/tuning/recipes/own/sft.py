"""Supervised fine-tuning with LoRA, in one file that is yours to change.

    python sft.py sft.yaml

Rows are rendered by the model's own chat template and packed without seeing each other; the loss of a step is the mean over all its
learned tokens. The adapter with the lowest held-out loss is written where the engine finds it.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
import yaml
from peft import LoraConfig, get_peft_model
from torch.nn import functional as F

from zhilu.context import Context, open_context
from zhilu.engine.model.adapters import BASE_NOTE
from zhilu.engine.model.weights import weights_sha256
from zhilu.models import ModelStore
from zhilu.training.loop import warmup_stable_decay
from zhilu.tuning.base_model import TARGETS, load_base
from zhilu.tuning.data.library import DatasetLibrary
from zhilu.tuning.data.preflight import Preflight, Rendered
from zhilu.tuning.data.read import read_dataset
from zhilu.tuning.recipes.batches import pack, step_batches, tensors

KEYS = {
    "name", "model", "data", "held_out", "rank", "alpha", "learning_rate", "steps", "batch_tokens", "max_len", "eval_every", "seed",
}  # fmt: skip


def read_config(path: Path) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    if wrong := config.keys() ^ KEYS:
        sys.exit(f"{path}: unknown or missing keys: {', '.join(sorted(wrong))}")
    return config


def read_rows(context: Context, preflight: Preflight, name: str) -> list[Rendered]:
    examples = read_dataset(DatasetLibrary(context).path_of(name)).examples
    return [row for example in examples for row in preflight.render(example)]


def loss_sum(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    """The sum of the cross-entropies of a packed sequence's learned tokens. Another objective begins here."""
    inputs = {key: batch[key] for key in ("input_ids", "position_ids", "attention_mask")}
    logits = model(**inputs, use_cache=False).logits[0]  # (length, vocabulary)
    return F.cross_entropy(logits[batch["places"]].float(), batch["labels"], reduction="sum")


@torch.no_grad()
def held_out_loss(model: Any, rows: list[Rendered], max_len: int) -> float:
    model.eval()
    batches = [tensors(packed) for packed in pack(rows, max_len)]
    total = sum(float(loss_sum(model, batch)) for batch in batches)
    model.train()
    return total / sum(len(batch["labels"]) for batch in batches)


def train(
    model: Any, rows: list[Rendered], held_out: list[Rendered], config: dict[str, Any]
) -> dict[str, torch.Tensor]:
    """The trained tensors with the lowest held-out loss."""
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    optimizer = torch.optim.AdamW(trained.values(), lr=config["learning_rate"], weight_decay=0.0)
    best, kept = math.inf, {}
    for step in range(config["steps"]):
        share = warmup_stable_decay(step, step / config["steps"], max(1, min(20, config["steps"] // 10)), 0.5, 0.02)
        for group in optimizer.param_groups:
            group["lr"] = config["learning_rate"] * share
        packed = step_batches(rows, config["max_len"], config["batch_tokens"], step, config["seed"])
        batches = [tensors(sequence) for sequence in packed]
        count, total = sum(len(batch["labels"]) for batch in batches), 0.0
        for batch in batches:
            loss = loss_sum(model, batch) / count
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(trained.values(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        line = f"step {step + 1}/{config['steps']}  loss {total:.4f}"
        if (step + 1) % config["eval_every"] == 0 or step + 1 == config["steps"]:
            measured = held_out_loss(model, held_out, config["max_len"])
            line += f"  held-out {measured:.4f}"
            if measured < best:
                best, kept = measured, {name: weight.detach().clone() for name, weight in trained.items()}
        print(line, flush=True)
    return kept


def write_adapter(context: Context, model: Any, config: dict[str, Any], folder: Path) -> Path:
    """Whole or not at all, with the hash of the base: the engine refuses the adapter on another one."""
    place, incoming = context.home.adapters / config["name"], context.home.adapters / f".incoming-{config['name']}"
    shutil.rmtree(incoming, ignore_errors=True)
    model.save_pretrained(incoming, safe_serialization=True, save_embedding_layers=False)
    note = {
        "run": config["name"],
        "base": config["model"],
        "base_sha256": weights_sha256(folder),
        "data": config["data"],
    }
    (incoming / BASE_NOTE).write_text(json.dumps(note), encoding="utf-8")
    shutil.rmtree(place, ignore_errors=True)
    incoming.rename(place)
    return place


def main(path: Path) -> None:
    config = read_config(path)
    context = open_context({})
    preflight = Preflight.of(context, config["model"])
    rows, held_out = (read_rows(context, preflight, config[key]) for key in ("data", "held_out"))
    folder = ModelStore(context).path_of(config["model"])
    torch.manual_seed(config["seed"])
    lora = LoraConfig(r=config["rank"], lora_alpha=config["alpha"], target_modules=list(TARGETS), task_type="CAUSAL_LM")
    model = get_peft_model(load_base(folder), lora)
    model.peft_config["default"].base_model_name_or_path = config["model"]
    print(
        f"{len(rows)} rows, {len(held_out)} held out: {held_out_loss(model, held_out, config['max_len']):.4f}",
        flush=True,
    )
    best = train(model, rows, held_out, config)
    model.load_state_dict(best, strict=False)
    print(write_adapter(context, model, config, folder))
    context.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
