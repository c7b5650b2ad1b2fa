"""Each family's tensors in the engine's own layout, which is Llama's: names, separate projections, halves that turn together.

Both runners see only this layout. What is brought into it:

- the language model inside one that also sees loses its prefix, and the other parts are not read;
- norms get the names that say where they stand (``families.py``), and Gemma's ``1 + weight`` is added up;
- matrices that hold several projections are cut (views, no copies);
- the rows of q and k are ordered so that pair i of a head is (i, i + dim/2), what is not turned behind what is: a sum of
  products does not change with the order of its terms, so queries and keys still meet as before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from zhilu.engine.model.bfloat16 import as_float32

if TYPE_CHECKING:
    from zhilu.engine.model.config import ModelConfig

__all__ = ["head_order", "in_our_layout", "rows_of_heads"]

Tensors = dict[str, npt.NDArray[Any]]

# Tensors of models that also see, which the language model does not need.
_OTHER_PARTS = ("vision_tower", "multi_modal_projector", "model.vision_tower", "model.multi_modal_projector")


def in_our_layout(tensors: Mapping[str, npt.NDArray[Any]], config: ModelConfig) -> Tensors:
    """The stored tensors by our names. Names that nobody knows stay, for the caller to complain about."""
    family = config.family
    found: Tensors = {}
    for name, tensor in tensors.items():
        if family.text_of and name.startswith(_OTHER_PARTS):
            continue
        for part, rows in _parts(_renamed(name, config), tensor, config):
            found[part] = rows
    for name in found:
        if family.norm_plus_one and name.endswith("norm.weight"):
            found[name] = np.float32(1) + as_float32(found[name])
    order = head_order(config)
    if order is not None:
        for name in found:
            if ".self_attn.q_" in name or ".self_attn.k_" in name:
                found[name] = found[name][rows_of_heads(order, len(found[name]))]
    return found


def head_order(config: ModelConfig) -> npt.NDArray[np.int64] | None:
    """``(head_dim,)``: the stored place of each value of a head; None where they lie as the engine wants them."""
    dim = config.head_dim
    turned = int(dim * config.rope.partial)
    if turned == dim and not config.family.pairs:
        return None
    places = np.arange(dim)
    first, second = (places[0:turned:2], places[1:turned:2]) if config.family.pairs else np.split(places[:turned], 2)
    still_first, still_second = np.split(places[turned:], 2)
    return np.concatenate([first, still_first, second, still_second])


def rows_of_heads(order: npt.NDArray[np.int64], num_rows: int) -> npt.NDArray[np.int64]:
    """The same order in each head of a matrix of ``num_rows`` rows."""
    dim = len(order)
    if num_rows % dim:
        return np.arange(num_rows)  # of a wrong shape, which the caller tells of
    return (np.arange(num_rows // dim)[:, None] * dim + order).reshape(-1)


def _renamed(name: str, config: ModelConfig) -> str:
    family = config.family
    if family.text_of:
        prefix = next((prefix for prefix in family.text_of if name.startswith(prefix)), None)
        if prefix:
            rest = name.removeprefix(prefix)
            name = rest if rest.startswith(("lm_head.", "model.")) else f"model.{rest}"
    stem, _, kind = name.rpartition(".")
    place, _, norm = stem.rpartition(".")
    return f"{place}.{family.norms[norm]}.{kind}" if norm in family.norms else name


def _parts(name: str, tensor: npt.NDArray[Any], config: ModelConfig) -> list[tuple[str, npt.NDArray[Any]]]:
    """A tensor as the projections that it holds."""
    stem, _, kind = name.rpartition(".")
    place, _, module = stem.rpartition(".")
    if module not in config.family.fused:
        return [(name, tensor)]
    heads, kv = config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim
    sizes = (
        {"q_proj": heads, "k_proj": kv, "v_proj": kv}
        if module == "qkv_proj"
        else {"gate_proj": config.intermediate_size, "up_proj": config.intermediate_size}
    )
    if len(tensor) != sum(sizes.values()):
        return [(name, tensor)]  # of a wrong shape: it is told of as unexpected, its parts as missing
    ends = np.cumsum(list(sizes.values()))
    return [
        (f"{place}.{part}.{kind}", rows) for part, rows in zip(sizes, np.split(tensor, ends[:-1].tolist()), strict=True)
    ]
