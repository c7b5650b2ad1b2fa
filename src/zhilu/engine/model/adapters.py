"""LoRA adapters as PEFT saves them (arXiv 2106.09685): safetensors and ``adapter_config.json``, read without PEFT.

An adapter adds ``scaling * B A x`` to the projections it names. Anything that would make the answer differ from PEFT's, or would
silently do nothing, is refused by name: other kinds of adapter, other tensors, wrong shapes, a B that is all zero.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from zhilu.engine.model.config import ModelConfig, read_json, tensor_shapes
from zhilu.engine.model.layout import head_order, rows_of_heads
from zhilu.engine.model.name_patterns import value_for
from zhilu.engine.model.weights import as_float32, map_file, weights_sha256
from zhilu.errors import ConflictError, InputError, NotFoundError, UnsupportedError
from zhilu.messages import T

__all__ = ["BASE_NOTE", "MODULES", "Adapter", "Delta", "read_adapter", "refuse_other_base", "stack_deltas"]

BASE_NOTE = "zhilu-adapter.json"  # beside an adapter of ours: the run it came from, and the hash of its base

# The projections that may carry a delta, by the last part of their names.
MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

# Keys of adapter_config.json that change nothing once the tensors are read: how it was trained, where it came from.
_HARMLESS = {
    *("auto_mapping", "base_model_name_or_path", "exclude_modules", "inference_mode", "layers_pattern"),
    *("layers_to_transform", "lora_dropout", "megatron_core", "peft_version", "qalora_group_size", "revision"),
    *("runtime_config", "target_modules", "task_type", "ensure_weight_tying", "loftq_config", "eva_config"),
    *("corda_config", "lora_ga_config"),  # of initial weights only; see _INITIAL
}
_READ = {"peft_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "bias", "init_lora_weights"}
# These begin by changing the base model's weights, so that the adapter alone is not the whole change.
_INITIAL = ("pissa", "olora", "corda", "loftq", "lora_ga")

_NAME = re.compile(r"^(?:base_model\.model\.)?(?P<module>.+?)\.lora_(?P<half>[AB])(?:\.default)?\.weight$")


class Delta(NamedTuple):
    """What one adapter adds to one projection: ``x @ a @ b``."""

    a: npt.NDArray[np.float32]  # (in, rank)
    b: npt.NDArray[np.float32]  # (rank, out), the scaling multiplied in


@dataclass(frozen=True)
class Adapter:
    name: str
    path: Path
    rank: int  # the largest of its modules
    deltas: Mapping[str, Delta]  # by projection, such as ``model.layers.0.self_attn.q_proj``

    @property
    def kinds(self) -> frozenset[str]:
        """Which of ``MODULES`` it changes in any layer."""
        return frozenset(module.rpartition(".")[2] for module in self.deltas)


def read_adapter(name: str, folder: Path, config: ModelConfig, base: Path | None = None) -> Adapter:
    """Read a PEFT folder for the model of ``config``.

    Args:
        base: the model's files: an adapter that notes the hash of the weights it was trained on is held to it.

    Raises:
        ConflictError: it was trained on other weights.
        NotFoundError: no adapter_config.json or no safetensors file.
        UnsupportedError: an option that our arithmetic does not have.
        InputError: the tensors do not fit the model, or would change nothing.
    """
    if base is not None:
        refuse_other_base(folder, base)
    raw = read_json(folder / "adapter_config.json")
    _refuse_other_arithmetic(folder, raw)
    shapes = {
        key.removesuffix(".weight"): shape
        for key, shape in tensor_shapes(config)
        if key.removesuffix(".weight").endswith(MODULES) and ".experts." not in key
    }
    order = head_order(config)
    halves = _read_halves(folder, shapes)
    deltas = {}
    for module, pair in halves.items():
        a, b = as_float32(pair["A"]), as_float32(pair["B"])
        rank, scaling = _rank_and_scaling(folder, module, raw)
        if rank != len(a):
            raise _misfit(
                folder,
                T(
                    f"{module} has rank {len(a)}, but adapter_config.json says {rank}",
                    f"{module} 的秩为 {len(a)}，而 adapter_config.json 中为 {rank}",
                ),
            )
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            raise _misfit(folder, T(f"{module} holds NaN or infinity", f"{module} 中含有 NaN 或无穷大"))
        if order is not None and module.endswith(("q_proj", "k_proj")):
            b = b[rows_of_heads(order, len(b))]
        if a.any() and b.any():
            deltas[module] = Delta(np.ascontiguousarray(a.T), np.ascontiguousarray(b.T) * np.float32(scaling))
    if not any(delta.b.any() for delta in deltas.values()):
        raise InputError(
            T(
                f"the adapter in {str(folder)!r} would change nothing: every B (or A) is zero, as before training",
                f"{str(folder)!r} 中的适配器不会带来任何改变：所有 B（或 A）都是零，与训练前一样",
            ),
            code="bad_adapter",
        )
    return Adapter(name, folder, max(len(delta.b) for delta in deltas.values()), deltas)


def refuse_other_base(folder: Path, base: Path) -> None:
    """An adapter on other weights than its own answers, and wrongly; shapes say nothing of that.

    Raises:
        ConflictError: the note beside the adapter names other weights than those of ``base``.
    """
    note = folder / BASE_NOTE
    if not note.is_file():
        return
    said = read_json(note)
    wanted = said.get("base_sha256")
    if not isinstance(wanted, str) or wanted == weights_sha256(base):
        return
    raise ConflictError(
        T(
            f"the adapter in {str(folder)!r} was trained on {said.get('base')!r} with the weights {wanted[:12]}…; those of "
            f"{base.name!r} are others",
            f"{str(folder)!r} 中的适配器是在 {said.get('base')!r}（权重 {wanted[:12]}…）上训练的；{base.name!r} 的权重与之不同",
        ),
        code="other_base",
        fix="zhilu model list",
    )


def _refuse_other_arithmetic(folder: Path, raw: Mapping[str, Any]) -> None:
    initial = raw.get("init_lora_weights")
    refused = {key: value for key, value in raw.items() if key not in _HARMLESS | _READ and value}
    if raw.get("peft_type") != "LORA":
        refused["peft_type"] = raw.get("peft_type")
    if raw.get("bias") not in (None, "none"):
        refused["bias"] = raw["bias"]
    if isinstance(initial, str) and initial.startswith(_INITIAL):
        refused["init_lora_weights"] = initial
    if refused:
        shown = ", ".join(f"{key}={value!r}" for key, value in refused.items())
        raise UnsupportedError(
            T(
                f"the adapter in {str(folder)!r} cannot be served by the embedded engine: {shown}",
                f"内置引擎无法加载 {str(folder)!r} 中的适配器：{shown}",
            ),
            param=next(iter(refused)),
            code="unsupported_adapter",
        )


def _read_halves(folder: Path, shapes: Mapping[str, tuple[int, ...]]) -> Mapping[str, Mapping[str, npt.NDArray[Any]]]:
    """Module -> its A ``(rank, in)`` and B ``(out, rank)``, all of them checked; what is wrong is told at once."""
    path = folder / "adapter_model.safetensors"
    if not path.is_file():
        pickled = (folder / "adapter_model.bin").is_file()
        raise NotFoundError(
            T(
                f"no adapter_model.safetensors in {str(folder)!r}"
                + ("; adapter_model.bin is a pickle, which can run code and is refused" if pickled else ""),
                f"{str(folder)!r} 中没有 adapter_model.safetensors"
                + ("；adapter_model.bin 是 pickle 文件，可能执行代码，因此拒绝加载" if pickled else ""),
            )
        )
    halves: dict[str, dict[str, npt.NDArray[Any]]] = {}
    strange: list[str] = []
    for key, tensor in map_file(path).items():
        match = _NAME.match(key)
        if match and match["module"] in shapes and tensor.ndim == 2:
            halves.setdefault(match["module"], {})[match["half"]] = tensor
        else:
            strange.append(key)
    if strange:
        shown = ", ".join(strange[:3]) + (f" … ({len(strange)})" if len(strange) > 3 else "")
        known = ", ".join(MODULES)
        raise _misfit(
            folder,
            T(
                f"it changes {shown}; deltas can be added to {known} of this model's layers",
                f"它修改的是 {shown}；只能为该模型各层的 {known} 添加增量",
            ),
        )
    for module, pair in halves.items():
        size_out, size_in = shapes[module]
        if set(pair) != {"A", "B"}:
            half = "B" if "A" in pair else "A"
            raise _misfit(folder, T(f"{module} has no lora_{half}", f"{module} 缺少 lora_{half}"))
        a, b = pair["A"].shape, pair["B"].shape
        if a != (b[1], size_in) or b != (size_out, a[0]):
            wanted = f"(rank, {size_in}), ({size_out}, rank)"
            raise _misfit(
                folder,
                T(
                    f"{module}: A and B have shapes {a}, {b}, not {wanted}",
                    f"{module}：A、B 的形状是 {a}、{b}，而非 {wanted}",
                ),
            )
    if not halves:
        raise _misfit(folder, T("it holds no lora_A and lora_B", "其中没有 lora_A 和 lora_B"))
    return halves


def _misfit(folder: Path, what: T) -> InputError:
    return InputError(
        T(
            f"the adapter in {str(folder)!r} does not fit this model: {what.en}",
            f"{str(folder)!r} 中的适配器与该模型不符：{what.zh}",
        ),
        code="bad_adapter",
    )


def _rank_and_scaling(folder: Path, module: str, raw: Mapping[str, Any]) -> tuple[int, float]:
    """As PEFT's ``LoraModel``: the patterns are regular expressions for the end of the module's name."""

    try:
        rank = int(value_for(module, raw.get("rank_pattern") or {}, raw.get("r", 8)))
        alpha = float(value_for(module, raw.get("alpha_pattern") or {}, raw.get("lora_alpha", 8)))
        return rank, alpha / (math.sqrt(rank) if raw.get("use_rslora") else rank)
    except (ValueError, TypeError, AttributeError, ArithmeticError) as error:
        said = f"r, lora_alpha, rank_pattern, alpha_pattern: {error}"
        raise _misfit(folder, T(said, said)) from error


def stack_deltas(
    adapters: Iterable[Adapter], modules: Mapping[str, tuple[int, int]], rank: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The deltas of n adapters for k projections of the same input, as two matrices for the whole batch.

    Args:
        modules: name -> ``(in, out)``; ``in`` is the same in all of them.
        rank: of the two matrices; smaller ones are padded with zeros.

    Returns:
        ``a (in, k * n * rank)`` and ``b (k * n * rank, sum of out)``, which is zero but for the blocks of the diagonal.
        ``(x @ a * mask) @ b`` then is every token's own delta in every projection, side by side, if ``mask`` is one in the
        columns of its adapter and zero in the others: two products, whoever is in the batch.
    """
    chosen = list(adapters)
    size_in = next(iter(modules.values()))[0]
    a = np.zeros((size_in, len(modules), len(chosen), rank), np.float32)
    b = np.zeros((len(modules), len(chosen), rank, sum(out for _, out in modules.values())), np.float32)
    start = 0
    for number, (module, (_, size_out)) in enumerate(modules.items()):
        for place, adapter in enumerate(chosen):
            delta = adapter.deltas.get(module)
            if delta is not None:
                a[:, number, place, : len(delta.b)] = delta.a
                b[number, place, : len(delta.b), start : start + size_out] = delta.b
        start += size_out
    return a.reshape(size_in, -1), b.reshape(-1, start)
