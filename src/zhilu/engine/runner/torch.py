"""The readable runner: a decoder in plain PyTorch over a paged key-value cache, on CPU or CUDA.

All tokens of a step are in one long row, ``(num_tokens, hidden)``, whichever sequences they belong to; norms, projections and the
MLP need not know. Only attention needs to know, in two shapes: sequences with one new token are computed together, with their
contexts padded to one length; longer pieces (prompts) are computed one by one. It is the reference for faster runners, and its
own greedy tokens equal those of transformers (tests/parity).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from zhilu.engine.model.adapters import Adapter, stack_deltas
from zhilu.engine.model.config import LayerConfig, ModelConfig, RopeConfig
from zhilu.engine.runner.base import Runner, StepChunk
from zhilu.engine.runner.rope import cos_and_sin, inverse_frequencies

__all__ = ["TorchRunner"]


@dataclass
class _Mlp:
    prefix: str  # of its weights' names
    gate_up: torch.Tensor  # (2 * intermediate, hidden)
    gate_up_bias: torch.Tensor | None
    down: torch.Tensor  # (hidden, intermediate)
    down_bias: torch.Tensor | None


@dataclass
class _Layer:
    """Weights of one block. Projections that read the same input are stacked: one matrix product instead of three."""

    prefix: str  # of its weights' names
    config: LayerConfig
    input_norm: torch.Tensor  # (hidden,)
    qkv: torch.Tensor  # ((heads + 2 * kv_heads) * head_dim, hidden)
    qkv_bias: torch.Tensor | None
    qk_norm: torch.Tensor | None  # (heads + kv_heads, head_dim)
    output: torch.Tensor  # (hidden, heads * head_dim)
    output_bias: torch.Tensor | None
    post_norm: torch.Tensor  # (hidden,)
    attention_out_norm: torch.Tensor | None  # (hidden,) of what attention gives
    mlp_out_norm: torch.Tensor | None
    mlps: list[_Mlp]  # one, or as many as there are experts
    router: torch.Tensor | None  # (experts, hidden)
    keys: torch.Tensor  # (num_blocks, block_size, kv_heads, head_dim): the paged cache
    values: torch.Tensor  # likewise


@dataclass
class _Piece:
    """A chunk of several tokens: rows ``start:stop`` of the step, attending to ``length`` tokens."""

    start: int
    stop: int
    table: torch.Tensor | None  # (blocks,); None where nothing came before, so the cache need not be read
    length: int
    masks: dict[int | None, torch.Tensor | None]  # by window, (tokens, length) bool; None: all that came before


@dataclass
class _Batch:
    """One step's chunks as tensors."""

    ids: torch.Tensor  # (num_tokens,)
    slots: torch.Tensor  # (num_tokens,) where each token's key and value go: block * block_size + offset
    turns: dict[RopeConfig, tuple[torch.Tensor, torch.Tensor]]  # cos and sin, (num_tokens, 1, head_dim / 2)
    singles: torch.Tensor  # (num_singles,) rows of the sequences with one new token
    tables: torch.Tensor  # (num_singles, max_blocks) padded with block 0
    masks: dict[
        int | None, torch.Tensor
    ]  # by window, (num_singles, 1, 1, max_blocks * block_size): True may be looked at
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
        self._frequencies = {rope: inverse_frequencies(rope, config.head_dim) for rope in config.ropes}
        self._windows = {layer.window for layer in config.layers}
        self._act: Callable[[torch.Tensor], torch.Tensor] = (
            F.silu if config.activation == "silu" else partial(F.gelu, approximate="tanh")
        )
        self._embedding = self._loaded(tensors["model.embed_tokens.weight"])
        self._final_norm = self._loaded(tensors["model.norm.weight"])
        self._unembedding = self._embedding if config.tied else self._loaded(tensors["lm_head.weight"])
        self._shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        self._adapters: dict[int, Adapter] = {}
        self._stacked: tuple[list[int], int, Mapping[str, tuple[torch.Tensor, torch.Tensor]]] = ([], 0, {})
        self._layers = [self._make_layer(tensors, f"model.layers.{i}.", layer) for i, layer in enumerate(config.layers)]

    def _loaded(self, *tensors: torch.Tensor) -> torch.Tensor:
        """On the device and in the dtype of the arithmetic, one below the other."""
        moved = [tensor.to(device=self.device, dtype=self.dtype) for tensor in tensors]
        return moved[0] if len(moved) == 1 else torch.cat(moved)

    def _make_layer(self, w: Mapping[str, torch.Tensor], prefix: str, layer: LayerConfig) -> _Layer:
        def found(*names: str, kind: str = "weight") -> torch.Tensor | None:
            there = [w[name] for name in (f"{prefix}{name}.{kind}" for name in names) if name in w]
            return self._loaded(*there) if there else None

        def weight(*names: str) -> torch.Tensor:
            stacked = found(*names)
            assert stacked is not None  # load_tensors has seen to it
            return stacked

        def mlp(place: str) -> _Mlp:
            gate_up, down = (f"{place}.gate_proj", f"{place}.up_proj"), f"{place}.down_proj"
            biases = found(*gate_up, kind="bias"), found(down, kind="bias")
            return _Mlp(f"{prefix}{place}.", weight(*gate_up), biases[0], weight(down), biases[1])

        config = self.config
        qkv = [f"self_attn.{name}_proj" for name in "qkv"]
        qk_norm = None
        if config.qk_norm:
            q, k = weight("self_attn.q_norm"), weight("self_attn.k_norm")
            qk_norm = torch.cat([q.expand(config.num_heads, -1), k.expand(config.num_kv_heads, -1)])
        cache_shape = (self.num_blocks, self.block_size, config.num_kv_heads, config.head_dim)
        places = [f"mlp.experts.{i}" for i in range(layer.num_experts)] or ["mlp"]
        return _Layer(
            prefix=prefix,
            config=layer,
            input_norm=weight("input_layernorm"),
            qkv=weight(*qkv),
            qkv_bias=found(*qkv, kind="bias"),
            qk_norm=qk_norm,
            output=weight("self_attn.o_proj"),
            output_bias=found("self_attn.o_proj", kind="bias"),
            attention_out_norm=found("post_self_attn_layernorm"),
            post_norm=weight("post_attention_layernorm"),
            mlps=[mlp(place) for place in places],
            router=found("mlp.gate"),
            mlp_out_norm=found("post_mlp_layernorm"),
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
        batch, scales = self._prepare(chunks), self.config.scales
        hidden = self._embedding[batch.ids] * scales.embedding  # (num_tokens, hidden)
        for layer in self._layers:
            added = self._attention(layer, self._norm(hidden, layer.input_norm), batch)
            hidden = hidden + self._normed_output(added, layer.attention_out_norm) * scales.residual
            added = self._mlp(layer, self._norm(hidden, layer.post_norm), batch)
            hidden = hidden + self._normed_output(added, layer.mlp_out_norm) * scales.residual
        # Only the last token of a sequence needs the whole vocabulary.
        last = self._norm(hidden[batch.wanted], self._final_norm)
        scores = _capped(F.linear(last, self._unembedding) * scales.logits, scales.logits_cap)
        logits: npt.NDArray[np.float32] = scores.float().cpu().numpy()
        return logits

    def _norm(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, (x.shape[-1],), weight, self.config.norm_eps)

    def _normed_output(self, x: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        return x if weight is None else self._norm(x, weight)

    def _mlp(self, layer: _Layer, x: torch.Tensor, batch: _Batch) -> torch.Tensor:
        if layer.router is not None:
            return self._experts(layer, x)
        mlp = layer.mlps[0]
        names = mlp.prefix + "gate_proj", mlp.prefix + "up_proj"
        gate, up = self._linear(x, mlp.gate_up, mlp.gate_up_bias, batch, *names).chunk(2, dim=-1)
        return self._linear(self._act(gate) * up, mlp.down, mlp.down_bias, batch, mlp.prefix + "down_proj")

    def _experts(self, layer: _Layer, x: torch.Tensor) -> torch.Tensor:
        """A mixture of experts: each token goes through the few that the router gives the largest shares."""
        assert layer.router is not None and self.config.experts is not None
        shares, chosen = F.linear(x, layer.router).softmax(-1, torch.float32).topk(self.config.experts.num_used)
        if self.config.experts.is_normalised:
            shares = shares / shares.sum(-1, keepdim=True)
        out = torch.zeros_like(x)
        for number in chosen.unique().tolist():  # each one once, with all tokens that chose it
            mlp, (rows, places) = layer.mlps[number], torch.where(chosen == number)
            gate, up = F.linear(x[rows], mlp.gate_up, mlp.gate_up_bias).chunk(2, dim=-1)
            y = F.linear(self._act(gate) * up, mlp.down, mlp.down_bias)
            out.index_add_(0, rows, y * shares[rows, places, None].to(x.dtype))
        return out

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
        if layer.config.rope is not None:
            qk = _rotate(qk, *batch.turns[layer.config.rope])
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
        mask = batch.masks[layer.config.window]
        return self._attend(grouped, keys, values, mask).reshape(count, heads, dim)

    def _attend_piece(
        self, layer: _Layer, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, piece: _Piece
    ) -> torch.Tensor:
        """Several tokens of one sequence. q: ``(tokens, heads, head_dim)``; k, v of these tokens only."""
        if piece.table is not None:  # what came before lies in the cache, and by now these tokens do, too
            k = layer.keys[piece.table].flatten(0, 1)[: piece.length]
            v = layer.values[piece.table].flatten(0, 1)[: piece.length]
        q, k, v = (t.transpose(0, 1)[None] for t in (q, k, v))  # (1, heads, tokens, head_dim)
        return self._attend(q, k, v, piece.masks[layer.config.window])[0].transpose(0, 1)

    def _attend(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """q, k, v: ``(batch, heads, tokens, head_dim)``, k and v of fewer heads perhaps; without a mask it is causal."""
        scale, cap = self.config.scales.attention, self.config.scales.attention_cap
        if cap is None:
            return F.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, is_causal=mask is None, scale=scale, enable_gqa=True
            )
        k, v = (t.repeat_interleave(q.shape[1] // t.shape[1], dim=1) for t in (k, v))
        assert mask is not None  # see _make_piece
        scores = _capped(q @ k.transpose(-1, -2) * scale, cap).masked_fill(~mask, -torch.inf)
        return scores.softmax(-1, torch.float32).to(q.dtype) @ v

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
        tables, masks = self._pad([chunk for _, chunk in singles])
        return _Batch(
            ids=self._tensor(ids),
            slots=self._tensor(slots),
            turns={rope: self._turns(rope, np.array(positions)) for rope in self._frequencies},
            singles=self._tensor([row for row, _ in singles]),
            tables=tables,
            masks=masks,
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

    def _turns(self, rope: RopeConfig, positions: npt.NDArray[Any]) -> tuple[torch.Tensor, torch.Tensor]:
        cos, sin = cos_and_sin(rope, self._frequencies[rope], positions)
        return self._angles(cos), self._angles(sin)

    def _angles(self, values: npt.NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(values)[:, None, :].to(device=self.device, dtype=self.dtype)

    def _make_piece(self, chunk: StepChunk, start: int, length: int) -> _Piece:
        stop = start + len(chunk.token_ids)
        columns = torch.arange(length, device=self.device)
        rows = columns[chunk.position :, None]
        masks: dict[int | None, torch.Tensor | None] = {
            window: (columns <= rows) & (columns > rows - (window or length)) for window in self._windows
        }
        if chunk.position > 0:
            num_blocks = -(-length // self.block_size)
            return _Piece(start, stop, self._tensor(chunk.table[:num_blocks]), length, masks)
        if self.config.scales.attention_cap is None:  # torch's own causal attention is the fastest
            masks |= {window: None for window in masks if window is None or window >= length}
        return _Piece(start, stop, None, length, masks)

    def _pad(self, singles: Sequence[StepChunk]) -> tuple[torch.Tensor, dict[int | None, torch.Tensor]]:
        """Block tables of unequal length as one rectangle, and masks that hide the padding and what a window hides."""
        lengths = [chunk.position + 1 for chunk in singles]
        width = -(-max(lengths, default=0) // self.block_size)
        tables = [[*chunk.table[:width], *[0] * (width - len(chunk.table))] for chunk in singles]
        columns = torch.arange(width * self.block_size, device=self.device)[None, :]
        ends = self._tensor(lengths)[:, None]
        masks = {
            window: ((columns < ends) & (columns >= ends - (window or width * self.block_size)))[:, None, None, :]
            for window in self._windows
        }
        return self._tensor(tables), masks

    def _tensor(self, values: Any) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.long, device=self.device)


def _capped(x: torch.Tensor, cap: float | None) -> torch.Tensor:
    return x if cap is None else cap * torch.tanh(x / cap)


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn each pair (i, i + head_dim/2) by its angle. x: ``(num_tokens, heads, head_dim)``."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
