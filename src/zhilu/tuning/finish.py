"""The end of a run: the best weights, written whole or not at all, and what base and tuned model say.

An adapter that was trained on a base in 4 bits is served on the whole one. So the whole one is asked: the answers and the held-out
figure of such a run are those that people will meet, with the rounded base's figures beside them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zhilu.engine.model.adapters import BASE_NOTE
from zhilu.engine.model.weights import weights_sha256
from zhilu.home import file_lock
from zhilu.jobs import JobContext
from zhilu.messages import T
from zhilu.models import ModelStore
from zhilu.tuning.base_model import TARGETS, count_parameters, load_base
from zhilu.tuning.config import Chosen
from zhilu.tuning.data.preflight import Preflight, Rendered
from zhilu.tuning.four_bit import base_weights, give_back
from zhilu.tuning.recipes.units import Unit
from zhilu.tuning.runs import TRAINED_REWARD, Answer, Outcome, RunFolder, RunInfo

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["keep_first_answers", "keep_outcome", "peak_mb", "result_of"]

_ANSWERS, _ANSWER_TOKENS = 6, 96
_WHOLE = 4.4  # bytes a parameter of a base in float32 that answers


def keep_first_answers(run: RunFolder, model: Any, held_out: Sequence[Unit], preflight: Preflight) -> None:
    """What the base answers, kept before anything is trained."""
    said = [preflight.tokenizer.decode(ids) for ids in _asked(model, held_out, preflight)]
    (run.path / "before.json").write_text(json.dumps(said, ensure_ascii=False), encoding="utf-8")


def keep_outcome(
    job: JobContext, run: RunFolder, training: Any, folder: Path, num_rows: int, held_out: Sequence[Unit],
    preflight: Preflight, chosen: Chosen, stopped_early: bool,
) -> dict[str, Any]:  # fmt: skip
    """Take the best weights, ask base and tuned model, write the adapter (or the model) and the note."""
    from safetensors.torch import load_file

    info = run.info()
    job.progress(0.96, T("Saving", "保存"))
    best = load_file(run.path / "best.safetensors")
    training.load_weights(best)
    seen = {values["step"]: values for values in run.measured() if "held_out" in values}
    first_seen, best_seen = seen[0], seen[training.best_step]
    out = Outcome(
        adapter=None, model=None, base_sha256=weights_sha256(folder), rows=num_rows, held_out_rows=len(held_out),
        measures={key: (first_seen[key], best_seen[key]) for key in first_seen if key not in ("step", "held_out")},
        held_out_before=first_seen["held_out"], held_out_after=training.best, best_step=training.best_step,
        stopped_early=stopped_early, steps=training.steps, tokens=training.tokens,
        tokens_per_second=training.tokens / training.seconds, peak_mb=training.peak_mb or peak_mb(),
        trained_parameters=sum(p.numel() for p in training.trained), answers=[],
    )  # fmt: skip
    model = training.model
    if info.config.method == "qlora":
        model = _as_served(job, training, best, folder, held_out, preflight, chosen, out)
        with model.disable_adapter():
            before = [preflight.tokenizer.decode(ids) for ids in _asked(model, held_out, preflight)]
    else:
        before = json.loads((run.path / "before.json").read_text(encoding="utf-8"))
    if info.config.objective == "reward":  # it judges answers and gives none
        shutil.copyfile(run.path / "best.safetensors", run.path / TRAINED_REWARD)
        return _noted(run, info, out)
    after = _asked(model, held_out, preflight)
    out.answers = [_answer(*row, preflight) for row in zip(held_out, before, after, strict=False)]
    if info.config.method == "full":
        out.model = info.name
        _keep_model(job, info, model, folder)
    else:
        out.adapter = info.name
        _keep_adapter(job.context, info, model, out.base_sha256)
    return _noted(run, info, out)


def _noted(run: RunFolder, info: RunInfo, out: Outcome) -> dict[str, Any]:
    info.outcome = out
    run.write(info)
    for name in ("checkpoint.pt", "best.safetensors", "before.json"):
        (run.path / name).unlink(missing_ok=True)
    return result_of(info)


def _as_served(
    job: JobContext, training: Any, best: dict[str, Any], folder: Path, held_out: Sequence[Unit], preflight: Preflight,
    chosen: Chosen, out: Outcome,
) -> Any:  # fmt: skip
    """The whole base with the trained adapter, its held-out figures noted in ``out``; where it does not fit into memory, the
    rounded base that it was trained on."""
    import psutil

    from zhilu.tuning.recipes import make_run
    from zhilu.tuning.recipes.sft import add_lora

    model, config, rounded = training.model, training.config, base_weights(training.model)
    out.weights = rounded
    needed = count_parameters(folder) * _WHOLE - rounded.quantized_bytes - rounded.other_bytes
    free = psutil.virtual_memory().available
    if needed > free:
        out.answered_on = "rounded"
        job.log(f"the whole base takes {needed / 1e9:.1f} GB more, {free / 1e9:.1f} GB are free: asked in 4 bits")
        return model
    job.progress(0.97, T("Asking the base as it is served", "询问部署时的基座"))
    give_back(model)
    model = add_lora(load_base(folder), config, chosen, TARGETS)
    again = make_run(model, [], held_out, config, chosen, training.path, preflight, getattr(training, "reward", None))
    with model.disable_adapter():
        base_loss = again.measure(held_out, job.check)["held_out"]
    again.load_weights(best)
    out.served = (base_loss, again.measure(held_out, job.check)["held_out"])
    return model


def _asked(model: Any, held_out: Sequence[Unit], preflight: Preflight) -> list[list[int]]:
    """Greedy answers to the first held-out prompts, their end included."""
    from zhilu.tuning.recipes.sft import greedy

    rows = [unit.rows[0] for unit in held_out[:_ANSWERS]]
    return [greedy(model, row.ids[: _prompt_length(row)], preflight.ends, _ANSWER_TOKENS) for row in rows]


def _answer(unit: Unit, before: str, ids: list[int], preflight: Preflight) -> Answer:
    row, decode = unit.rows[0], preflight.tokenizer.decode
    first = _prompt_length(row)
    ended = ids[-1] in preflight.ends
    ids = ids[:-1] if ended else ids
    wanted = decode([id for id, carries in zip(row.ids, row.learned, strict=True) if carries])
    prompt = decode(row.ids[:first], skip_special_tokens=False)
    return Answer(
        prompt=prompt, wanted=wanted, before=before, after=decode(ids), prompt_ids=list(row.ids[:first]), after_ids=ids,
        ended=ended,
    )  # fmt: skip


def result_of(info: RunInfo) -> dict[str, Any]:
    out = info.outcome
    assert out is not None
    held_out = [out.held_out_before, out.held_out_after]
    return {"run": info.name, "adapter": out.adapter, "model": out.model, "held_out": held_out}


def _prompt_length(row: Rendered) -> int:
    """Tokens of a row before what is learned; of plain text, which is learned from its first token on, a third."""
    return row.learned.index(True) or max(1, len(row.ids) // 3)


def _keep_adapter(context: Context, info: RunInfo, model: Any, sha256: str) -> None:
    place = context.home.adapters / info.name
    with file_lock(context.home.run / f"adapter-{info.name}.lock"):
        incoming = context.home.adapters / f".incoming-{info.name}"
        shutil.rmtree(incoming, ignore_errors=True)
        # Asked whether embeddings were trained, PEFT would look the base up on a hub by its name in the store.
        model.save_pretrained(incoming, safe_serialization=True, save_embedding_layers=False)
        (incoming / "README.md").unlink(missing_ok=True)
        note = {"run": info.name, "base": info.config.model, "base_sha256": sha256, "data": info.config.data}
        (incoming / BASE_NOTE).write_text(json.dumps(note, ensure_ascii=False, indent=1), encoding="utf-8")
        shutil.rmtree(place, ignore_errors=True)  # of an attempt that was killed after this and before its note
        incoming.rename(place)


def _keep_model(job: JobContext, info: RunInfo, model: Any, folder: Path) -> None:
    """A fully tuned model joins the store, with the base's tokenizer and template."""
    import tempfile

    from zhilu.tuning.after.folder import save_model

    with tempfile.TemporaryDirectory(dir=job.context.home.run) as work:
        save_model(model, folder, Path(work) / info.name)
        ModelStore(job.context).import_folder(Path(work) / info.name, info.name)


def peak_mb() -> int:
    """Most memory that this process has had so far."""
    import sys

    import psutil

    if sys.platform == "win32":
        return round(psutil.Process().memory_info().peak_wset / 1e6)
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage would count what the process was forked from (Linux keeps that through exec)
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
        return round(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3))
