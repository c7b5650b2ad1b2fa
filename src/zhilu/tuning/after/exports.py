"""A tuned model as files for other programs: safetensors, GGUF, or a folder that ``ollama create`` takes.

A GGUF file is only handed out once llama.cpp has loaded it and begun its answers with the tokens of the merged model.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from zhilu.engine.convert_gguf import CannotConvert, convert
from zhilu.engine.references.llamacpp import greedy_tokens
from zhilu.errors import ConflictError, UnsupportedError
from zhilu.messages import T
from zhilu.models import ModelStore
from zhilu.tuning.after.merge import finished, merge_run
from zhilu.tuning.after.ollama import modelfile
from zhilu.tuning.base_model import load_base, require_trainer
from zhilu.tuning.runs import Exported, RunInfo

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["ExportFormat", "Precision", "export_run"]

ExportFormat = Literal["safetensors", "gguf", "ollama"]
Precision = Literal["f32", "f16", "bf16", "q8_0"]
_TOKENS = 24
# Logits by which the token that another arithmetic takes may lie below the best one, over the largest logit.
_NEAR: dict[str, float] = {"f32": 0.005, "f16": 0.01, "bf16": 0.05, "q8_0": 0.05}


def export_run(
    context: Context,
    name: str,
    format: ExportFormat,
    precision: Precision = "f16",
    to: Path | None = None,
    progress: Callable[[float, T], None] = lambda share, stage: None,
) -> Exported:
    """Write the tuned model of a finished run; an adapter is merged first, where that has not been done.

    Args:
        precision: of the matrices of a GGUF file.
        to: an empty or new folder (default: in the run's own).

    Raises:
        NotFoundError, InputError, ConflictError: as ``merge_run``; the folder holds something.
        UnsupportedError: no GGUF can be written of this model. UpstreamError: llama.cpp does not load it.
    """
    require_trainer()
    run, info = finished(context, name)
    place = to if to is not None else run.path / "exports" / format
    if to is not None and to.exists() and any(to.iterdir()):
        raise ConflictError(
            T(f"{str(to)!r} is not empty.", f"{str(to)!r} 不是空文件夹。"),
            param="to",
            fix=f"zhilu tune export {name} --format {format} --to {to}-{name}",
        )
    model = _tuned(context, name, info, progress)
    source = ModelStore(context).path_of(model)
    part = place.with_name(f".{place.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    said: dict[str, object] = {}
    progress(0.7, T("Writing", "写出"))
    if format == "safetensors":
        for file in ModelStore(context).files(model):
            shutil.copyfile(file, part / file.name)
    else:
        file = part / f"{name}-{precision}.gguf"
        _write_gguf(source, file, precision)
        progress(0.85, T("llama.cpp reads it", "由 llama.cpp 读取"))
        said["tokens"], said["equal_tokens"] = prove_gguf(source, file, info, precision)
        if format == "ollama":
            text, templated = modelfile(source, file.name)
            (part / "Modelfile").write_text(text, encoding="utf-8")
            said["templated"] = templated
    shutil.rmtree(place, ignore_errors=True)
    part.rename(place)
    size = sum(file.stat().st_size for file in place.iterdir())
    done = Exported(format=format, folder=str(place), size_bytes=size, precision=precision, **said)
    info = run.info()
    others = [other for other in info.exports if other.folder != done.folder]
    run.write(info.model_copy(update={"exports": [*others, done]}))
    return done


def _tuned(context: Context, name: str, info: RunInfo, progress: Callable[[float, T], None]) -> str:
    """The name in the store of the model that the run made, merged where it made an adapter."""
    assert info.outcome is not None
    if info.outcome.model is not None:
        return info.outcome.model
    if info.merged is not None and (context.home.models / info.merged.model).is_dir():
        return info.merged.model
    return merge_run(context, name, progress=lambda share, stage: progress(0.65 * share, stage)).model


def _write_gguf(folder: Path, file: Path, precision: Precision) -> None:
    try:
        convert(folder, file, precision)
    except CannotConvert as error:
        raise UnsupportedError(
            T(f"No GGUF file of {folder.name!r}: {error}", f"无法写出 {folder.name!r} 的 GGUF 文件：{error}"),
            param="format",
            fix="zhilu tune export NAME --format safetensors",
        ) from None


def prove_gguf(folder: Path, file: Path, info: RunInfo, precision: str) -> tuple[int, int]:
    """Tokens of llama.cpp's greedy answers to the run's prompts, and how many of them are the merged model's.

    Where the two part ways, llama.cpp's token must have been nearly as good to the merged model: rounding does that, another
    template, tokenizer or rotation does not.

    Raises:
        ConflictError: it answers otherwise. UpstreamError: it does not load the file.
    """
    import torch

    assert info.outcome is not None
    prompts = [answer.prompt_ids for answer in info.outcome.answers]
    theirs = greedy_tokens(file, prompts, _TOKENS)
    model = load_base(folder).eval()
    total = equal = 0
    for prompt, tokens in zip(prompts, theirs, strict=True):
        if not tokens:
            continue
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([[*prompt, *tokens]]), use_cache=False).logits[0, len(prompt) - 1 :]
        same = (logits[:-1].argmax(-1) == torch.tensor(tokens)).tolist()
        total += len(tokens)
        at = same.index(False) if False in same else len(tokens)
        equal += at
        if at < len(tokens):
            behind = float(logits[at].max() - logits[at, tokens[at]])
            if behind > _NEAR[precision] * float(logits[at].abs().max()):
                raise ConflictError(
                    T(
                        f"llama.cpp answers otherwise than the merged model at token {at + 1} (logit {behind:.2f} below the best).",
                        f"llama.cpp 的回答在第 {at + 1} 个 token 处与合并后的模型不同（logit 比最优低 {behind:.2f}）。",
                    ),
                    code="gguf_differs",
                    fix="zhilu tune export NAME --format gguf --precision f32",
                )
    return total, equal
