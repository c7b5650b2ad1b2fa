"""1.4: the model as its own files describe it: every block's tensors, parameters, bytes and arithmetic."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from zhilu.engine.model.config import read_config, tensor_shapes
from zhilu.engine.model.quants import Quantized
from zhilu.engine.model.weights import Tensor, map_tensors, take_rows
from zhilu.engine.observe import Observer, attention_weights, rms_norm
from zhilu.errors import NotFoundError, nearest
from zhilu.lens.subject import Subject
from zhilu.messages import T

__all__ = ["KINDS", "ArchitectureOut", "Histogram", "Part", "ShareGuess", "ShareTruth", "histogram", "judge", "look"]

Kind = Literal["embedding", "attention", "feedforward", "norm", "output"]
KINDS: tuple[Kind, ...] = ("embedding", "attention", "feedforward", "norm", "output")
_NEAR = 3.0  # points of a hundred
_ROWS = 4096  # of a tensor that a histogram looks at, spread over all of it

_SOURCE: dict[Kind, Callable[..., Any]] = {
    "embedding": Observer.embed,
    "attention": attention_weights,
    "feedforward": Observer.block,
    "norm": rms_norm,
    "output": Observer.logits,
}


class TensorOut(BaseModel):
    """``flops``: multiplications and additions for one token."""

    name: str
    kind: Kind
    layer: int | None
    shape: list[int]
    parameters: int
    bytes: int
    flops: int


class Part(BaseModel):
    """One kind of part over the whole model. ``source``: the engine's own lines that compute it."""

    kind: Kind
    parameters: int
    share: float  # of a hundred
    bytes: int
    flops: int
    file: str
    line: int
    source: str


class ArchitectureOut(BaseModel):
    model: str
    architecture: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    context: int
    tied: bool
    parameters: int
    bytes: int
    flops: int  # for one token, without the attention scores
    score_flops: int  # for one token, for each token it looks at
    kv_bytes: int  # in 16 bits, for one token of context
    parts: list[Part]
    tensors: list[TensorOut]


class Histogram(BaseModel):
    name: str
    low: float
    high: float
    counts: list[int]
    mean: float
    deviation: float
    sampled: bool


class ShareGuess(BaseModel):
    """A prediction: the share of each kind in the parameters, of a hundred."""

    model_config = ConfigDict(extra="forbid")
    model: str | None = None
    shares: dict[Kind, float]


class ShareTruth(BaseModel):
    model: str
    shares: dict[Kind, float]
    off: dict[Kind, float]
    passed: bool


def look(subject: Subject) -> ArchitectureOut:
    """Counted from the headers of the weights; nothing is taken from a name or a stated size."""
    config = read_config(subject.folder)
    mapped = map_tensors(subject.folder, config)
    tensors = [_tensor(name, tensor, config.tied) for name, tensor in mapped.items()]
    total = sum(t.parameters for t in tensors)
    return ArchitectureOut(
        model=subject.name,
        architecture=config.architecture,
        layers=config.num_layers,
        hidden=config.hidden_size,
        heads=config.num_heads,
        kv_heads=config.num_kv_heads,
        head_dim=config.head_dim,
        intermediate=config.intermediate_size,
        vocabulary=config.vocab_size,
        context=config.max_positions,
        tied=config.tied,
        parameters=total,
        bytes=sum(t.bytes for t in tensors),
        flops=sum(t.flops for t in tensors),
        score_flops=4 * config.num_layers * config.num_heads * config.head_dim,
        kv_bytes=config.kv_bytes_per_token(2),
        parts=[_part(kind, [t for t in tensors if t.kind == kind], total) for kind in KINDS],
        tensors=tensors,
    )


def histogram(subject: Subject, name: str, bins: int = 61) -> Histogram:
    """How the numbers of one tensor are spread; of a large one, rows taken evenly from all of it.

    Raises:
        NotFoundError: no such tensor.
    """
    config = read_config(subject.folder)
    mapped = map_tensors(subject.folder, config)
    if name not in mapped:
        close = nearest(name, list(mapped))
        raise NotFoundError(
            T(
                f"{subject.name} has no tensor {name!r}" + (f"; the nearest is {close!r}" if close else ""),
                f"{subject.name} 没有张量 {name!r}" + (f"；最接近的是 {close!r}" if close else ""),
            ),
            param="name",
        )
    tensor = mapped[name]
    rows = tensor.shape[0]
    step = max(1, rows // _ROWS)
    values = take_rows(tensor, list(range(0, rows, step)) if step > 1 else slice(None))
    edge = float(np.abs(values).max()) or 1.0
    counts, _ = np.histogram(values, bins=bins, range=(-edge, edge))
    return Histogram(
        name=name,
        low=-edge,
        high=edge,
        counts=counts.tolist(),
        mean=float(values.mean()),
        deviation=float(values.std()),
        sampled=step > 1,
    )


def judge(subject: Subject, guess: ShareGuess) -> ShareTruth:
    """Passed where each share is right to three points of a hundred."""
    shares = {part.kind: round(part.share, 2) for part in look(subject).parts}
    off = {kind: round(abs(guess.shares.get(kind, 0.0) - share), 2) for kind, share in shares.items()}
    return ShareTruth(model=subject.name, shares=shares, off=off, passed=max(off.values()) <= _NEAR)


def stated_parameters(subject: Subject) -> int:
    """What the configuration alone says there must be: the other way to count."""
    return sum(int(np.prod(shape)) for _, shape in tensor_shapes(read_config(subject.folder)))


def _tensor(name: str, tensor: Tensor, tied: bool) -> TensorOut:
    kind, count = _kind(name), int(np.prod(tensor.shape))
    flops = 2 * count if len(tensor.shape) > 1 and (kind != "embedding" or tied) else 0
    size = tensor.rows.nbytes if isinstance(tensor, Quantized) else tensor.nbytes
    layer = int(name.split(".")[2]) if name.startswith("model.layers.") else None
    return TensorOut(
        name=name, kind=kind, layer=layer, shape=list(tensor.shape), parameters=count, bytes=size, flops=flops
    )


def _kind(name: str) -> Kind:
    if "norm" in name:
        return "norm"
    if ".self_attn." in name:
        return "attention"
    if ".mlp." in name:
        return "feedforward"
    return "embedding" if "embed" in name else "output"


def _part(kind: Kind, tensors: list[TensorOut], total: int) -> Part:
    function = _SOURCE[kind]
    lines, line = inspect.getsourcelines(function)
    count = sum(t.parameters for t in tensors)
    return Part(
        kind=kind,
        parameters=count,
        share=100 * count / total,
        bytes=sum(t.bytes for t in tensors),
        flops=sum(t.flops for t in tensors),
        file="zhilu/" + Path(inspect.getfile(function)).as_posix().rpartition("/zhilu/")[2],
        line=line,
        source=inspect.cleandoc("".join(lines)) if not lines[0].startswith(" ") else "".join(lines),
    )
