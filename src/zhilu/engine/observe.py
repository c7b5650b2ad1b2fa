"""A prompt through the model in plain NumPy, keeping what it saw on the way: attention maps, hidden states, logits.

The runners are made to be fast and forget; this one is made to be looked at. It computes in float32 from the same files as
the runners do, without PyTorch, and equals transformers' eager attention to 1e-5 (tests/parity). A small model stays in memory;
of a large one each block is read, used and dropped.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zhilu.engine.model.config import ModelConfig, read_config, tensor_shapes
from zhilu.engine.model.weights import map_tensors, take_rows
from zhilu.engine.runner.rope import inverse_frequencies

__all__ = ["Block", "Observer", "Seen", "attention_weights", "causal_mask", "rms_norm", "rotate", "scale_of", "silu"]

Array = npt.NDArray[np.float32]

_KEEP_BYTES = 256 << 20  # float32 weights of a model that stays in memory
_ROWS = 8192  # of the unembedding that are float32 at once


@dataclass
class Block:
    """What one block of the model computed, in the order in which it did. ``n`` tokens."""

    x: Array  # (n, hidden): what came in
    normed: Array  # (n, hidden)
    q_raw: Array  # (n, heads, head_dim), before norm and rotation
    k_raw: Array  # (n, kv_heads, head_dim)
    q: Array  # after both
    k: Array
    v: Array  # (n, kv_heads, head_dim)
    weights: Array  # (heads, n, n): row = the token that looks, column = what it looks at
    context: Array  # (n, heads * head_dim)
    middle: Array  # (n, hidden): after attention was added
    normed_middle: Array
    gate: Array  # (n, intermediate)
    up: Array
    out: Array  # (n, hidden)


@dataclass
class Seen:
    """One prompt's way through the model.

    Attributes:
        hidden: ``(n, hidden)`` for the embedding and after each block, before the final norm.
        attention: ``(heads, n, n)`` by the number of the block, for the blocks that were asked for.
        blocks: everything of every block, where that was asked for.
    """

    ids: list[int]
    hidden: list[Array] = field(default_factory=list)
    attention: dict[int, Array] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)


class Observer:
    """
    Args:
        folder: of the model, safetensors or GGUF.

    Raises:
        UnsupportedError, InputError, NotFoundError: as ``read_config`` and ``map_tensors``.
    """

    def __init__(self, folder: Path) -> None:
        self.config: ModelConfig = read_config(folder)
        self._tensors = map_tensors(folder, self.config)
        size = sum(int(np.prod(shape)) for _, shape in tensor_shapes(self.config))
        self._kept: dict[str, Array] | None = {} if 4 * size <= _KEEP_BYTES else None

    @cached_property
    def frequencies(self) -> Array:
        """``(head_dim / 2,)`` radians a position, fastest first."""
        return inverse_frequencies(self.config.rope, self.config.head_dim)

    def weight(self, name: str) -> Array:
        """A tensor by its Hugging Face name, whole, in float32; not to be written to."""
        if self._kept is not None and name in self._kept:
            return self._kept[name]
        array = take_rows(self._tensors[name], slice(None))
        if self._kept is not None:
            self._kept[name] = array
        return array

    def has(self, name: str) -> bool:
        """Whether the model has a tensor of that name; not every family has biases."""
        return name in self._tensors

    def weights(self) -> dict[str, Array]:
        """A copy of all of them, for who wants to change some."""
        return {name: np.array(self.weight(name)) for name in self._tensors}

    def embed(self, ids: Sequence[int]) -> Array:
        """``(n, hidden)``"""
        name = "model.embed_tokens.weight"
        if self._kept is not None:
            return self.weight(name)[list(ids)]
        return take_rows(self._tensors[name], list(ids))

    def observe(
        self,
        ids: Sequence[int],
        layers: Collection[int] = (),
        *,
        positions: Sequence[int] | None = None,
        everything: bool = False,
    ) -> Seen:
        """Run a prompt.

        Args:
            ids: of its tokens, one at least.
            layers: the blocks whose attention maps are kept, counted from 0.
            positions: of the tokens; by default 0, 1, 2 …
            everything: keep all that the blocks computed (what a step of training needs).
        """
        x = self.embed(ids)
        angles = self.angles(positions if positions is not None else range(len(ids)))
        seen = Seen(list(ids), [x])
        for layer in range(self.config.num_layers):
            block = self.block(layer, x, angles)
            x = block.out
            seen.hidden.append(x)
            if layer in layers:
                seen.attention[layer] = block.weights
            if everything:
                seen.blocks.append(block)
        return seen

    def angles(self, positions: Sequence[int]) -> Array:
        """``(n, head_dim / 2)``: how far each pair of each token is turned, in radians."""
        return np.asarray(positions, np.float32)[:, None] * self.frequencies

    def project(self, layer: int, x: Array) -> tuple[Array, Array, Array, Array]:
        """The normed input of a block's attention, and q, k, v of it: ``(n, heads, head_dim)``, neither normed nor turned."""
        at = f"model.layers.{layer}."
        normed = rms_norm(x, self.weight(f"{at}input_layernorm.weight"), self.config.norm_eps)
        q, k, v = (
            self._linear(f"{at}self_attn.{name}_proj", normed).reshape(len(x), -1, self.config.head_dim)
            for name in "qkv"
        )
        return normed, q, k, v

    def norm_heads(self, layer: int, q: Array, k: Array) -> tuple[Array, Array]:
        """Qwen3's norms on each head of q and k; other families have none."""
        if not self.config.qk_norm:
            return q, k
        at, eps = f"model.layers.{layer}.self_attn.", self.config.norm_eps
        return rms_norm(q, self.weight(f"{at}q_norm.weight"), eps), rms_norm(k, self.weight(f"{at}k_norm.weight"), eps)

    def block(self, layer: int, x: Array, angles: Array, mask: npt.NDArray[np.bool_] | None = None) -> Block:
        """One block: attention over the tokens so far, then the feed-forward part, each added to what came in.

        Args:
            mask: ``(n, n)``, true where a token (row) may look; by default at all before it. With another one, several
                continuations of one text run at once, none of which sees the others.
        """
        at = f"model.layers.{layer}."
        normed, q_raw, k_raw, v = self.project(layer, x)
        q, k = self.norm_heads(layer, q_raw, k_raw)
        q, k = rotate(q, angles), rotate(k, angles)
        weights = attention_weights(q, k, mask)
        shared = self.config.num_heads // self.config.num_kv_heads
        values = np.repeat(v, shared, axis=1).transpose(1, 0, 2)  # (heads, n, head_dim)
        context = np.ascontiguousarray((weights @ values).transpose(1, 0, 2)).reshape(len(x), -1)
        middle = x + self._linear(f"{at}self_attn.o_proj", context)
        normed_middle = rms_norm(middle, self.weight(f"{at}post_attention_layernorm.weight"), self.config.norm_eps)
        gate = self._linear(f"{at}mlp.gate_proj", normed_middle)
        up = self._linear(f"{at}mlp.up_proj", normed_middle)
        out = middle + self._linear(f"{at}mlp.down_proj", silu(gate) * up)
        return Block(x, normed, q_raw, k_raw, q, k, v, weights, context, middle, normed_middle, gate, up, out)

    def logits(self, hidden: Array) -> Array:
        """``(n, vocab_size)`` of hidden states ``(n, hidden)``, after the final norm."""
        last = rms_norm(hidden, self.weight("model.norm.weight"), self.config.norm_eps)
        name = "model.embed_tokens.weight" if self.config.tied else "lm_head.weight"
        if self._kept is not None:
            return np.asarray(last @ self.weight(name).T)
        parts = [
            last @ take_rows(self._tensors[name], slice(start, start + _ROWS)).T
            for start in range(0, self.config.vocab_size, _ROWS)
        ]
        return np.concatenate(parts, axis=1)

    def _linear(self, name: str, x: Array) -> Array:
        y: Any = x @ self.weight(f"{name}.weight").T
        return np.asarray(y + self.weight(f"{name}.bias")) if self.has(f"{name}.bias") else np.asarray(y)


def rms_norm(x: Array, weight: Array, eps: float) -> Array:
    """Each row over the root of its mean square, times a weight for each dimension."""
    return np.asarray(x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(eps)) * weight, np.float32)


def silu(x: Array) -> Array:
    """x times its own sigmoid."""
    return np.asarray(x / (1 + np.exp(-np.clip(x, -80, 80))), np.float32)


def rotate(x: Array, angles: Array) -> Array:
    """RoPE: turn each pair ``(i, i + head_dim / 2)`` by its angle. x: ``(n, heads, head_dim)``."""
    first, second = np.split(x, 2, axis=-1)
    cos, sin = np.cos(angles)[:, None, :], np.sin(angles)[:, None, :]
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def causal_mask(n: int) -> npt.NDArray[np.bool_]:
    """``(n, n)``, true where a token (row) may look: at itself and what stands before it."""
    return np.tri(n, dtype=bool)


def scale_of(head_dim: int) -> np.float32:
    """What scores are multiplied by, so that they do not grow with the size of a head."""
    return np.float32(head_dim**-0.5)


def attention_weights(q: Array, k: Array, mask: npt.NDArray[np.bool_] | None = None) -> Array:
    """``(heads, n, n)`` of ``(n, heads, head_dim)``: every row sums to one, and nothing of it lies in the future."""
    shared = q.shape[1] // k.shape[1]
    keys = np.repeat(k, shared, axis=1).transpose(1, 2, 0)  # (heads, head_dim, n)
    scores = (q.transpose(1, 0, 2) @ keys) * scale_of(q.shape[-1])
    scores = np.where(causal_mask(len(q)) if mask is None else mask, scores, np.float32(-np.inf))
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(scores / scores.sum(axis=-1, keepdims=True), np.float32)
