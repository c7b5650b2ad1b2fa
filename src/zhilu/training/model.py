"""The embedded model in plain PyTorch: a Qwen3 decoder that reads like the paper's figure.

Parameter names are exactly those of ``transformers.Qwen3ForCausalLM``, so a state dict moves between the two unchanged
(``tests/unit/training/nano`` holds their logits together). Scope: training and reference logits. Serving is ``zhilu.engine``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Guide", "Nano", "NanoConfig", "attention_mask", "greedy"]


_CHUNK = 256


@dataclass(frozen=True)
class NanoConfig:
    """Shape of the network. ``head_dim`` is a multiple of 32, which every engine's attention kernel asks for."""

    vocab_size: int = 16384
    hidden_size: int = 256
    num_hidden_layers: int = 8
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    head_dim: int = 64
    intermediate_size: int = 640
    max_position_embeddings: int = 2048
    rope_theta: float = 1e6
    rms_norm_eps: float = 1e-6

    def data(self) -> dict[str, Any]:
        """The fields as a plain mapping (a part of ``config.json``)."""
        return asdict(self)


class RMSNorm(nn.Module):
    """x / rms(x) * weight over the last axis (Zhang & Sennrich 2019)."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight, self.eps)


def rope_table(config: NanoConfig, length: int) -> tuple[Tensor, Tensor]:
    """cos and sin of the rotary angles: each ``(length, head_dim)``, the two halves alike (Su et al. 2021)."""
    exponent = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
    angles = torch.outer(torch.arange(length, dtype=torch.float32), config.rope_theta**-exponent)
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn ``x (batch, heads, length, head_dim)`` by its position's angles (half-split layout, as in Llama)."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


@dataclass
class Guide:
    """Where one head of one layer should look: from ``queries`` to ``keys``, places in sequences ``rows`` (all of one length).

    ``losses`` collects the mean of -log(attention) at those places (supervised attention, Liu et al. 2016). Entries
    (0, 0, 0) are padding that keeps shapes fixed: a sequence's first token can only look at itself, which costs nothing.
    """

    layer: int
    head: int
    rows: Tensor
    queries: Tensor
    keys: Tensor
    losses: list[Tensor] = field(default_factory=list)

    def measure(self, q: Tensor, k: Tensor, mask: Tensor) -> None:
        """Take the loss from rotated queries ``(batch, heads, length, head_dim)``, keys alike (one a group), and the mask."""
        asked = q[self.rows, self.head, self.queries]
        shown = k[self.rows, self.head * k.shape[1] // q.shape[1]]
        scores = (
            torch.einsum("nd,nld->nl", asked, shown) * asked.shape[-1] ** -0.5 + mask[self.rows, 0, 0, self.queries]
        )
        total = F.cross_entropy(scores.float(), self.keys, reduction="sum")
        self.losses.append(total / (self.queries > 0).sum().clamp(min=1))


def attention_mask(segments: Tensor, dtype: torch.dtype) -> Tensor:
    """What may look at what in packed sequences: ``segments (batch, length)`` to 0 or a large negative ``(batch, 1, 1, length, length)``.

    A token sees earlier tokens of its own segment only, so that rows packed side by side do not know of each other.
    """
    same = segments[:, :, None] == segments[:, None, :]
    seen = same & torch.ones(segments.shape[1], segments.shape[1], dtype=torch.bool, device=segments.device).tril()
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill(~seen, -3e4)[:, None, None]


class Attention(nn.Module):
    """Grouped-query attention with RMS-normalised queries and keys (Qwen3 report, section 2)."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.num_heads, self.num_kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_dim = config.head_dim
        self.q_proj = nn.Linear(config.hidden_size, self.num_heads * self.head_dim, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, self.num_kv_heads * self.head_dim, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, self.num_kv_heads * self.head_dim, bias=False)
        self.o_proj = nn.Linear(self.num_heads * self.head_dim, config.hidden_size, bias=False)
        self.q_norm = RMSNorm(self.head_dim, config.rms_norm_eps)
        self.k_norm = RMSNorm(self.head_dim, config.rms_norm_eps)

    def forward(
        self,
        x: Tensor,
        cos: Tensor,
        sin: Tensor,
        guides: Sequence[Guide] = (),
        past: list[Tensor] | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        batch, length, _ = x.shape
        q = self.q_norm(self.q_proj(x).view(batch, length, self.num_heads, self.head_dim)).transpose(1, 2)
        k = self.k_norm(self.k_proj(x).view(batch, length, self.num_kv_heads, self.head_dim)).transpose(1, 2)
        v = self.v_proj(x).view(batch, length, self.num_kv_heads, self.head_dim).transpose(1, 2)
        group = self.num_heads // self.num_kv_heads
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if past:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        if past is not None:
            past[:] = [k, v]
        if mask is not None:
            for guide in guides:
                guide.measure(q, k, mask)
            return self.o_proj(self._masked(q, k, v, mask))
        k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
        out = F.scaled_dot_product_attention(q, k, v, is_causal=length > 1)  # (batch, heads, length, head_dim)
        return self.o_proj(out.transpose(1, 2).reshape(batch, length, -1))

    def _masked(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """Attention written out, a group's queries stacked over their shared key, ``_CHUNK`` queries at a time over the keys up
        to theirs: in a CPU's bfloat16 up to three times as fast as the fused kernel (LOG.md)."""
        batch, heads, length, size = q.shape
        kv = self.num_kv_heads
        q = q * size**-0.5
        parts = []
        for start in range(0, length, _CHUNK):
            end = min(start + _CHUNK, length)
            rows = heads // kv * (end - start)
            scores = q[:, :, start:end].reshape(batch, kv, rows, size) @ k[:, :, :end].transpose(-1, -2)
            scores = scores.view(batch, kv, heads // kv, end - start, end) + mask[..., start:end, :end]
            found = F.softmax(scores, dim=-1).view(batch, kv, rows, end) @ v[:, :, :end]
            parts.append(found.view(batch, heads, end - start, size))
        return torch.cat(parts, dim=2).transpose(1, 2).reshape(batch, length, -1)


class MLP(nn.Module):
    """SwiGLU feed-forward (Shazeer 2020)."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    """Pre-norm decoder layer: attention, then feed-forward, each added to the residual stream."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = MLP(config)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self,
        x: Tensor,
        cos: Tensor,
        sin: Tensor,
        guides: Sequence[Guide] = (),
        past: list[Tensor] | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, guides, past, mask)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    """Embedding, blocks, final norm: token ids ``(batch, length)`` to hidden states ``(batch, length, hidden)``."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        cos, sin = rope_table(config, config.max_position_embeddings)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    @property
    def blocks(self) -> list[Block]:
        """``layers`` with their type: a ModuleList forgets it."""
        return [cast(Block, layer) for layer in self.layers]

    def forward(
        self,
        ids: Tensor,
        guides: Sequence[Guide] = (),
        past: list[list[Tensor]] | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """``past`` holds every layer's keys and values so far (empty lists at first) and grows; then ``ids`` is one token.

        ``mask`` (``attention_mask``) is for packed sequences in training, and what ``guides`` need.
        """
        x = self.embed_tokens(ids)
        before = past[0][0].shape[2] if past and past[0] else 0
        cos, sin = (table[before : before + ids.shape[1]] for table in (self.cos, self.sin))
        for index, layer in enumerate(self.layers):
            mine = [guide for guide in guides if guide.layer == index]
            x = layer(x, cos, sin, mine, past[index] if past else None, mask)
        return self.norm(x)


class Nano(nn.Module):
    """The causal language model; the output projection is the embedding matrix (tied)."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Decoder(config)
        self.reset()

    def reset(self) -> None:
        """Draw the initial weights: normal, 1/sqrt(fan-in) for matrices; writers to the residual stream start at zero.

        The blocks are therefore the identity at first, so that a token's own embedding reaches the tied output
        unchanged: copying is near at hand from step 0. Embeddings stay small so that first logits are near uniform.
        """
        nn.init.normal_(self.model.embed_tokens.weight, std=0.04)
        for name, weight in self.model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                nn.init.zeros_(weight)
            elif name.endswith("proj.weight"):
                nn.init.normal_(weight, std=weight.shape[1] ** -0.5)

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores over the vocabulary for hidden states ``(..., hidden)``."""
        return F.linear(hidden, self.model.embed_tokens.weight)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits ``(batch, length, vocab)`` for every position of ``ids (batch, length)``."""
        return self.logits(self.model(ids))

    def num_parameters(self) -> int:
        """Trainable parameters, the tied matrix counted once."""
        return sum(weight.numel() for weight in self.parameters())


@torch.inference_mode()
def greedy(model: Nano, prompt: list[int], max_new_tokens: int, stop: frozenset[int]) -> list[int]:
    """Greedy continuation of ``prompt``; it must fit into the positions together with what is made."""
    ids: list[int] = []
    past: list[list[Tensor]] = [[] for _ in model.model.layers]
    hidden = model.model(torch.tensor([prompt]), past=past)
    for _ in range(max_new_tokens):
        token = int(model.logits(hidden[0, -1]).argmax())
        if token in stop:
            break
        ids.append(token)
        hidden = model.model(torch.tensor([[token]]), past=past)
    return ids
