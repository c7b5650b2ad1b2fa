"""Which of a model's layers look back how far, and with which positions: read from ``config.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from zhilu.engine.model.families import Family, unsupported
from zhilu.errors import InputError, UnsupportedError
from zhilu.messages import T

__all__ = ["LayerConfig", "RopeConfig", "read_layers", "read_rope"]

_KINDS = ("default", "linear", "llama3", "factors", "dynamic", "yarn", "longrope")


@dataclass(frozen=True)
class RopeConfig:
    """Rotary positions (RoFormer, arXiv 2104.09864); ``factor`` and what follows belong to scalings."""

    theta: float = 10000.0
    kind: str = "default"  # default | linear | llama3 | factors | yarn
    partial: float = 1.0  # share of a head that is turned; the rest stays as it is
    attention_factor: float = 1.0  # multiplies what is turned
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    truncate: bool = True
    original_max_positions: int = 8192
    factors: tuple[float, ...] = ()  # by which each frequency is divided (GGUF states Llama 3's scaling so)
    long_factors: tuple[float, ...] = ()  # LongRoPE's, for contexts longer than the original one


@dataclass(frozen=True)
class LayerConfig:
    """
    Attributes:
        window: so many tokens a token sees, itself included; None: all before it.
        rope: None where a layer has no positions (NoPE).
        num_experts: 0 for a dense MLP.
    """

    window: int | None
    rope: RopeConfig | None
    num_experts: int = 0


def read_layers(
    raw: Mapping[str, Any], family: Family, count: int, rope: RopeConfig, head_dim: int
) -> tuple[LayerConfig, ...]:
    """One entry a layer.

    Raises:
        UnsupportedError: a kind of layer, or positions, that are not computed here.
        InputError: a list has another length than the model has layers.
    """
    # Only some families know the switch; without one the number alone decides.
    is_on = (
        raw.get("use_sliding_window") if "use_sliding_window" in family.defaults or family.window == "none" else True
    )
    window = raw.get("sliding_window") if is_on else None
    if window is not None and (not isinstance(window, int) or window < 1):
        raise InputError(
            T(
                f"config.json: sliding_window={window!r} is no window",
                f"config.json 中的 sliding_window={window!r} 无效",
            )
        )
    if window and family.window == "none":
        raise unsupported("sliding_window", window)
    is_windowed = _windowed(raw, family, count)
    local = _local_rope(raw, rope, head_dim)
    rotates = _rotates(raw, count)
    return tuple(
        LayerConfig(
            window=window if is_windowed[layer] else None,
            rope=None if not rotates[layer] else local if is_windowed[layer] else rope,
            num_experts=_experts(raw, layer) if family.experts else 0,
        )
        for layer in range(count)
    )


def _windowed(raw: Mapping[str, Any], family: Family, count: int) -> list[bool]:
    """Whether each layer has the window, if there is one."""
    kinds = raw.get("layer_types")
    if kinds and family.window != "every":  # the others do not read it
        strange = sorted({str(kind) for kind in kinds} - {"full_attention", "sliding_attention"})
        if strange or (family.window == "none" and "sliding_attention" in kinds):
            raise unsupported("layer_types", ", ".join(strange) or "sliding_attention")
        return [kind == "sliding_attention" for kind in _of_length(kinds, "layer_types", count)]
    if family.window == "behind":
        return [layer >= raw["max_window_layers"] for layer in range(count)]
    if family.window == "pattern":
        if "no_rope_layer_interval" in raw:  # SmolLM3: a window where there are no positions
            return [not turned for turned in _rotates(raw, count)]
        return [(layer + 1) % raw["sliding_window_pattern"] != 0 for layer in range(count)]
    return [family.window == "every"] * count


def _rotates(raw: Mapping[str, Any], count: int) -> list[bool]:
    """Whether each layer has rotary positions; SmolLM3 leaves them out in every fourth."""
    if raw.get("no_rope_layers"):
        return [bool(turned) for turned in _of_length(raw["no_rope_layers"], "no_rope_layers", count)]
    interval = raw.get("no_rope_layer_interval")
    return [not interval or (layer + 1) % interval != 0 for layer in range(count)]


def _experts(raw: Mapping[str, Any], layer: int) -> int:
    is_dense = layer in (raw.get("mlp_only_layers") or ()) or (layer + 1) % raw["decoder_sparse_step"]
    return 0 if is_dense else int(raw["num_experts"])


def _of_length(values: Any, key: str, count: int) -> list[Any]:
    if not isinstance(values, list) or len(values) < count:
        raise InputError(
            T(
                f"config.json: {key} has no entry for each of the {count} layers",
                f"config.json：{key} 没有为 {count} 层各给出一项",
            )
        )
    return values[:count]


def read_rope(raw: Mapping[str, Any], head_dim: int, given: Mapping[str, Any] | None = None) -> RopeConfig:
    """The positions, in transformers 5's spelling (``rope_parameters``) or the older ones (``rope_theta``,
    ``rope_scaling``); with ``given`` those of one kind of layer.

    Raises:
        UnsupportedError: a scaling that is not computed here.
    """
    if given is None:
        stated = raw.get("rope_parameters") or {}
        # Nested by kind of layer: those of the layers that see everything are the model's.
        stated = stated.get("full_attention") if "full_attention" in stated else stated
        given = {**(raw.get("rope_scaling") or {}), **(stated or {})}
    kind = given.get("rope_type") or given.get("type") or "default"
    if "Phi3ForCausalLM" in (raw.get("architectures") or ()) and kind in ("su", "yarn"):
        kind = "longrope"  # what the first Phi-3 called it
    if kind not in _KINDS:
        known = ", ".join(name for name in _KINDS if name != "factors")
        raise UnsupportedError(
            T(
                f"config.json: RoPE kind {kind!r} is not supported; {known} are",
                f"不支持 config.json 中的 RoPE 类型 {kind!r}；支持 {known}",
            ),
            param="rope_parameters",
            code="unsupported_model",
        )
    longest = int(raw.get("max_position_embeddings", 2048))
    old_length = given.get("original_max_position_embeddings") or raw.get("original_max_position_embeddings") or longest
    if kind == "longrope" and raw.get("original_max_position_embeddings"):
        old_length = raw["original_max_position_embeddings"]
    partial = float(_first(given.get("partial_rotary_factor"), raw.get("partial_rotary_factor"), 1.0))
    rope = RopeConfig(theta=float(_first(given.get("rope_theta"), raw.get("rope_theta"), 10000.0)), partial=partial)
    # Dynamic scaling begins behind max_position_embeddings, which is as far as the engine goes.
    if kind not in ("default", "dynamic"):
        rope = replace(
            rope,
            kind="factors" if kind == "longrope" else kind,
            attention_factor=_attention_factor(kind, given, longest, old_length),
            factor=float(given.get("factor") or longest / old_length),
            low_freq_factor=float(given.get("low_freq_factor", 1.0)),
            high_freq_factor=float(given.get("high_freq_factor", 4.0)),
            beta_fast=float(given.get("beta_fast") or 32.0),
            beta_slow=float(given.get("beta_slow") or 1.0),
            truncate=bool(given.get("truncate", True)),
            original_max_positions=int(old_length),
            factors=tuple(given.get("short_factor" if kind == "longrope" else "factors", ())),
            long_factors=tuple(given.get("long_factor", ())) if kind == "longrope" else (),
        )
    _check_rope(rope, head_dim)
    return rope


def _first(*values: Any) -> Any:
    """The first that is stated."""
    return next(value for value in values if value is not None)


def _local_rope(raw: Mapping[str, Any], rope: RopeConfig, head_dim: int) -> RopeConfig:
    """Of the layers with a window, where a family (Gemma 3) gives them their own."""
    nested = (raw.get("rope_parameters") or {}).get("sliding_attention")
    if nested:
        return read_rope(raw, head_dim, nested)
    if raw.get("rope_local_base_freq"):
        return RopeConfig(theta=float(raw["rope_local_base_freq"]))
    return rope


def _attention_factor(kind: str, given: Mapping[str, Any], longest: int, old_length: int) -> float:
    """YaRN (arXiv 2309.00071, 3.4) and LongRoPE (arXiv 2402.13753) make up for the stretching; the others do not."""
    if kind not in ("yarn", "longrope"):
        return 1.0
    if given.get("attention_factor") is not None:
        return float(given["attention_factor"])
    factor = float(given.get("factor") or longest / old_length)
    if factor <= 1:
        return 1.0
    if kind == "longrope":
        return math.sqrt(1 + math.log(factor) / math.log(old_length))
    if given.get("mscale") and given.get("mscale_all_dim"):
        above, below = (0.1 * float(given[key]) * math.log(factor) + 1 for key in ("mscale", "mscale_all_dim"))
        return above / below
    return 0.1 * math.log(factor) + 1


def _check_rope(rope: RopeConfig, head_dim: int) -> None:
    turned = int(head_dim * rope.partial)
    numbers = (rope.theta, rope.factor, rope.attention_factor, *rope.factors, *rope.long_factors)
    wanted = turned // 2
    lengths = {len(factors) for factors in (rope.factors, rope.long_factors) if factors}
    if not 0 < rope.partial <= 1 or turned % 2 or head_dim % 2:
        problem = T(
            f"{turned} of a head's {head_dim} values would be turned in pairs",
            f"每个头 {head_dim} 个值中要成对旋转 {turned} 个",
        )
    elif lengths - {wanted} or (rope.kind == "factors" and not rope.factors):
        problem = T(
            f"there must be {wanted} factors, not {sorted(lengths)}", f"应有 {wanted} 个系数，而非 {sorted(lengths)}"
        )
    elif not all(math.isfinite(number) and number > 0 for number in numbers):
        problem = T("numbers must be positive and finite", "数值必须为正且有限")
    else:
        return
    raise InputError(
        T(f"config.json: rope_parameters: {problem.en}", f"config.json 中的 rope_parameters 有误：{problem.zh}"),
        param="rope_parameters",
        code="bad_config",
    )
