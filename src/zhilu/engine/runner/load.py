"""From a model folder to a runner: chooses runner, device, precision and memory, with a reason for each."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from zhilu.engine.model.config import ModelConfig, tensor_shapes
from zhilu.engine.model.quants import Quantized
from zhilu.engine.model.weights import Tensor, load_tensors, map_tensors, weight_files
from zhilu.engine.options import EngineOptions, choose_kv_tokens, choose_threads
from zhilu.engine.processor import processor
from zhilu.engine.runner.base import Runner
from zhilu.engine.runner.constants import ConstantFile, Constants
from zhilu.errors import InputError, MissingComponentError, UnsupportedError, nearest
from zhilu.logs import get_logger
from zhilu.messages import T
from zhilu.setup.require import has_torch, require_torch

if TYPE_CHECKING:
    import torch

    from zhilu.engine.runner.decoder_graph import Precision

__all__ = ["RUNNERS", "choose_device", "choose_dtype", "choose_precision", "choose_runner", "load_runner"]

log = get_logger(__name__)

# Less than this is made faster than a file is read.
_KEPT_BYTES = 16 * 2**20

# Memory of a loaded model by precision, bytes a parameter: OpenVINO keeps the weights as they are and reordered for its
# kernels, and bfloat16 widened in both (measured on 26 million parameters; stored as float32 it is 4 to 5).
_BYTES_PER_PARAMETER = {"full": 8, "int8": 2}

# Parameters of a model that is fast either way, so that exactness decides.
_SMALL = 100_000_000


def load_runner(
    config: ModelConfig, options: EngineOptions, max_len: int, check: Callable[[], None] = lambda: None
) -> Runner:
    """Choose a runner, read the weights and make room for keys and values.

    ``check`` is called before much memory or time is spent on the weights; what it raises ends the loading.

    Raises:
        InputError: the options contradict each other or name what is not there; the weights do not fit the
            configuration; the memory asked for holds no whole sequence.
        UnsupportedError, MissingComponentError: the runner asked for cannot run here.
    """
    threads, why_threads = choose_threads(options.threads)
    name, why_runner = choose_runner(options)
    why = {"runner": why_runner, "threads": why_threads}
    try:
        runner = RUNNERS[name](config, options, max_len, threads, why, check)
    except UnsupportedError as error:
        if name == options.runner or name == "torch":
            raise
        why = {"runner": error.message.en, "threads": why_threads}
        runner = RUNNERS["torch"](config, options, max_len, threads, why, check)
    log.info("engine_choices", **{key: value for key, value in runner.describe().items() if key != "why"}, why=why)
    return runner


def choose_runner(options: EngineOptions) -> tuple[str, str]:
    """OpenVINO on a CPU, PyTorch on a GPU or where OpenVINO is absent or cannot do what is asked for."""
    if options.runner != "auto":
        if options.runner not in RUNNERS:
            meant = nearest(options.runner, RUNNERS)
            raise InputError(
                T(
                    f"unknown runner {options.runner!r}; there are auto, {', '.join(RUNNERS)}",
                    f"未知的 runner {options.runner!r}；可用的是 auto、{'、'.join(RUNNERS)}",
                ),
                param="runner",
                fix=f"--runner {meant}" if meant else None,
            )
        return options.runner, "asked for"
    if options.device not in ("auto", "cpu"):
        return "torch", f"device {options.device} was asked for"
    if options.device == "auto" and _has_nvidia_driver() and has_torch() and choose_device("auto")[0] == "cuda":
        return "torch", "a CUDA GPU is there"
    if options.dtype not in ("auto", "float32", "bfloat16"):
        return "torch", f"dtype {options.dtype} was asked for"
    if find_spec("openvino") is None:
        return "torch", "OpenVINO is not installed"
    return "openvino", "fastest on a CPU"


def _has_nvidia_driver() -> bool:
    """A cheap question before the expensive one: importing torch takes seconds."""
    import shutil

    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def _load_openvino(
    config: ModelConfig,
    options: EngineOptions,
    max_len: int,
    threads: int,
    why: dict[str, str],
    check: Callable[[], None],
) -> Runner:
    import psutil

    try:
        from zhilu.engine.runner.decoder_graph import refuse_unbuilt
        from zhilu.engine.runner.openvino import OpenVINORunner, choose_arithmetic
    except ImportError as error:
        if find_spec("openvino") is None:
            raise MissingComponentError(
                T("OpenVINO is not installed", "没有安装 OpenVINO"), fix="python -m pip install openvino"
            ) from error
        raise UnsupportedError(
            T(f"this OpenVINO cannot be used: {error}", f"无法使用当前的 OpenVINO：{error}"), fix="--runner torch"
        ) from error
    if options.device not in ("auto", "cpu"):
        raise InputError(
            T(
                f"the OpenVINO runner computes on the CPU, not on {options.device!r}",
                f"OpenVINO runner 在 CPU 上计算，不支持 {options.device!r}",
            ),
            param="device",
            fix="--device cpu",
        )
    refuse_unbuilt(config)
    free = psutil.virtual_memory().available
    dtype, why["dtype"] = choose_arithmetic(options.dtype)
    tensors = map_tensors(options.model, config)
    has_blocks = any(isinstance(tensor, Quantized) for tensor in tensors.values())
    precision, why["precision"] = choose_precision(options.precision, config, free, has_blocks)
    constants = _constants(options, tensors, precision, dtype, threads)
    if not constants.is_mapped:
        check()  # making them takes longer than what the check waits for
    bytes_per_value = 4 if dtype == "float32" else 2
    kv_tokens, why["kv_tokens"] = choose_kv_tokens(
        options.kv_tokens,
        max_len,
        options.max_num_seqs,
        config.kv_bytes_per_token(bytes_per_value),
        free,
        may_shorten=options.max_len is None,
    )
    runner = OpenVINORunner(
        config,
        tensors,
        num_blocks=-(-kv_tokens // OpenVINORunner.block_size),
        dtype=dtype,
        precision=precision,
        threads=threads,
        why=why,
        constants=constants,
        check=check,
    )
    runner.why["constants"] = constants.describe()
    return runner


def _constants(
    options: EngineOptions, tensors: Mapping[str, Tensor], precision: Precision, dtype: str, threads: int
) -> Constants:
    """In a file, where a folder is given and there is much to be made."""
    matrices = [tensor for tensor in tensors.values() if len(tensor.shape) > 1]
    rounded = [tensor for tensor in matrices if precision == "int8" or isinstance(tensor, Quantized)]
    widened = [
        tensor
        for tensor in matrices
        if precision == "full"
        and dtype == "float32"
        and not isinstance(tensor, Quantized)
        and tensor.dtype != np.float32
    ]
    num_bytes = sum(tensor.size for tensor in rounded) + sum(4 * tensor.size for tensor in widened)
    if options.cache is None or num_bytes < _KEPT_BYTES:
        return Constants(threads)
    how = f"{precision} float32" if widened else precision
    return ConstantFile(options.cache, _owner(options.model), weight_files(options.model), how, num_bytes, threads)


def _owner(model: Path) -> str:
    """The model's name, as its folder has it: a model of the store takes its constants along when it is removed."""
    return (model.parent if model.is_file() else model).resolve().name


def choose_precision(
    asked: str, config: ModelConfig, free_bytes: int, has_blocks: bool = False
) -> tuple[Precision, str]:
    """Full, whose greedy tokens are transformers', as long as it fits; int8 is about twice as fast and not exact.

    A GGUF file's blocks were rounded to 4 to 6 bits when it was made. Where the processor multiplies 8-bit integers at once,
    int8 computes twice as fast with them and adds little to that rounding (``benchmarks/serve.py``, ``gguf_parity.py``).
    """
    if asked != "auto":
        if asked not in _BYTES_PER_PARAMETER:
            raise InputError(
                T(
                    f"unknown precision {asked!r}; there are auto, {', '.join(_BYTES_PER_PARAMETER)}",
                    f"未知的 precision {asked!r}；可用的是 auto、{'、'.join(_BYTES_PER_PARAMETER)}",
                ),
                param="precision",
            )
        return cast("Precision", asked), "asked for"
    num_parameters = sum(math.prod(shape) for _, shape in tensor_shapes(config))
    if has_blocks:
        if num_parameters < _SMALL:
            return "full", "exact: the file's own blocks; a small model is fast enough with them"
        if not processor().multiplies_int8:
            return "full", "exact: the file's own blocks; this processor is not faster with int8"
        if num_parameters * _BYTES_PER_PARAMETER["int8"] > free_bytes // 2:
            return "full", "exact: the file's own blocks; as int8 they would take more than half of the free memory"
        return (
            "int8",
            "twice as fast on this processor as the file's own blocks, which are rounded more coarsely than int8",
        )
    needed = num_parameters * _BYTES_PER_PARAMETER["full"]
    if needed <= free_bytes // 2:
        return "full", "exact: the same greedy tokens as transformers"
    needed_gb, free_gb = needed / 2**30, free_bytes / 2**30
    return "int8", f"in full precision the weights would take {needed_gb:.1f} of {free_gb:.1f} GB of free memory"


def _load_torch(
    config: ModelConfig,
    options: EngineOptions,
    max_len: int,
    threads: int,
    why: dict[str, str],
    check: Callable[[], None],
) -> Runner:
    import psutil

    check()

    if options.precision == "int8":
        raise InputError(
            T("the torch runner computes in full precision only", "torch runner 只支持完整精度"),
            param="precision",
            fix="--precision full",
        )
    require_torch(T(f"The torch runner ({why['runner']})", f"torch 运行器（{why['runner']}）"))
    try:
        import torch
    except ImportError as error:
        raise MissingComponentError(
            T(
                f"PyTorch cannot be imported ({error}), and OpenVINO does not run this: {why['runner']}",
                f"无法导入 PyTorch（{error}），而 OpenVINO 也不能运行：{why['runner']}",
            ),
            fix="zhilu doctor",
        ) from error

    from zhilu.engine.runner.torch import TorchRunner

    torch.set_num_threads(threads)
    device, why["device"] = choose_device(options.device)
    dtype, why["dtype"] = choose_dtype(options.dtype, config, device)
    tensors = load_tensors(options.model, config)
    _refuse_not_finite(tensors)
    free = psutil.virtual_memory().available if device == "cpu" else torch.cuda.mem_get_info()[0]
    block_size = 16
    kv_tokens, why["kv_tokens"] = choose_kv_tokens(
        options.kv_tokens,
        max_len,
        options.max_num_seqs,
        config.kv_bytes_per_token(dtype.itemsize),
        free,
        may_shorten=options.max_len is None,
    )
    num_blocks = -(-kv_tokens // block_size)
    return TorchRunner(
        config, tensors, num_blocks=num_blocks, block_size=block_size, dtype=dtype, device=device, why=why
    )


def _refuse_not_finite(tensors: Mapping[str, torch.Tensor]) -> None:
    """A sum is not finite if one of its terms is not, and needs no second copy of the tensor to say so."""
    import torch

    for name, tensor in tensors.items():
        if not math.isfinite(tensor.sum(dtype=torch.float32).item()):
            raise InputError(
                T(f"the weights hold NaN or infinity: {name}", f"权重中含有 NaN 或无穷大：{name}"), code="bad_weights"
            )


_Load = Callable[[ModelConfig, EngineOptions, int, int, dict[str, str], Callable[[], None]], Runner]
RUNNERS: Mapping[str, _Load] = {"openvino": _load_openvino, "torch": _load_torch}


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
