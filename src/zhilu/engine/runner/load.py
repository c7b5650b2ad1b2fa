"""From a model folder to a torch runner: device, dtype and memory are chosen here, with reasons."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from zhilu.engine.config import ModelConfig
from zhilu.engine.options import EngineOptions, choose_kv_tokens, choose_threads
from zhilu.engine.weights import load_tensors
from zhilu.errors import InputError
from zhilu.logs import get_logger
from zhilu.messages import T

if TYPE_CHECKING:
    import torch

    from zhilu.engine.runner.torch import TorchRunner

__all__ = ["choose_device", "choose_dtype", "load_torch_runner"]

log = get_logger(__name__)


def load_torch_runner(config: ModelConfig, options: EngineOptions, max_len: int) -> TorchRunner:
    """Read the weights and make room for keys and values.

    Raises:
        InputError: the weights do not fit the configuration, or the memory asked for holds no whole sequence.
    """
    import psutil
    import torch

    from zhilu.engine.runner.torch import TorchRunner

    threads, why_threads = choose_threads(options.threads)
    torch.set_num_threads(threads)
    device, why_device = choose_device(options.device)
    dtype, why_dtype = choose_dtype(options.dtype, config, device)
    tensors = load_tensors(options.model, config)
    free = psutil.virtual_memory().available if device == "cpu" else torch.cuda.mem_get_info()[0]
    block_size = 16
    kv_tokens, why_kv = choose_kv_tokens(
        options.kv_tokens, max_len, options.max_num_seqs, config.kv_bytes_per_token(dtype.itemsize), free
    )
    log.info(
        "engine_choices",
        threads=f"{threads} ({why_threads})",
        device=f"{device} ({why_device})",
        dtype=f"{dtype} ({why_dtype})",
        kv_tokens=f"{kv_tokens} ({why_kv})",
    )
    return TorchRunner(
        config, tensors, num_blocks=-(-kv_tokens // block_size), block_size=block_size, dtype=dtype, device=device
    )


def choose_device(asked: str) -> tuple[str, str]:
    import torch

    if asked != "auto":
        if asked.startswith("cuda") and not torch.cuda.is_available():
            raise InputError(
                T(f"device {asked!r}: this PyTorch sees no CUDA GPU", f"设备 {asked!r}：当前 PyTorch 找不到 CUDA GPU"),
                param="device",
                fix="--device cpu",
            )
        return asked, "asked for"
    return ("cuda", "a CUDA GPU is there") if torch.cuda.is_available() else ("cpu", "no CUDA GPU")


def choose_dtype(asked: str, config: ModelConfig, device: str) -> tuple[torch.dtype, str]:
    """On a GPU the stored dtype. On a CPU float32, unless the weights are bfloat16 and a probe finds that faster.

    CPUs without AMX emulate bfloat16 products and are slower with them, so the answer is measured, not assumed.
    """
    import torch

    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if asked != "auto":
        if asked not in known:
            raise InputError(T(f"unknown dtype {asked!r}", f"未知的 dtype {asked!r}"), param="dtype")
        return known[asked], "asked for"
    if device != "cpu":
        return known.get(config.dtype or "", torch.bfloat16), "as stored"
    if config.dtype != "bfloat16":
        return torch.float32, f"stored as {config.dtype or 'float32'}; exact on a CPU"
    fp32, bf16 = _seconds_per_product(torch.float32, config), _seconds_per_product(torch.bfloat16, config)
    measured = f"probe: float32 {fp32 * 1e6:.0f} µs, bfloat16 {bf16 * 1e6:.0f} µs per MLP product"
    return (torch.bfloat16 if bf16 < 0.9 * fp32 else torch.float32), measured


def _seconds_per_product(dtype: torch.dtype, config: ModelConfig, rows: int = 8) -> float:
    """Best of a few products of the model's own MLP shape at a decoding batch of ``rows``."""
    import torch

    weight = torch.zeros(config.intermediate_size, config.hidden_size, dtype=dtype)
    x = torch.zeros(rows, config.hidden_size, dtype=dtype)
    best = float("inf")
    for _ in range(6):
        start = time.perf_counter()
        torch.nn.functional.linear(x, weight)
        best = min(best, time.perf_counter() - start)
    return best
