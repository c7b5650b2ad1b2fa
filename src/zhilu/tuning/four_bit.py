"""The base in 4 bits (QLoRA, arXiv 2305.14314): NF4 blocks with quantised scales, made by bitsandbytes as the file is read.

One matrix at a time is read, rounded and given back, so that the base is never in memory in float32. Embeddings, the output
projection and norms keep float32. Gradients go through the blocks into adapters only.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from zhilu.engine.model.config import ModelConfig, read_config
from zhilu.engine.model.gguf import find_gguf
from zhilu.engine.model.weights import drop_pages, map_file, map_tensors, take_rows, weight_files
from zhilu.errors import InputError, MissingComponentError
from zhilu.messages import T
from zhilu.tuning.base_model import TARGETS, empty_base
from zhilu.tuning.runs import BaseWeights

__all__ = ["BITS", "INSTALL", "base_weights", "can_4_bits", "give_back", "load_base_in_4_bits", "require_4_bits"]

INSTALL = "pip install 'zhilu[qlora]'"
_NOT_MADE_FOR = {("darwin", "x86_64")}  # of the systems that PyTorch is made for
BITS = 4.13  # a weight: 4, an 8-bit scale for 64 of them, and a float32 for 256 scales


def require_4_bits() -> None:
    """
    Raises:
        MissingComponentError: bitsandbytes is not installed, or not made for this processor; says the one command.
    """
    if (sys.platform, platform.machine().lower()) in _NOT_MADE_FOR:
        raise MissingComponentError(
            T("A base in 4 bits (QLoRA) needs bitsandbytes, which is not made for Macs with an Intel processor; LoRA runs.",
              "4 位基座（QLoRA）需要 bitsandbytes，它不支持 Intel 处理器的 Mac；可使用 LoRA。"),
            code="qlora_impossible",
        )  # fmt: skip
    if find_spec("bitsandbytes") is None:
        raise MissingComponentError(
            T(
                "A base in 4 bits (QLoRA) needs bitsandbytes, which is not installed.",
                "4 位基座（QLoRA）需要 bitsandbytes，尚未安装。",
            ),
            code="qlora_missing",
            fix=INSTALL,
        )


def can_4_bits() -> bool:
    """Whether ``require_4_bits`` would let a run begin."""
    try:
        require_4_bits()
    except MissingComponentError:
        return False
    return True


def load_base_in_4_bits(folder: Path, precision: str = "float32") -> Any:
    """The model, frozen: projections in NF4, the rest in float32; adapters are added as to any other.

    Args:
        precision: what the projections are multiplied in, ``float32`` or ``bfloat16``; sums and adapters are float32.

    Raises:
        MissingComponentError: see ``require_4_bits``.
        UnsupportedError, InputError: the files are not of a model that the embedded engine could serve afterwards.
    """
    require_4_bits()
    import torch

    config = read_config(folder)
    model = empty_base(folder, config)
    linears = {
        f"{name}.weight": name
        for name, module in model.named_modules()
        if name.rpartition(".")[2] in TARGETS and isinstance(module, torch.nn.Linear)
    }
    tied = {"lm_head.weight"} if config.tied else set()
    left = set(model.state_dict())
    for name, tensor in _read(folder, config):
        if name not in left:
            if name in tied:
                continue
            raise _unknown(folder, name)
        left.discard(name)
        if name in linears:
            _put_linear(model, linears[name], tensor, getattr(torch, precision))
        else:
            owner, _, leaf = name.rpartition(".")
            _set(model.get_submodule(owner), leaf, tensor)
    model.tie_weights()
    if left - tied:
        raise _unknown(folder, sorted(left - tied)[0])
    mend(model)
    model.requires_grad_(False)
    model.is_loaded_in_4bit = True  # PEFT asks for it before it puts an adapter beside blocks
    model.config.use_cache = False
    return model


def mend(model: Any) -> None:
    """No kernels of AVX512-BF16: after the first answer without gradient they leave the blocks in another order, and the
    gradients of the steps that follow are off by half without a word (bitsandbytes 0.50.2, measured: 44 to 66 %)."""
    from bitsandbytes.nn import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


def base_weights(model: Any) -> BaseWeights:
    """What a base's weights take, by their tensors in memory, adapters left out."""
    quantized = num_quantized = others = 0
    for name, weight in model.named_parameters():
        state = getattr(weight, "quant_state", None)
        if state is not None:
            quantized += weight.nbytes + sum(part.nbytes for part in _scales(state))
            num_quantized += state.shape.numel()
        elif "lora_" not in name and "value_head" not in name:
            others += weight.nbytes
    return BaseWeights(quantized_parameters=num_quantized, quantized_bytes=quantized, other_bytes=others)


def give_back(model: Any) -> None:
    """Free the weights of a model that others still hold on to."""
    import torch

    for weight in model.parameters():
        weight.data = torch.empty(0, dtype=weight.dtype)
        if getattr(weight, "quant_state", None) is not None:
            weight.quant_state = None


def _scales(state: Any) -> list[Any]:
    parts = [state.absmax, state.code]
    if state.nested:
        parts += [state.offset, *_scales(state.state2)]
    return parts


def _read(folder: Path, config: ModelConfig) -> Iterator[tuple[str, Any]]:
    """Names as Transformers knows them, and tensors in float32, one at a time."""
    import torch

    sources = [map_tensors(folder, config)] if find_gguf(folder) else map(map_file, weight_files(folder))
    for tensors in sources:
        for name, tensor in tensors.items():
            yield name, torch.from_numpy(take_rows(tensor, slice(None)).copy())
            drop_pages(tensor)


def _put_linear(model: Any, name: str, weight: Any, dtype: Any) -> None:
    import torch
    from bitsandbytes.nn import Linear4bit, Params4bit

    owner, _, leaf = name.rpartition(".")
    old = getattr(model.get_submodule(owner), leaf)
    with torch.device("meta"):
        made = Linear4bit(old.in_features, old.out_features, bias=False, compute_dtype=dtype, quant_type="nf4")
    blocks: Any = Params4bit(weight, requires_grad=False, quant_type="nf4", module=made)
    made.weight = blocks.to("cpu")  # which is when they are made
    made.bias = old.bias
    setattr(model.get_submodule(owner), leaf, made)


def _set(module: Any, leaf: str, tensor: Any) -> None:
    import torch

    if leaf in module._buffers:
        module._buffers[leaf] = tensor
    else:
        module._parameters[leaf] = torch.nn.Parameter(tensor, requires_grad=False)


def _unknown(folder: Path, name: str) -> InputError:
    return InputError(
        T(f"{str(folder)!r}: the tensor {name!r} does not fit the model's configuration",
          f"{str(folder)!r}：张量 {name!r} 与模型配置不符"),
        code="bad_weights",
    )  # fmt: skip
