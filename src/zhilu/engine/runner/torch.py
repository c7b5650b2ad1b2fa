"""The readable runner: a dense decoder in plain PyTorch over a paged key-value cache, on CPU or CUDA.

All tokens of a step are in one long row, ``(num_tokens, hidden)``, whichever sequences they belong to; norms, projections and the
MLP need not know. Only attention needs to know, in two shapes: sequences with one new token are computed together, with their
contexts padded to one length; longer pieces (prompts) are computed one by one. It is the reference for faster runners, and its
own greedy tokens equal those of transformers (tests/parity).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from zhilu.engine.model.adapters import Adapter, stack_deltas
from zhilu.engine.model.config import ModelConfig
from zhilu.engine.runner.base import Runner, StepChunk
from zhilu.engine.runner.rope import inverse_frequencies

__all__ = ["TorchRunner"]


@dataclass
class _Layer:
    """Weights of one block. Projections that read the same input are stacked: one matrix product instead of three."""

    prefix: str  # of its weights' names
    input_norm: torch.Tensor  # (hidden,)
    qkv: torch.Tensor  # ((heads + 2 * kv_heads) * head_dim, hidden)
    qkv_bias: torch.Tensor | None
    qk_norm: torch.Tensor | None  # (heads + kv_heads, head_dim)
    output: torch.Tensor  # (hidden, heads * head_dim)
    output_bias: torch.Tensor | None
    post_norm: torch.Tensor  # (hidden,)
    gate_up: torch.Tensor  # (2 * intermediate, hidden)
    gate_up_bias: torch.Tensor | None
    down: torch.Tensor  # (hidden, intermediate)
    down_bias: torch.Tensor | None
    keys: torch.Tensor  # (num_blocks, block_size, kv_heads, head_dim): the paged cache
    values: torch.Tensor  # likewise


@dataclass
class _Piece:
    """A chunk of several tokens: rows ``start:stop`` of the step, attending to ``length`` tokens."""

    start: int
    stop: int
    table: torch.Tensor | None  # (blocks,); None where nothing came before, so the cache need not be read
    length: int
    mask: torch.Tensor | None  # (tokens, length) bool


@dataclass
class _Batch:
    """One step's chunks as tensors."""

    ids: torch.Tensor  # (num_tokens,)
    slots: torch.Tensor  # (num_tokens,) where each token's key and value go: block * block_size + offset
    cos: torch.Tensor  # (num_tokens, 1, head_dim / 2)
    sin: torch.Tensor
    singles: torch.Tensor  # (num_singles,) rows of the sequences with one new token
    tables: torch.Tensor  # (num_singles, max_blocks) padded with block 0
    mask: torch.Tensor  # (num_singles, 1, 1, max_blocks * block_size) bool: True may be looked at
    pieces: list[_Piece]
    wanted: torch.Tensor  # (num_wanted,) rows whose logits are asked for
    deltas: _Deltas | None  # None where no token of this step has an adapter


@dataclass
class _Deltas:
    """LoRA deltas of the step's adapters, stacked (see ``adapters.stack_deltas``)."""

    mask: torch.Tensor  # (num_tokens, n * rank)
    halves: Mapping[str, tuple[torch.Tensor, torch.Tensor]]  # by projection: (in, n * rank), (n * rank, out)


class TorchRunner(Runner):
    """
    Args:
        tensors: the model's weights by Hugging Face name (see ``weights.load_tensors``).
        num_blocks: size of the key-value memory.
        dtype: of weights, cache and arithmetic.
    """

    def __init__(
        self,
        config: ModelConfig,
        tensors: Mapping[str, torch.Tensor],
        *,
        num_blocks: int,
        block_size: int = 16,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
        why: Mapping[str, str] | None = None,
    ) -> None:
        self.config = config
        self.num_blocks = num_blocks
        self.block_size = block_size
        self.vocab_size = config.vocab_size
        self.dtype = dtype
        self.device = torch.device(device)
        self.why = dict(why or {})
        self._frequencies = torch.from_numpy(inverse_frequencies(config.rope, config.head_dim)).to(device)
        w = {name: tensor.to(device=device, dtype=dtype) for name, tensor in tensors.items()}
        self._embedding = w["model.embed_tokens.weight"]
        self._final_norm = w["model.norm.weight"]
        self._unembedding = self._embedding if config.tied else w["lm_head.weight"]
        self._shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        self._adapters: dict[int, Adapter] = {}
        self._stacked: tuple[list[int], int, Mapping[str, tuple[torch.Tensor, torch.Tensor]]] = ([], 0, {})
        self._layers = [self._make_layer(w, f"model.layers.{i}.") for i in range(config.num_layers)]

    def _make_layer(self, w: Mapping[str, torch.Tensor], prefix: str) -> _Layer:
        def stack(kind: str, *names: str) -> torch.Tensor | None:
            found = [w.get(f"{prefix}{name}.{kind}") for name in names]
            return None if found[0] is None else torch.cat([t for t in found if t is not None])

        def weight(*names: str) -> torch.Tensor:
            stacked = stack("weight", *names)
            assert stacked is not None  # load_tensors has seen to it
            return stacked

        config = self.config
        qk_norm = None
        if config.qk_norm:
            q, k = weight("self_attn.q_norm"), weight("self_attn.k_norm")
            qk_norm = torch.cat([q.expand(config.num_heads, -1), k.expand(config.num_kv_heads, -1)])
        cache_shape = (self.num_blocks, self.block_size, config.num_kv_heads, config.head_dim)
        return _Layer(
            prefix=prefix,
            input_norm=weight("input_layernorm"),
            qkv=weight("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
            qkv_bias=stack("bias", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
            qk_norm=qk_norm,
            output=weight("self_attn.o_proj"),
            output_bias=stack("bias", "self_attn.o_proj"),
            post_norm=weight("post_attention_layernorm"),
            gate_up=weight("mlp.gate_proj", "mlp.up_proj"),
            gate_up_bias=stack("bias", "mlp.gate_proj", "mlp.up_proj"),
            down=weight("mlp.down_proj"),
            down_bias=stack("bias", "mlp.down_proj"),
            keys=self._zeros(cache_shape),
            values=self._zeros(cache_shape),
        )

    def _zeros(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Zeros, since padding is masked but still multiplied, and uninitialised memory may hold NaN.

        NumPy asks the system for zeroed pages, which cost nothing until they are used; torch would write every byte now
        (measured: 8 s for 1.3 GB of fresh memory in a virtual machine).
        """
        if self.device.type != "cpu":
            return torch.zeros(shape, dtype=self.dtype, device=self.device)
        num_bytes = int(np.prod(shape)) * self.dtype.itemsize
        return torch.from_numpy(np.zeros(num_bytes, dtype=np.uint8)).view(self.dtype).view(shape)

    def describe(self) -> dict[str, Any]:
        return {
            "runner": "torch",
            "dtype": str(self.dtype).removeprefix("torch."),
            "precision": "full",
            "device": str(self.device),
            "threads": torch.get_num_threads(),
            "num_blocks": self.num_blocks,
            "block_size": self.block_size,
            "why": self.why,
        }

    @torch.inference_mode()
    def run(self, chunks: Sequence[StepChunk]) -> npt.NDArray[np.float32]:
        batch = self._prepare(chunks)
        hidden = self._embedding[batch.ids]  # (num_tokens, hidden)
        for layer in self._layers:
            hidden = hidden + self._attention(layer, self._norm(hidden, layer.input_norm), batch)
            hidden = hidden + self._mlp(layer, self._norm(hidden, layer.post_norm), batch)
        # Only the last token of a sequence needs the whole vocabulary.
        last = self._norm(hidden[batch.wanted], self._final_norm)
        logits: npt.NDArray[np.float32] = F.linear(last, self._unembedding).float().cpu().numpy()
        return logits

    def _norm(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, (x.shape[-1],), weight, self.config.norm_eps)

    def _mlp(self, layer: _Layer, x: torch.Tensor, batch: _Batch) -> torch.Tensor:
        names = layer.prefix + "mlp.gate_proj", layer.prefix + "mlp.up_proj"
        gate, up = self._linear(x, layer.gate_up, layer.gate_up_bias, batch, *names).chunk(2, dim=-1)
        return self._linear(F.silu(gate) * up, layer.down, layer.down_bias, batch, layer.prefix + "mlp.down_proj")

    def _linear(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, batch: _Batch, *names: str
    ) -> torch.Tensor:
        """Several projections of ``x`` as one product, and to each the deltas of its tokens' adapters."""
        y = F.linear(x, weight, bias)
        if batch.deltas is not None:
            start = 0
            for name in names:
                stop = start + self._shapes[f"{name}.weight"][0]
                if name in batch.deltas.halves:
                    a, b = batch.deltas.halves[name]
                    y[:, start:stop] += (x @ a * batch.deltas.mask) @ b
                start = stop
        return y

    def _attention(self, layer: _Layer, x: torch.Tensor, batch: _Batch) -> torch.Tensor:
        heads, kv_heads, dim = self.config.num_heads, self.config.num_kv_heads, self.config.head_dim
        names = [f"{layer.prefix}self_attn.{name}_proj" for name in "qkvo"]
        qkv = self._linear(x, layer.qkv, layer.qkv_bias, batch, *names[:3]).view(-1, heads + 2 * kv_heads, dim)
        qk, v = qkv[:, : heads + kv_heads], qkv[:, heads + kv_heads :]
        if layer.qk_norm is not None:
            qk = F.rms_norm(qk, (dim,), None, self.config.norm_eps) * layer.qk_norm
        qk = _rotate(qk, batch.cos, batch.sin)
        q, k = qk[:, :heads], qk[:, heads:]
        layer.keys.view(-1, kv_heads, dim)[batch.slots] = k
        layer.values.view(-1, kv_heads, dim)[batch.slots] = v

        out = torch.empty_like(q)
        if len(batch.singles):
            out[batch.singles] = self._attend_singles(layer, q[batch.singles], batch)
        for piece in batch.pieces:
            rows = slice(piece.start, piece.stop)
            out[rows] = self._attend_piece(layer, q[rows], k[rows], v[rows], piece)
        return self._linear(out.view(-1, heads * dim), layer.output, layer.output_bias, batch, names[3])

    def _attend_singles(self, layer: _Layer, q: torch.Tensor, batch: _Batch) -> torch.Tensor:
        """One query token per sequence against its own blocks. q: ``(num_singles, heads, head_dim)``."""
        count, heads, dim = q.shape
        kv_heads = self.config.num_kv_heads
        keys = layer.keys[batch.tables].view(count, -1, kv_heads, dim).transpose(1, 2)
        values = layer.values[batch.tables].view(count, -1, kv_heads, dim).transpose(1, 2)
        # Query heads that share a key-value head stand side by side as if they were several positions: no copy of k, v.
        grouped = q.view(count, kv_heads, heads // kv_heads, dim)
        return F.scaled_dot_product_attention(grouped, keys, values, attn_mask=batch.mask).reshape(count, heads, dim)

    def _attend_piece(
        self, layer: _Layer, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, piece: _Piece
    ) -> torch.Tensor:
        """Several tokens of one sequence. q: ``(tokens, heads, head_dim)``; k, v of these tokens only."""
        if piece.table is not None:  # what came before lies in the cache, and by now these tokens do, too
            k = layer.keys[piece.table].flatten(0, 1)[: piece.length]
            v = layer.values[piece.table].flatten(0, 1)[: piece.length]
        q, k, v = (t.transpose(0, 1)[None] for t in (q, k, v))  # (1, heads, tokens, head_dim)
        out = F.scaled_dot_product_attention(
            q, k, v, attn_mask=piece.mask, is_causal=piece.mask is None, enable_gqa=True
        )
        return out[0].transpose(0, 1)

    def _prepare(self, chunks: Sequence[StepChunk]) -> _Batch:
        size = self.block_size
        ids: list[int] = []
        positions: list[int] = []
        slots: list[int] = []
        singles: list[tuple[int, StepChunk]] = []
        pieces: list[_Piece] = []
        wanted: list[int] = []
        for chunk in chunks:
            start, length = len(ids), chunk.position + len(chunk.token_ids)
            span = range(chunk.position, length)
            ids.extend(chunk.token_ids)
            positions.extend(span)
            slots.extend(chunk.table[position // size] * size + position % size for position in span)
            if len(chunk.token_ids) == 1:
                singles.append((start, chunk))
            else:
                pieces.append(self._make_piece(chunk, start, length))
            wanted.extend(range(len(ids) - chunk.num_logits, len(ids)))
        angles = self._tensor(positions).float()[:, None, None] * self._frequencies
        tables, mask = self._pad([chunk for _, chunk in singles])
        return _Batch(
            ids=self._tensor(ids),
            slots=self._tensor(slots),
            cos=angles.cos().to(self.dtype),
            sin=angles.sin().to(self.dtype),
            singles=self._tensor([row for row, _ in singles]),
            tables=tables,
            mask=mask,
            pieces=pieces,
            wanted=self._tensor(wanted),
            deltas=self._make_deltas(chunks),
        )

    def add_adapter(self, number: int, adapter: Adapter) -> None:
        self._adapters[number] = adapter

    def remove_adapter(self, number: int) -> None:
        del self._adapters[number]
        self._stacked = ([], 0, {})

    def _make_deltas(self, chunks: Sequence[StepChunk]) -> _Deltas | None:
        used = sorted({chunk.adapter for chunk in chunks if chunk.adapter})
        if not used:
            return None
        if used != self._stacked[0]:
            self._stacked = self._stack(used)
        _, rank, halves = self._stacked
        places = self._tensor([used.index(c.adapter) if c.adapter else -1 for c in chunks for _ in c.token_ids])
        one_hot = places[:, None] == torch.arange(len(used), device=self.device)
        return _Deltas(one_hot.repeat_interleave(rank, dim=1).to(self.dtype), halves)

    def _stack(self, used: list[int]) -> tuple[list[int], int, Mapping[str, tuple[torch.Tensor, torch.Tensor]]]:
        chosen = [self._adapters[number] for number in used]
        rank = max(adapter.rank for adapter in chosen)
        halves = {}
        for module in {module for adapter in chosen for module in adapter.deltas}:
            size_out, size_in = self._shapes[f"{module}.weight"]
            a, b = stack_deltas(chosen, {module: (size_in, size_out)}, rank)
            halves[module] = (
                torch.from_numpy(a).to(self.device, self.dtype),
                torch.from_numpy(b).to(self.device, self.dtype),
            )
        return used, rank, halves

    def _make_piece(self, chunk: StepChunk, start: int, length: int) -> _Piece:
        stop = start + len(chunk.token_ids)
        if chunk.position == 0:
            return _Piece(start, stop, None, length, None)
        num_blocks = -(-length // self.block_size)
        columns = torch.arange(length, device=self.device)
        mask = columns[None, :] <= columns[chunk.position :, None]
        return _Piece(start, stop, self._tensor(chunk.table[:num_blocks]), length, mask)

    def _pad(self, singles: Sequence[StepChunk]) -> tuple[torch.Tensor, torch.Tensor]:
        """Block tables of unequal length as one rectangle, and a mask that hides the padding."""
        lengths = [chunk.position + 1 for chunk in singles]
        width = -(-max(lengths, default=0) // self.block_size)
        tables = [[*chunk.table[:width], *[0] * (width - len(chunk.table))] for chunk in singles]
        columns = torch.arange(width * self.block_size, device=self.device)
        mask = columns[None, :] < self._tensor(lengths)[:, None]
        return self._tensor(tables), mask[:, None, None, :]

    def _tensor(self, values: Any) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.long, device=self.device)


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn each pair (i, i + head_dim/2) by its angle. x: ``(num_tokens, heads, head_dim)``."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
