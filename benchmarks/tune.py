"""Useful tokens a second of a training, and the held-out loss it reached: ours, TRL with its defaults, Transformers' Trainer, LLaMA-Factory.

    python benchmarks/tune.py
    python benchmarks/tune.py --trl ENV/bin/python --llamafactory ENV/bin/python --json tune.json
    python benchmarks/tune.py --system 24           # every row begins with the same 24 tokens, as chats with a system prompt do

A model of 30 M parameters (Qwen3's shape, 16k words, random weights) learns rows of mixed lengths, the last two fifths of each. Everyone gets the
same rows, the same number of epochs, the same peak rate, as many tokens a step, and as many threads; all else is their own default (TRL:
bfloat16 and gradient checkpointing). Useful tokens are those of rows, without padding, over the seconds of training alone. The loss of
held-out rows is measured by one program for all. TRL and LLaMA-Factory come in environments of their own, since they are no part of Zhilu:

    python -m venv trl && trl/bin/pip install torch==2.13.0 trl==1.16.0 peft==0.21.2
    python -m venv lf && lf/bin/pip install llamafactory==0.9.5

Who is not installed is left out, and said to be. Figures count on a machine that does nothing else: the load is told beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
RATES = {"lora": 2e-3, "full": 1e-3}
RANK = 16
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=list(RATES), default=list(RATES))
    parser.add_argument("--who", nargs="+", choices=list(WORKERS), default=list(WORKERS))
    parser.add_argument("--trl", default=sys.executable, metavar="PYTHON", help="of an environment with TRL")
    parser.add_argument("--llamafactory", metavar="PYTHON", help="of an environment with llamafactory 0.9.5")
    parser.add_argument("--rows", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-tokens", type=int, default=2048)
    parser.add_argument("--system", type=int, default=0, help="tokens that all rows begin with")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--worker", nargs=3, metavar=("WHO", "METHOD", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        who, method, folder = args.worker
        print(json.dumps(WORKERS[who](method, Path(folder))))
        return 0
    return measure(args)


def measure(args: argparse.Namespace) -> int:
    from serve.formats import make_model

    from zhilu.engine.processor import processor

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    print(f"{processor().name}: {processor().sets}; {args.threads} threads; load {load:.1f} at the start", flush=True)
    if load > 0.5:
        print("Others work on this machine: these figures are not to be quoted.", flush=True)
    told: dict[str, Any] = {"processor": processor().name, "sets": processor().sets, "load": load, "runs": []}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        make_model(folder / "model")
        rows, held_out = make_rows(folder / "model", args.rows, args.system)
        useful = args.epochs * sum(len(row["input_ids"]) for row in rows)
        mean = sum(len(row["input_ids"]) for row in rows) / len(rows)
        plan = {
            "rows": rows, "epochs": args.epochs, "batch_tokens": args.batch_tokens, "threads": args.threads,
            "batch_rows": max(1, round(args.batch_tokens / mean)), "longest": max(len(row["input_ids"]) for row in rows),
        }  # fmt: skip
        (folder / "plan.json").write_text(json.dumps(plan))
        print(
            f"{len(rows)} rows, {useful:,} useful tokens in {args.epochs} epoch(s), rows of {mean:.0f} tokens on average",
            flush=True,
        )
        pythons = {
            "zhilu": sys.executable,
            "trainer": sys.executable,
            "trl": args.trl,
            "llamafactory": args.llamafactory,
        }
        for method in args.methods:
            for who, python in ((who, pythons[who]) for who in args.who):
                if not python:
                    print(f"{method:5} {who:13} not measured: give --{who} PYTHON", flush=True)
                    continue
                found = run_worker(python, who, method, folder, args.threads)
                if isinstance(found, str):
                    print(f"{method:5} {who:13} not measured: {found}", flush=True)
                    continue
                loss = held_out_loss(folder, method, who, held_out)
                speed = useful / found["seconds"]
                told["runs"].append({"method": method, "who": who, "tokens_per_second": speed, "loss": loss, **found})
                print(
                    f"{method:5} {who:13} {speed:7,.0f} useful tokens/s  held-out loss {loss:.3f}  {found['steps']} steps"
                    f"  {found['peak_mb']:,.0f} MB", flush=True,
                )  # fmt: skip
    for run in told["runs"]:
        ours = next((r for r in told["runs"] if r["who"] == "zhilu" and r["method"] == run["method"]), None)
        if ours is not None and run is not ours:
            ratio = ours["tokens_per_second"] / run["tokens_per_second"]
            print(
                f"{run['method']}: {ratio:.2f} times {run['who']} (loss {ours['loss']:.3f} against {run['loss']:.3f})"
            )
    if args.json:
        args.json.write_text(json.dumps(told, indent=1))
    return 0


def make_rows(model: Path, count: int, system: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of this repository's documentation, 24 to 480 tokens long, short ones more often; and a quarter as many held out."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted((REPOSITORY / "docs").rglob("*.md")))
    ids, draw, at = tokenizer.encode(text, add_special_tokens=False).ids, random.Random(5), 0
    begin = ids[-system:] if system else []
    made = []
    for _ in range(count + count // 4):
        length = round(24 * 20 ** draw.random())
        row = begin + ids[at : at + length]
        at += length
        learned = len(row) - max(2, 2 * length // 5)
        made.append({"input_ids": row, "labels": [id if place >= learned else -100 for place, id in enumerate(row)]})
    draw.shuffle(made)
    return made[:count], made[count:]


def run_worker(python: str, who: str, method: str, folder: Path, threads: int) -> dict[str, Any] | str:
    """Its figures, or why there are none."""
    named = {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "HF_HUB_OFFLINE": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "CUDA_VISIBLE_DEVICES": "",
    }
    done = subprocess.run(
        [python, __file__, "--worker", who, method, str(folder)], env={**os.environ, **named}, capture_output=True, text=True, check=False
    )  # fmt: skip
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["it ended without a word"])[-1][:200]
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def held_out_loss(folder: Path, method: str, who: str, held_out: list[dict[str, Any]]) -> float:
    """Mean cross-entropy of the learned tokens, in float32, by Transformers' own loss, row by row."""
    import torch
    from transformers import AutoModelForCausalLM

    place = folder / f"{who}-{method}"
    start = folder / "model" if method == "lora" else place
    model: Any = AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32)
    if method == "lora":
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, place)
    model.eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for row in held_out:
            learned = sum(label != -100 for label in row["labels"])
            ids, labels = (torch.tensor([row[key]]) for key in ("input_ids", "labels"))
            total += float(model(input_ids=ids, labels=labels).loss) * learned
            count += learned
    return total / count


def ours(method: str, folder: Path) -> dict[str, Any]:
    import torch
    from transformers import AutoModelForCausalLM

    from zhilu.tuning.config import TuneConfig, choose
    from zhilu.tuning.data.preflight import Rendered
    from zhilu.tuning.recipes.arithmetic import use_fastest_float32
    from zhilu.tuning.recipes.sft import SftRun, add_lora
    from zhilu.tuning.recipes.units import Unit

    plan = json.loads((folder / "plan.json").read_text())
    torch.set_num_threads(plan["threads"])
    rows = [
        Rendered("", tuple(row["input_ids"]), tuple((0, 0) for _ in row["input_ids"]), tuple(label != -100 for label in row["labels"]))
        for row in plan["rows"]
    ]  # fmt: skip
    config = TuneConfig(
        model="-", data="-", method=method, rank=RANK, learning_rate=RATES[method], epochs=plan["epochs"], batch_tokens=plan["batch_tokens"]
    )  # fmt: skip
    chosen = choose(config, 30_000_000, [len(row.ids) for row in rows], 2048)
    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    model = add_lora(model, config, chosen, TARGETS) if method == "lora" else model
    begun = time.perf_counter()
    use_fastest_float32()  # whose measuring is part of a run
    run = SftRun(model, [Unit((row,)) for row in rows], config, chosen, folder / "checkpoint.pt")
    while run.steps < chosen.steps:
        run.step()
    seconds = time.perf_counter() - begun
    model.save_pretrained(folder / f"zhilu-{method}")
    return {"seconds": seconds, "steps": run.steps, "peak_mb": peak_mb()}


def trainer(method: str, folder: Path) -> dict[str, Any]:
    """Transformers' Trainer with its defaults: padded rows, float32."""
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    plan, model, tokenizer = _prepared(folder)
    if method == "lora":
        from peft import get_peft_model

        model = get_peft_model(model, _lora())
    collate = DataCollatorForSeq2Seq(tokenizer, padding=True)
    options = TrainingArguments(str(folder / "out"), **_usual(plan, method))
    return _train(
        Trainer(model, options, data_collator=collate, train_dataset=_rows(plan)), folder / f"trainer-{method}"
    )


def trl(method: str, folder: Path) -> dict[str, Any]:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    plan, model, tokenizer = _prepared(folder)
    options = SFTConfig(str(folder / "out"), **_usual(plan, method))
    lora = _lora() if method == "lora" else None
    made = SFTTrainer(
        model, options, train_dataset=Dataset.from_list(_rows(plan)), processing_class=tokenizer, peft_config=lora
    )
    return _train(made, folder / f"trl-{method}")


def llamafactory(method: str, folder: Path) -> dict[str, Any]:
    """By its own entry: it tokenizes the same texts itself."""
    from llamafactory.train.tuner import run_exp
    from transformers import AutoTokenizer

    plan = json.loads((folder / "plan.json").read_text())
    _set_threads(plan)
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    texts = []
    for row in plan["rows"]:
        first = next(at for at, label in enumerate(row["labels"]) if label != -100)
        texts.append(
            {
                "instruction": tokenizer.decode(row["input_ids"][:first]),
                "output": tokenizer.decode(row["input_ids"][first:]),
            }
        )
    (folder / "rows.json").write_text(json.dumps(texts))
    (folder / "dataset_info.json").write_text(json.dumps({"rows": {"file_name": "rows.json"}}))
    place = folder / f"llamafactory-{method}"
    lora = {"lora_rank": RANK, "lora_alpha": 2 * RANK, "lora_target": ",".join(TARGETS)} if method == "lora" else {}
    usual = {key: value for key, value in _usual(plan, method).items() if key != "use_cpu"}
    run_exp({
        **usual, **lora, "stage": "sft", "do_train": True, "finetuning_type": method, "model_name_or_path": str(folder / "model"),
        "dataset": "rows", "dataset_dir": str(folder), "template": "empty", "output_dir": str(place), "overwrite_output_dir": True,
        "overwrite_cache": True, "use_cpu": True,
    })  # fmt: skip
    results = json.loads((place / "all_results.json").read_text())
    steps = json.loads((place / "trainer_state.json").read_text())["global_step"]
    return {"seconds": results["train_runtime"], "steps": steps, "peak_mb": peak_mb()}


def _prepared(folder: Path) -> tuple[dict[str, Any], Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    plan = json.loads((folder / "plan.json").read_text())
    _set_threads(plan)
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    return plan, AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32), tokenizer


def _set_threads(plan: dict[str, Any]) -> None:
    import torch

    torch.set_num_threads(plan["threads"])


def _usual(plan: dict[str, Any], method: str) -> dict[str, Any]:
    """What all others are told; the rest is theirs."""
    return {
        "per_device_train_batch_size": plan["batch_rows"], "num_train_epochs": plan["epochs"], "learning_rate": RATES[method],
        "report_to": "none", "save_strategy": "no", "use_cpu": True, "logging_steps": 1000,
    }  # fmt: skip


def _lora() -> Any:
    from peft import LoraConfig

    return LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=TARGETS, task_type="CAUSAL_LM")


def _rows(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**row, "attention_mask": [1] * len(row["input_ids"])} for row in plan["rows"]]


def _train(made: Any, place: Path) -> dict[str, Any]:
    metrics = made.train().metrics
    made.model.save_pretrained(place)
    return {"seconds": metrics["train_runtime"], "steps": made.state.global_step, "peak_mb": peak_mb()}


def peak_mb() -> float:
    """Most memory of this process. Linux keeps the peak of what a process was forked from in getrusage, so its own is read there."""
    status = Path("/proc/self/status")
    if status.is_file():
        return (
            next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
            * 1024
            / 1e6
        )
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


WORKERS = {"zhilu": ours, "trainer": trainer, "trl": trl, "llamafactory": llamafactory}


if __name__ == "__main__":
    sys.exit(main())
