"""Safetensors in, tensors out; every disagreement with ``config.json`` is reported at once.

Pickled checkpoints (``pytorch_model.bin``) are refused: unpickling runs code.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zhilu.engine.config import ModelConfig, read_json, tensor_shapes
from zhilu.errors import InputError, NotFoundError
from zhilu.messages import T

__all__ = ["load_tensors", "weight_files"]

# Derived values that old checkpoints store and nobody reads back.
_DERIVED = (".rotary_emb.inv_freq",)


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model, one or several; NotFoundError if there are none."""
    single = folder / "model.safetensors"
    if single.is_file():
        return [single]
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        names = sorted(set(read_json(index).get("weight_map", {}).values()))
        absent = [name for name in names if Path(name).name != name or not (folder / name).is_file()]
        if absent or not names:
            raise NotFoundError(
                T(
                    f"{str(index)!r} names files that are not there: {absent}",
                    f"{str(index)!r} 中列出的文件不存在：{absent}",
                )
            )
        return [folder / name for name in names]
    pickled = sorted(path.name for path in folder.glob("*.bin"))
    raise NotFoundError(
        T(
            f"no safetensors weights in {str(folder)!r}"
            + (f"; {pickled[0]!r} is a pickle, which can run code and is refused" if pickled else ""),
            f"{str(folder)!r} 中没有 safetensors 权重"
            + (f"；{pickled[0]!r} 是 pickle 文件，可能执行代码，因此拒绝加载" if pickled else ""),
        )
    )


def load_tensors(folder: Path, config: ModelConfig, framework: str = "pt", device: str = "cpu") -> dict[str, Any]:
    """All tensors of the model by Hugging Face name, on ``device``, in their stored dtype.

    Args:
        framework: ``pt`` for torch tensors, ``np`` for NumPy arrays (which know no bfloat16).

    Raises:
        InputError: tensors are missing, unexpected or of another shape; the message lists them.
    """
    from safetensors import SafetensorError, safe_open

    tensors: dict[str, Any] = {}
    path = folder
    try:
        for path in weight_files(folder):
            with safe_open(path, framework=framework, device=device) as file:
                tensors.update({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 (no mapping)
    except SafetensorError as error:
        raise InputError(
            T(f"{str(path)!r} is damaged: {error}", f"{str(path)!r} 已损坏：{error}"), code="bad_weights"
        ) from None
    return _checked(tensors, config)


def _checked(tensors: Mapping[str, Any], config: ModelConfig) -> dict[str, Any]:
    expected = dict(tensor_shapes(config))
    # A tied checkpoint may store its output projection a second time; transformers ignores it as well.
    surplus = {"lm_head.weight"} if config.tied else set()
    missing = [name for name in expected if name not in tensors]
    unexpected = [n for n in tensors if n not in expected and n not in surplus and not n.endswith(_DERIVED)]
    misshapen = [
        f"{name} {tuple(tensors[name].shape)} != {shape}"
        for name, shape in expected.items()
        if name in tensors and tuple(tensors[name].shape) != shape
    ]
    complaints = [
        (T("missing", "缺少"), missing),
        (T("unexpected", "多出"), unexpected),
        (T("wrong shape", "形状不符"), misshapen),
    ]
    if any(names for _, names in complaints):
        en, zh = ("; ".join(f"{what[lang]}: {_some(names)}" for what, names in complaints if names) for lang in (0, 1))
        raise InputError(
            T(f"the weights do not fit config.json: {en}", f"权重与 config.json 不符：{zh}"), code="bad_weights"
        )
    return {name: tensors[name] for name in expected}


def _some(names: list[str], limit: int = 4) -> str:
    return ", ".join(names[:limit]) + (f" … ({len(names)})" if len(names) > limit else "")
