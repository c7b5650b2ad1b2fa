"""The fast runner for CPUs: the graph of ``decoder_graph.py``, compiled by OpenVINO, over a cache that this runner owns.

The block tables are the engine's own: each step hands them to PagedAttention as flat lists. Compiling takes about a second, and
happens again when the first adapter is loaded, because the graph contains no adapters before. A small model has a second graph
of fixed sizes for the step of a single stream. Nothing here imports torch. In full precision its greedy tokens equal those of
transformers (tests/parity).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino

from zhilu.engine.model.adapters import Adapter, stack_deltas
from zhilu.engine.model.config import ModelConfig
from zhilu.engine.model.quants import Quantized
from zhilu.engine.model.weights import Tensor, as_bfloat16, dropping_pages, release_pages, take_rows
from zhilu.engine.runner.base import Runner, StepChunk
from zhilu.engine.runner.constants import Constants
from zhilu.engine.runner.decoder_graph import BLOCK_SIZE, Precision, build_decoder, marked_ropes
from zhilu.engine.runner.rope import cos_and_sin, inverse_frequencies
from zhilu.errors import InputError, UnsupportedError
from zhilu.messages import T

__all__ = ["LONE_BYTES", "OpenVINORunner", "choose_arithmetic"]

_KINDS = {"float32": "f32", "bfloat16": "bf16"}

# Activations are rounded on the fly in groups of this many values. Measured with int8 weights on 26 million random
# parameters, 8 sequences, one core: 901 tokens/s without, 1,681 with 32; a logit's largest error grew from 0.17 to 0.22.
_ACTIVATION_GROUP = {"full": 0, "int8": 32}

# Kernels kept for shapes that were seen, where every length of a step is a shape of its own: 5,000 by default. Measured on
# 26 million random parameters, 199 steps of mixed lengths: 431 MB by default, 408 MB with 100, at the same speed.
_KEPT_KERNELS = 100

# Deltas of so many recently used adapters stay stacked: each one costs its columns in every product, and stacking anew
# costs a copy of them all.
_KEPT_ADAPTERS = 4

# One stream's step is mostly the plugin's work around small products, and a graph of fixed sizes saves a fifth of it: 26
# million random parameters, int8, two cores: 1.34 ms to 1.01 ms. It holds the weights once more, so only where they are small.
LONE_BYTES = 128 * 2**20


class OpenVINORunner(Runner):
    """
    Args:
        tensors: the model's weights by Hugging Face name (see ``weights.map_tensors``).
        num_blocks: size of the key-value memory, in blocks of 32 tokens.
        dtype: of cache and arithmetic: float32 or bfloat16.
        check: called when the graph is compiled, before the weights take memory.

    Raises:
        UnsupportedError: this OpenVINO or this CPU cannot run the graph.
    """

    block_size = BLOCK_SIZE

    def __init__(
        self,
        config: ModelConfig,
        tensors: Mapping[str, Tensor],
        *,
        num_blocks: int,
        dtype: str = "float32",
        precision: Precision = "full",
        threads: int = 1,
        why: Mapping[str, str] | None = None,
        constants: Constants | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.config = config
        self.num_blocks = num_blocks
        self.vocab_size = config.vocab_size
        self.dtype = dtype
        self.precision = precision
        self.threads = threads
        self.why = dict(why or {})
        self._constants = constants or Constants()
        self._tensors = tensors  # the graph reads from them, and embeddings are looked up here
        self._embedding = tensors["model.embed_tokens.weight"]
        self._ropes = {
            mark: (rope, inverse_frequencies(rope, config.head_dim)) for mark, rope in marked_ropes(config).items()
        }
        self._adapters: dict[int, Adapter] = {}
        self._resident: list[int] = []  # adapters whose deltas lie in the graph's inputs, most recently used first
        self._resident_rank = 0
        self._stacked: list[npt.NDArray[Any]] = []  # the memory of the deltas in the graph's inputs
        self._mask_widths: list[int] = []  # how many projections side by side the graph's masks are for
        self._prepared: dict[frozenset[str], Any] = {}  # compiled graphs by the projections that carry deltas
        self._delta_kinds: frozenset[str] = frozenset()
        self._lone: Any = None  # the request for one token of one sequence, without an adapter
        try:
            compiled = self._compile(self._delta_kinds)
            self._caches = self._make_caches(compiled)
            self._use(compiled)
            if self._weight_bytes() <= LONE_BYTES:
                self._lone = self._request_of(self._compile(frozenset(), is_lone=True))
            self._constants.finish()
            check()
            self._warm_up()
            self._release()
        except RuntimeError as error:
            reason = " ".join(str(error).split())[-300:]
            raise UnsupportedError(
                T(f"OpenVINO cannot run this model here: {reason}", f"OpenVINO 无法在此运行该模型：{reason}"),
                code="unsupported_model",
                fix="--runner torch",
            ) from error

    def _warm_up(self) -> None:
        """One step of one token and one of several: the plugin reorders weights when it first needs them.

        What they leave in block 0 is never read: a block is written before its place counts as computed.
        """
        with dropping_pages([*self._tensors.values(), *self._constants.arrays().values()]):
            for count in (1, 2):
                self.run([StepChunk([0] * count, 0, [0], num_logits=1)])

    def _release(self) -> None:
        """The plugin has its own copies of the weights: what they came from need not stay in memory."""
        release_pages(self._tensors)
        release_pages(self._constants.arrays())

    def _weight_bytes(self) -> int:
        size = 1 if self.precision == "int8" else 4 if self.dtype == "float32" else 2
        return sum(
            tensor.nbytes if isinstance(tensor, Quantized) else tensor.size * size for tensor in self._tensors.values()
        )

    def _compile(self, delta_kinds: frozenset[str], is_lone: bool = False) -> Any:
        kind = _KINDS[self.dtype]
        properties = {
            "INFERENCE_PRECISION_HINT": kind,
            "KV_CACHE_PRECISION": kind,
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": _ACTIVATION_GROUP[self.precision],
            "INFERENCE_NUM_THREADS": self.threads,
            "PERFORMANCE_HINT": "LATENCY",
            "CPU_RUNTIME_CACHE_CAPACITY": _KEPT_KERNELS,
            # Several engines may share the machine: pinned, they would sit on the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        model = build_decoder(
            self.config, self._tensors, self.precision, delta_kinds, self.dtype != "float32", is_lone, self._constants
        )
        return openvino.Core().compile_model(model, "CPU", properties)

    def _make_caches(self, compiled: Any) -> dict[str, tuple[Any, Any]]:
        """Zeroed memory for every cache input. NumPy asks the system for pages that cost nothing until used."""
        caches = {}
        for port in compiled.inputs:
            if "_cache." not in port.any_name:
                continue
            shape = [self.num_blocks, *(size.get_length() for size in list(port.partial_shape)[1:])]
            memory = np.zeros(shape, np.float32 if self.dtype == "float32" else np.uint16)
            caches[port.any_name] = openvino.Tensor(memory, shape, port.element_type), memory
        return caches

    def _use(self, compiled: Any) -> None:
        """Compute with this graph from now on, over the same cache."""
        self._compiled = compiled
        self._request = self._request_of(compiled)
        names = [port.any_name for port in compiled.inputs]
        self._mask_widths = [int(name.removeprefix("delta_mask.")) for name in names if name.startswith("delta_mask.")]

    def _request_of(self, compiled: Any) -> Any:
        request = compiled.create_infer_request()
        for name, (tensor, _) in self._caches.items():
            request.set_tensor(name, tensor)
        return request

    def prepare_adapter(self, adapter: Adapter) -> None:
        kinds = self._delta_kinds | adapter.kinds
        if kinds != self._delta_kinds and kinds not in self._prepared:
            self._prepared[kinds] = self._compile(kinds)
            self._release()

    def add_adapter(self, number: int, adapter: Adapter) -> None:
        self.prepare_adapter(adapter)  # where nobody has
        self._adapters[number] = adapter
        self._switch(self._delta_kinds | adapter.kinds)

    def remove_adapter(self, number: int) -> None:
        del self._adapters[number]
        self._resident = []
        if not self._adapters:
            self._switch(frozenset())

    def _switch(self, delta_kinds: frozenset[str]) -> None:
        """Change to the graph with these deltas; only one is kept, since each holds the weights."""
        if delta_kinds == self._delta_kinds:
            return
        compiled = self._prepared.pop(delta_kinds, None) or self._compile(delta_kinds)
        self._prepared.clear()
        self._delta_kinds = delta_kinds
        self._resident = []
        self._use(compiled)

    def _make_resident(self, used: set[int]) -> None:
        """Stack the deltas of the adapters that this step needs; those used last stay beside them."""
        if self._resident and used <= set(self._resident):
            return
        others = [number for number in self._resident if number not in used]
        self._resident = [*sorted(used), *others][: max(len(used), _KEPT_ADAPTERS)] or list(self._adapters)[:1]
        chosen = [self._adapters[number] for number in self._resident]
        self._resident_rank = max(adapter.rank for adapter in chosen)
        self._stacked = []
        for port in self._compiled.inputs:
            group, _, half = port.any_name.rpartition(".")
            if half in ("a", "b"):
                modules = {name: self._tensors[f"{name}.weight"].shape[::-1] for name in group.split("+")}
                array = stack_deltas(chosen, modules, self._resident_rank)[half == "b"]
                kept = array if self.dtype == "float32" else as_bfloat16(array)
                self._stacked.append(kept)
                self._request.set_tensor(port, openvino.Tensor(kept, kept.shape, port.element_type))

    def _masks(self, chunks: Sequence[StepChunk]) -> dict[str, npt.NDArray[np.float32]]:
        """``delta_mask.k``: ``(num_tokens, k * n * rank)``, one in the columns of the token's own adapter."""
        self._make_resident({chunk.adapter for chunk in chunks if chunk.adapter})
        places = {number: place for place, number in enumerate(self._resident)}
        rows = [places.get(chunk.adapter, -1) for chunk in chunks for _ in chunk.token_ids]
        one_hot = np.array(rows)[:, None] == np.arange(len(self._resident))
        mask = one_hot.repeat(self._resident_rank, axis=1).astype(np.float32)
        return {f"delta_mask.{count}": np.tile(mask, (1, count)) for count in self._mask_widths}

    def describe(self) -> dict[str, Any]:
        return {
            "runner": "openvino",
            "dtype": self.dtype,
            "precision": self.precision,
            "device": "cpu",
            "threads": self.threads,
            "num_blocks": self.num_blocks,
            "block_size": self.block_size,
            "why": self.why,
        }

    def run(self, chunks: Sequence[StepChunk]) -> npt.NDArray[np.float32]:
        inputs, request = self._lay_out(chunks), self._request
        if self._lone and len(chunks) == 1 and _is_lone(chunks[0]):
            request = self._lone
        elif self._adapters:
            inputs.update(self._masks(chunks))
        for name, array in inputs.items():
            request.set_tensor(name, openvino.Tensor(array))
        request.infer()
        logits: npt.NDArray[np.float32] = request.get_output_tensor(0).data
        return logits

    def _lay_out(self, chunks: Sequence[StepChunk]) -> dict[str, npt.NDArray[Any]]:
        """The step as the graph's inputs (see ``build_decoder``)."""
        ids = [id for chunk in chunks for id in chunk.token_ids]
        counts = [len(chunk.token_ids) for chunk in chunks]
        lengths = [chunk.position + count for chunk, count in zip(chunks, counts, strict=True)]
        tables = [chunk.table[: -(-length // BLOCK_SIZE)] for chunk, length in zip(chunks, lengths, strict=True)]
        begins = [0, *accumulate(counts)]
        positions = np.concatenate([np.arange(c.position, end) for c, end in zip(chunks, lengths, strict=True)])
        integers = {
            "wanted": [
                row for chunk, end in zip(chunks, begins[1:], strict=True) for row in range(end - chunk.num_logits, end)
            ],
            "past_lens": [chunk.position for chunk in chunks],
            "subsequence_begins": begins,
            "block_indices": [block for table in tables for block in table],
            "block_indices_begins": [0, *accumulate(map(len, tables))],
            "max_context_len": max(lengths),
        }
        hidden, scale = take_rows(self._embedding, ids), self.config.scales.embedding
        return {
            "hidden": hidden if scale == 1 else hidden * np.float32(scale),
            **self._turns(positions),
            **{name: np.array(value, np.int32) for name, value in integers.items()},
        }

    def _turns(self, positions: npt.NDArray[Any]) -> dict[str, npt.NDArray[np.float32]]:
        """``cos``, ``sin``: ``(T, 1, 1, head_dim)``, the second half like the first."""
        made = {}
        for mark, (rope, frequencies) in self._ropes.items():
            for name, half in zip(("cos", "sin"), cos_and_sin(rope, frequencies, positions), strict=True):
                made[name + mark] = np.concatenate([half, half], axis=1)[:, None, None, :]
        return made


def _is_lone(chunk: StepChunk) -> bool:
    return len(chunk.token_ids) == chunk.num_logits == 1 and not chunk.adapter


def choose_arithmetic(asked: str) -> tuple[str, str]:
    """float32, which is exact, unless bfloat16 is asked for and the CPU multiplies it (UnsupportedError if not)."""
    if asked == "auto":
        return "float32", "exact on a CPU"
    if asked not in _KINDS:
        raise InputError(
            T(
                f"dtype {asked!r}: the OpenVINO runner knows {', '.join(_KINDS)}",
                f"dtype {asked!r}：OpenVINO runner 支持 {', '.join(_KINDS)}",
            ),
            param="dtype",
            fix="--dtype float32",
        )
    if asked == "bfloat16" and "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise UnsupportedError(
            T("this CPU has no bfloat16 arithmetic for OpenVINO", "此 CPU 不支持 OpenVINO 的 bfloat16 运算"),
            param="dtype",
            fix="--dtype float32",
        )
    return asked, "asked for"
