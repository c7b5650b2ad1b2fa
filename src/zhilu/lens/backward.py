"""The way back through the model: how the loss would change with each weight, written out in NumPy.

The gradients equal PyTorch's (tests/parity). Every function mirrors one of ``engine/observe.py`` and takes what that one computed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from zhilu.engine.observe import Block, Observer, rms_norm, rotate, scale_of, silu

__all__ = ["Array", "loss_and_gradients", "loss_of"]

Array = npt.NDArray[np.float32]
Gradients = dict[str, Array]


def loss_of(observer: Observer, ids: Sequence[int]) -> float:
    """Mean of minus the logarithm of each next token's probability, in nats: how surprised the model is by the text."""
    logits = observer.logits(observer.observe(ids).hidden[-1][:-1]).astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    chosen = logits[np.arange(len(logits)), list(ids[1:])]
    return float((np.log(np.exp(logits).sum(axis=1)) - chosen).mean())


def loss_and_gradients(observer: Observer, ids: Sequence[int]) -> tuple[float, Gradients]:
    """The loss of a text of two tokens or more, and its derivative by every weight, by the weight's name."""
    config, gradients = observer.config, Gradients()
    seen = observer.observe(ids, everything=True)
    angles = observer.angles(range(len(ids)))
    unembedding = "model.embed_tokens.weight" if config.tied else "lm_head.weight"

    last = seen.hidden[-1]
    final = rms_norm(last, observer.weight("model.norm.weight"), config.norm_eps)
    logits = final @ observer.weight(unembedding).T
    logits -= logits.max(axis=1, keepdims=True)
    probabilities = np.exp(logits)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    count, targets = len(ids) - 1, list(ids[1:])
    chosen = probabilities[np.arange(count), targets]
    loss = float(-np.log(np.maximum(chosen, 1e-30).astype(np.float64)).mean())

    d_logits = probabilities  # its own memory is used again: the whole vocabulary for each token
    d_logits[np.arange(count), targets] -= 1
    d_logits[count:] = 0  # nothing follows the last token
    d_logits /= count
    gradients[unembedding] = d_logits.T @ final
    d_final = d_logits @ observer.weight(unembedding)
    d_x, gradients["model.norm.weight"] = _norm_back(
        last, observer.weight("model.norm.weight"), config.norm_eps, d_final
    )
    for layer in reversed(range(config.num_layers)):
        d_x = _block_back(observer, layer, seen.blocks[layer], angles, d_x, gradients)

    d_embedding = gradients.setdefault(
        "model.embed_tokens.weight", np.zeros_like(observer.weight("model.embed_tokens.weight"))
    )
    np.add.at(d_embedding, list(ids), d_x)
    return loss, gradients


def _block_back(
    observer: Observer, layer: int, block: Block, angles: Array, d_out: Array, gradients: Gradients
) -> Array:
    at, eps = f"model.layers.{layer}.", observer.config.norm_eps

    def linear(name: str, x: Array, d_y: Array) -> Array:
        """The derivative by what went into a projection; those by its weight and bias are noted."""
        gradients[f"{at}{name}.weight"] = d_y.T @ x
        if observer.has(f"{at}{name}.bias"):
            gradients[f"{at}{name}.bias"] = d_y.sum(axis=0)
        return np.asarray(d_y @ observer.weight(f"{at}{name}.weight"))

    activated = silu(block.gate)
    d_mid = linear("mlp.down_proj", activated * block.up, d_out)
    sigmoid = np.asarray(1 / (1 + np.exp(-np.clip(block.gate, -80, 80))), np.float32)
    d_gate: Array = d_mid * block.up * (sigmoid + activated * (1 - sigmoid))
    d_normed = linear("mlp.gate_proj", block.normed_middle, d_gate)
    d_normed += linear("mlp.up_proj", block.normed_middle, d_mid * activated)
    name = f"{at}post_attention_layernorm.weight"
    d_middle, gradients[name] = _norm_back(block.middle, observer.weight(name), eps, d_normed)
    d_middle += d_out

    d_context = linear("self_attn.o_proj", block.context, d_middle)
    d_q, d_k, d_v = _attention_back(block, d_context)
    d_q, d_k = rotate(d_q, -angles), rotate(d_k, -angles)  # a turn is undone by the turn back
    if observer.config.qk_norm:
        for letter, raw in (("q", block.q_raw), ("k", block.k_raw)):
            name = f"{at}self_attn.{letter}_norm.weight"
            back, gradients[name] = _norm_back(raw, observer.weight(name), eps, d_q if letter == "q" else d_k)
            d_q, d_k = (back, d_k) if letter == "q" else (d_q, back)
    n = len(d_q)
    d_normed = linear("self_attn.q_proj", block.normed, d_q.reshape(n, -1))
    d_normed += linear("self_attn.k_proj", block.normed, d_k.reshape(n, -1))
    d_normed += linear("self_attn.v_proj", block.normed, d_v.reshape(n, -1))
    name = f"{at}input_layernorm.weight"
    d_x, gradients[name] = _norm_back(block.x, observer.weight(name), eps, d_normed)
    return np.asarray(d_x + d_middle)


def _attention_back(block: Block, d_context: Array) -> tuple[Array, Array, Array]:
    """By q, k (both turned) and v: ``(n, heads, head_dim)``; heads that share a key-value head add up."""
    n, heads, size = block.q.shape
    kv_heads = block.k.shape[1]
    shared = heads // kv_heads
    d_context = d_context.reshape(n, heads, size).transpose(1, 0, 2)
    keys, values = (np.repeat(t, shared, axis=1).transpose(1, 0, 2) for t in (block.k, block.v))
    weights = block.weights
    d_values = weights.transpose(0, 2, 1) @ d_context
    d_weights = d_context @ values.transpose(0, 2, 1)
    d_scores = weights * (d_weights - (d_weights * weights).sum(axis=-1, keepdims=True)) * scale_of(size)
    d_q = (d_scores @ keys).transpose(1, 0, 2)
    d_keys = d_scores.transpose(0, 2, 1) @ block.q.transpose(1, 0, 2)
    d_k, d_v = (t.reshape(kv_heads, shared, n, size).sum(axis=1).transpose(1, 0, 2) for t in (d_keys, d_values))
    return d_q, d_k, d_v


def _norm_back(x: Array, weight: Array, eps: float, d_y: Array) -> tuple[Array, Array]:
    """By what went into an RMS norm, and by its weight."""
    inverse = 1 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(eps))
    unit = x * inverse
    d_weight = (d_y * unit).reshape(-1, x.shape[-1]).sum(axis=0)
    d_unit = d_y * weight
    return np.asarray(inverse * (d_unit - unit * (d_unit * unit).mean(axis=-1, keepdims=True))), np.asarray(d_weight)
