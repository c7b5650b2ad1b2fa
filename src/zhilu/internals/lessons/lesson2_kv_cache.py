"""6.2 The key-value cache: what a token needs of those before it is computed once and kept.

Read from top to bottom. ``generate`` writes tokens with the cache or without it; both run through the same ``forward``, on the
weights of a real model, with the product's own norms, rotation and scale. Then: the same cache in 8 bits, and DeepSeek's latent
cache (MLA, arXiv 2405.04434, section 2.1), in which keys and values of all heads are made from one short vector a token.

Shapes: hidden ``(m, hidden)`` for m new tokens; keys and values ``(n, kv_heads, head_dim)``. All float32.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from zhilu.engine.model.config import ModelConfig
from zhilu.engine.observe import Observer, rms_norm, rotate, scale_of, silu

__all__ = ["Cache", "Int8Cache", "absorbed_scores", "bytes_per_token", "forward", "generate", "latent_bytes_per_token"]

Array = npt.NDArray[np.float32]


class Cache:
    """Keys and values of every layer, in memory that is taken once: growing it token by token would copy it each time."""

    def __init__(self, config: ModelConfig, capacity: int) -> None:
        shape = (2, config.num_layers, capacity, config.num_kv_heads, config.head_dim)
        self.memory = np.zeros(shape, np.float32)
        self.length = 0  # tokens that are in it

    def append(self, layer: int, k: Array, v: Array) -> tuple[Array, Array]:
        """Keep a layer's new keys and values ``(m, kv_heads, head_dim)``; returns all ``(n, kv_heads, head_dim)``."""
        end = self.length + len(k)
        self.memory[0, layer, self.length : end] = k
        self.memory[1, layer, self.length : end] = v
        return self.memory[0, layer, :end], self.memory[1, layer, :end]

    @property
    def nbytes(self) -> int:
        """Of the tokens that are in it."""
        return self.memory[:, :, : self.length].nbytes


class Int8Cache(Cache):
    """The same in 8 bits: every head of every token has a scale of its own, so that one large number spoils one head only."""

    def __init__(self, config: ModelConfig, capacity: int) -> None:
        shape = (2, config.num_layers, capacity, config.num_kv_heads, config.head_dim)
        self.rounded = np.zeros(shape, np.int8)
        self.scales = np.zeros((*shape[:-1], 1), np.float32)
        self.length = 0

    def append(self, layer: int, k: Array, v: Array) -> tuple[Array, Array]:
        end = self.length + len(k)
        for place, new in enumerate((k, v)):
            scale = np.abs(new).max(axis=-1, keepdims=True) / 127 + 1e-12
            self.scales[place, layer, self.length : end] = scale
            self.rounded[place, layer, self.length : end] = np.rint(new / scale)
        whole = self.rounded[:, layer, :end].astype(np.float32) * self.scales[:, layer, :end]
        return whole[0], whole[1]

    @property
    def nbytes(self) -> int:
        return self.rounded[:, :, : self.length].nbytes + self.scales[:, :, : self.length].nbytes


def forward(model: Observer, ids: Sequence[int], cache: Cache) -> Array:
    """Run new tokens behind those in the cache, and keep theirs. Returns the logits ``(vocab_size,)`` after the last."""
    x = model.embed(ids)
    angles = model.angles(
        range(cache.length, cache.length + len(ids))
    )  # a token is turned by its place in the whole text
    for layer in range(model.config.num_layers):
        at, eps = f"model.layers.{layer}.", model.config.norm_eps
        _, q, k, v = model.project(layer, x)
        q, k = model.norm_heads(layer, q, k)
        keys, values = cache.append(layer, rotate(k, angles), v)
        found = _attend(rotate(q, angles), keys, values).reshape(len(ids), -1)
        x = x + found @ model.weight(f"{at}self_attn.o_proj.weight").T
        inner = rms_norm(x, model.weight(f"{at}post_attention_layernorm.weight"), eps)
        gate, up = (inner @ model.weight(f"{at}mlp.{name}_proj.weight").T for name in ("gate", "up"))
        x = x + (silu(gate) * up) @ model.weight(f"{at}mlp.down_proj.weight").T
    cache.length += len(ids)
    return model.logits(x[-1:])[0]


def _attend(q: Array, keys: Array, values: Array) -> Array:
    """New queries ``(m, heads, head_dim)`` over all keys ``(n, kv_heads, head_dim)``; a group of heads shares a key."""
    (m, heads, head_dim), n = q.shape, len(keys)
    group = heads // keys.shape[1]
    keys, values = np.repeat(keys, group, axis=1), np.repeat(values, group, axis=1)
    scores = q.transpose(1, 0, 2) @ keys.transpose(1, 2, 0) * scale_of(head_dim)  # (heads, m, n)
    places = np.arange(n - m, n)[:, None]  # where the new tokens stand
    scores = np.where(np.arange(n)[None] <= places, scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return np.asarray((weights @ values.transpose(1, 0, 2)).transpose(1, 0, 2), np.float32)


def generate(
    model: Observer, ids: Sequence[int], count: int, *, cached: bool = True, cache: Cache | None = None
) -> list[int]:
    """The ``count`` likeliest next tokens, one after the other."""
    ids = list(ids)
    if not cached:  # each new token runs the whole text again
        for _ in range(count):
            ids.append(int(forward(model, ids, Cache(model.config, len(ids))).argmax()))
        return ids[-count:]
    cache = cache or Cache(model.config, len(ids) + count)
    new = ids
    for _ in range(count):
        token = int(forward(model, new, cache).argmax())
        ids.append(token)
        new = [token]
    return ids[-count:]


def bytes_per_token(layers: int, kv_heads: int, head_dim: int, bytes_each: int = 2) -> int:
    """Keys and values of one token. Every head its own (MHA), a few for all (GQA), one for all (MQA)."""
    return 2 * layers * kv_heads * head_dim * bytes_each


def latent_bytes_per_token(layers: int, rank: int, rope_dim: int, bytes_each: int = 2) -> int:
    """MLA: one latent vector for keys and values of all heads, and one small key that carries the position."""
    return layers * (rank + rope_dim) * bytes_each


def absorbed_scores(q: Array, latents: Array, up: Array) -> Array:
    """MLA's trick: q · (up c) = (upᵀ q) · c, so the keys of the heads are never made.

    q ``(heads, head_dim)``, latents ``(n, rank)``, up ``(heads, head_dim, rank)``; scores ``(heads, n)``.
    """
    into_latent = np.einsum("hdr,hd->hr", up, q)
    return np.asarray(into_latent @ latents.T)
