"""An adapter made one with its base: a model of the store that needs no support for adapters.

The base is dequantised first: a merge into 4-bit blocks rounds the change away (it moved logits by 35 % where this was measured).
What is written is held to base and adapter at every position of the run's own prompts and answers, before and after it is
read back from the disk.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zhilu.engine.model.adapters import refuse_other_base
from zhilu.engine.model.config import read_json
from zhilu.engine.model.gguf import find_gguf
from zhilu.errors import ConflictError, InputError
from zhilu.messages import T
from zhilu.models import ModelStore
from zhilu.tuning.after.folder import save_model
from zhilu.tuning.base_model import load_base, require_trainer
from zhilu.tuning.runs import Merged, RunFolder, RunInfo, RunLibrary

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["TOLERANCE", "Dtype", "compare_merged", "finished", "merge_run", "refuse_judge", "with_adapter"]

Dtype = Literal["float32", "bfloat16", "float16"]
# The largest difference of a logit, over the largest logit: rounding alone stays far below.
TOLERANCE: dict[str, float] = {"float32": 1e-4, "bfloat16": 0.05, "float16": 0.01}
_SMALL = 100_000_000  # parameters up to which four bytes each are no burden


def finished(context: Context, name: str) -> tuple[RunFolder, RunInfo]:
    """A run and its note.

    Raises:
        NotFoundError: no such run. InputError: it has not ended well.
    """
    run = RunLibrary(context).get(name)
    info = run.info()
    if info.outcome is None:
        raise InputError(
            T(f"The run {name!r} is not finished.", f"训练 {name!r} 尚未完成。"),
            param="name",
            fix=f"zhilu tune show {name}",
        )
    return run, info


def refuse_judge(info: RunInfo) -> None:
    """
    Raises:
        InputError: the run is one of rewards: it has no answers that could be merged, exported, served or compared.
    """
    if info.config.objective == "reward":
        raise InputError(
            T(f"{info.name!r} judges answers and gives none: it is the reward of other runs.",
              f"{info.name!r} 评判回答，自身不作答：它是其他训练的奖励。"),
            param="name", code="judge",
            fix=f"zhilu tune run --data CHATS --model {info.config.model} --objective grpo --reward run:{info.name}",
        )  # fmt: skip


def with_adapter(context: Context, info: RunInfo) -> Any:
    """The base in float32 with the run's adapter beside it, ready to answer.

    Raises:
        InputError: the run made a model of its own. ConflictError: the base in the store is another one by now.
    """
    import warnings

    from peft import PeftModel

    out = info.outcome
    refuse_judge(info)
    if out is None or out.adapter is None:
        raise InputError(
            T(f"{info.name!r} has no adapter: it is a model already.", f"{info.name!r} 没有适配器：它本身就是模型。"),
            param="name",
            fix="zhilu model list",
        )
    folder = ModelStore(context).path_of(info.config.model)
    adapter = context.home.adapters / out.adapter
    refuse_other_base(adapter, folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PEFT 0.21 asks Transformers for a name that is about to go
        return PeftModel.from_pretrained(load_base(folder), str(adapter)).eval()


def merge_run(
    context: Context,
    name: str,
    model: str | None = None,
    dtype: Dtype | None = None,
    progress: Callable[[float, T], None] = lambda share, stage: None,
) -> Merged:
    """Merge the adapter of a finished run and keep the result in the store.

    Args:
        model: its name there (default: the run's with ``-merged``).
        dtype: of its weights (default: the base's own; float32 for a small base).

    Raises:
        InputError, NotFoundError, ConflictError: as ``with_adapter``; the name is taken; or the merged model would not be the
            tuned one, with the figure.
    """
    require_trainer()
    run, info = finished(context, name)
    store = ModelStore(context)
    model = model or f"{name}-merged"
    store.refuse_taken(model)
    base = store.path_of(info.config.model)
    progress(0.05, T("Loading base and adapter", "加载基座与适配器"))
    adapted = with_adapter(context, info)
    assert info.outcome is not None
    texts = [[*answer.prompt_ids, *answer.after_ids] for answer in info.outcome.answers]
    wanted = _logits(adapted, texts)
    dtype = dtype or _dtype_of(base, sum(p.numel() for p in adapted.parameters()))
    progress(0.4, T("Merging", "合并"))
    merged = _rounded(adapted.merge_and_unload(safe_merge=True), dtype)
    with tempfile.TemporaryDirectory(dir=context.home.run) as work:
        place = Path(work) / model
        save_model(merged, base, place)
        del adapted, merged
        progress(0.7, T("Reading it back", "重新读取"))
        apart, equal = _apart(wanted, _logits(load_base(place).eval(), texts))
        found = Merged(
            model=model, dtype=dtype, apart=apart, tolerance=TOLERANCE[dtype], equal_tokens=equal,
            positions=sum(map(len, texts)), size_bytes=sum(f.stat().st_size for f in place.iterdir()),
        )  # fmt: skip
        if apart > found.tolerance:
            raise ConflictError(
                T(
                    f"The merged weights are not base and adapter: logits differ by {apart:.2%}, {found.tolerance:.2%} is the most.",
                    f"合并后的权重与“基座 + 适配器”不一致：logits 相差 {apart:.2%}，上限为 {found.tolerance:.2%}。",
                ),
                code="merge_differs",
                fix=f"zhilu tune merge {name} --dtype float32",
            )
        progress(0.9, T("Keeping it", "保存"))
        store.import_folder(place, model)
    shutil.rmtree(store.incoming(model), ignore_errors=True)
    info = run.info()
    run.write(info.model_copy(update={"merged": found}))
    return found


def compare_merged(context: Context, info: RunInfo) -> tuple[float, int, int]:
    """Of the merged model as it lies in the store: how far its logits are from base and adapter, over the largest of them;
    the places that were compared, and those with the same greedy token."""
    assert info.merged is not None and info.outcome is not None
    texts = [[*answer.prompt_ids, *answer.after_ids] for answer in info.outcome.answers]
    wanted = _logits(with_adapter(context, info), texts)
    found = _logits(load_base(ModelStore(context).path_of(info.merged.model)).eval(), texts)
    apart, equal = _apart(wanted, found)
    return apart, sum(map(len, texts)), equal


def _dtype_of(base: Path, num_parameters: int) -> Dtype:
    if num_parameters <= _SMALL:
        return "float32"
    if find_gguf(base) is not None:
        return "float16"
    config = read_json(base / "config.json")
    stated = str(config.get("dtype") or config.get("torch_dtype") or "float32")
    return stated if stated in ("bfloat16", "float16") else "float32"  # type: ignore[return-value]


def _rounded(model: Any, dtype: Dtype) -> Any:
    import torch

    kind = getattr(torch, dtype)
    model.config.dtype = kind
    return model.to(kind)


def _logits(model: Any, texts: Sequence[Sequence[int]]) -> list[Any]:
    """Logits ``(length, vocabulary)`` of each text."""
    import torch

    with torch.no_grad():
        return [model(input_ids=torch.tensor([list(ids)]), use_cache=False).logits[0].float() for ids in texts]


def _apart(wanted: Sequence[Any], found: Sequence[Any]) -> tuple[float, int]:
    """The largest difference over the largest logit, and the number of places with the same greedy token."""
    most = max(float((one - other).abs().max()) for one, other in zip(wanted, found, strict=True))
    scale = max(float(one.abs().max()) for one in wanted)
    equal = sum(int((one.argmax(-1) == other.argmax(-1)).sum()) for one, other in zip(wanted, found, strict=True))
    return most / scale, equal
