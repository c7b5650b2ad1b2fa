"""Tensors from safetensors or GGUF. Every disagreement with ``config.json`` is reported at once.

Pickled checkpoints (``pytorch_model.bin``) are refused, because unpickling runs code.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from zhilu.engine.model.bfloat16 import as_bfloat16, as_float32
from zhilu.engine.model.config import ModelConfig, read_json, tensor_shapes
from zhilu.engine.model.gguf import find_gguf, read_gguf
from zhilu.engine.model.gguf_model import gguf_tensors
from zhilu.engine.model.layout import in_our_layout
from zhilu.engine.model.quants import Quantized
from zhilu.errors import InputError, NotFoundError
from zhilu.messages import T

if TYPE_CHECKING:
    import torch

__all__ = [
    "Tensor",
    "as_bfloat16",
    "as_float32",
    "check_finite",
    "drop_pages",
    "dropping_pages",
    "load_tensors",
    "map_file",
    "map_tensors",
    "release_pages",
    "take_rows",
    "weight_files",
    "weights_sha256",
]

Tensor = npt.NDArray[Any] | Quantized

# Derived values that old checkpoints store and nobody reads back.
_DERIVED = (".rotary_emb.inv_freq",)

# The format allows 100 MB, of which a parser makes gigabytes; 100,000 tensors, more than any model has, take 13 MB.
_MOST_HEADER_BYTES = 16 * 2**20

_NUMPY: Mapping[str, type] = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16}


def weight_files(folder: Path) -> list[Path]:
    """The files of a model's weights, one or several; NotFoundError if there are none that are read."""
    if gguf := find_gguf(folder):
        return [gguf]
    single = folder / "model.safetensors"
    if single.is_file():
        return [single]
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        weight_map = read_json(index).get("weight_map")
        names = sorted({str(name) for name in weight_map.values()}) if isinstance(weight_map, dict) else []
        absent = [name for name in names if Path(name).name != name or not (folder / name).is_file()]
        if absent or not names:
            raise NotFoundError(
                T(
                    f"{str(index)!r} names files that are not there: {absent}",
                    f"{str(index)!r} 中列出的文件不存在：{absent}",
                )
            )
        return [folder / name for name in names]
    pickled = sorted(path.name for path in folder.glob("*.bin"))
    raise NotFoundError(
        T(
            f"no safetensors weights in {str(folder)!r}"
            + (f"; {pickled[0]!r} is a pickle, which can run code and is refused" if pickled else ""),
            f"{str(folder)!r} 中没有 safetensors 权重"
            + (f"；{pickled[0]!r} 是 pickle 文件，可能执行代码，因此拒绝加载" if pickled else ""),
        )
    )


def weights_sha256(folder: Path) -> str:
    """SHA-256 over the weight files of a model, in their order; a file that has not changed is read once (1.5 GB a second)."""
    seen = [(path, path.stat()) for path in weight_files(folder)]
    return _sha256(tuple((str(path), stat.st_size, stat.st_mtime_ns) for path, stat in seen))


@lru_cache(maxsize=32)
def _sha256(files: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for path, _, _ in files:
        with open(path, "rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


def load_tensors(folder: Path, config: ModelConfig, device: str = "cpu") -> dict[str, torch.Tensor]:
    """All tensors of the model in the engine's layout, for PyTorch on ``device``, in their stored dtype; blocks as float32.

    On a CPU they are views of the mapped files, which nothing may write to.

    Raises:
        InputError: tensors are missing, unexpected or of another shape; the message lists them.
    """
    import torch

    def as_torch(tensor: Tensor) -> torch.Tensor:
        if isinstance(tensor, Quantized):
            return torch.from_numpy(take_rows(tensor, slice(None)).copy())
        bits = tensor.view(np.int16) if tensor.dtype == np.uint16 else tensor
        made = torch.from_numpy(bits)
        return made.view(torch.bfloat16) if tensor.dtype == np.uint16 else made

    return {name: as_torch(tensor).to(device) for name, tensor in map_tensors(folder, config).items()}


def map_tensors(folder: Path, config: ModelConfig) -> dict[str, Tensor]:
    """The same for NumPy, as views of the mapped files: a page is read when it is touched and need not be kept. (Rows that
    ``layout.py`` has to reorder are copies.)

    Matrices of a GGUF file come as its blocks.

    NumPy has no bfloat16: such a tensor comes as its bits, in uint16 (see ``as_float32``). The views are writable, since
    OpenVINO wants them so, but private: nothing reaches the file.

    Raises:
        InputError: as above, or a tensor is neither float32, float16 nor bfloat16.
    """
    if gguf := find_gguf(folder):
        return _checked(gguf_tensors(read_gguf(gguf)), config)
    tensors: dict[str, npt.NDArray[Any]] = {}
    for path in weight_files(folder):
        tensors.update(map_file(path))
    return _checked(in_our_layout(tensors, config), config)


def map_file(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The tensors of one safetensors file, as ``map_tensors`` describes them, whatever their names and shapes."""
    with path.open("rb") as head:
        size = int.from_bytes(head.read(8), "little")
    if _MOST_HEADER_BYTES < size <= path.stat().st_size:
        limit = _MOST_HEADER_BYTES // 2**20
        raise InputError(
            T(f"{str(path)!r}: its header is larger than {limit} MiB", f"{str(path)!r}：文件头超过 {limit} MiB"),
            code="bad_weights",
        )
    with _opened(path):
        pass  # the library checks header and sizes, so that what follows need not
    mapped = np.memmap(path, np.uint8, "c")
    start = 8 + int.from_bytes(mapped[:8].tobytes(), "little")
    return {
        name: _view(path, name, mapped[start:], entry)
        for name, entry in json.loads(mapped[8:start].tobytes()).items()
        if name != "__metadata__" and not name.endswith(_DERIVED)
    }


def check_finite(name: str, array: npt.NDArray[Any]) -> None:
    """InputError where a weight is NaN or infinite: the answers would be noise, or nothing."""
    step = max(1, 2**20 // max(1, array.size // max(1, len(array))))  # rows at once
    if not all(np.isfinite(as_float32(array[start : start + step])).all() for start in range(0, len(array), step)):
        raise InputError(
            T(f"the weights hold NaN or infinity: {name}", f"权重中含有 NaN 或无穷大：{name}"), code="bad_weights"
        )


def release_pages(tensors: Mapping[str, Tensor]) -> None:
    """Give back the memory of mapped tensors that were read once; what is touched again is read from the file again.

    Linux only, where it loses nothing but time: the pages are private, and nobody writes to them.
    """
    if not sys.platform.startswith("linux"):
        return
    mappings = (_mapping(tensor) for tensor in tensors.values())
    for mapping in {id(mapping): mapping for mapping in mappings if mapping}.values():
        mapping.madvise(mmap.MADV_DONTNEED)
        mapping.madvise(mmap.MADV_RANDOM)  # rows of the embeddings are looked up: their neighbours are not wanted


def drop_pages(tensor: Tensor) -> None:
    """Likewise of the whole file that this tensor lies in, while more of it will be read in its order."""
    if sys.platform.startswith("linux") and (mapping := _mapping(tensor)):
        mapping.madvise(mmap.MADV_DONTNEED)


@contextmanager
def dropping_pages(tensors: Sequence[Tensor], every_seconds: float = 0.2) -> Iterator[None]:
    """Do so again and again, in a thread, as long as the block runs: while the plugin reorders mapped weights, what it has
    read already would count as this process's memory beside the copy (1.4 GB of 2.9 for a model of 1.5 billion parameters)."""
    mapped = {id(mapping): tensor for tensor in tensors if (mapping := _mapping(tensor))}
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(every_seconds):
            for tensor in mapped.values():
                drop_pages(tensor)

    thread = threading.Thread(target=work, name="drop-pages", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _mapping(tensor: Tensor) -> mmap.mmap | None:
    return getattr(tensor.rows if isinstance(tensor, Quantized) else tensor, "_mmap", None)


def take_rows(tensor: Tensor, rows: slice | Sequence[int]) -> npt.NDArray[np.float32]:
    """Some rows of a tensor, exactly, in float32."""
    return tensor.float32(rows) if isinstance(tensor, Quantized) else as_float32(tensor[rows])


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            yield file
    except SafetensorError as error:
        raise InputError(
            T(f"{str(path)!r} is damaged: {error}", f"{str(path)!r} 已损坏：{error}"), code="bad_weights"
        ) from None


def _view(path: Path, name: str, body: npt.NDArray[np.uint8], entry: Mapping[str, Any]) -> npt.NDArray[Any]:
    dtype = _NUMPY.get(entry["dtype"])
    if dtype is None:
        raise InputError(
            T(
                f"{str(path)!r}: {name!r} is stored as {entry['dtype']!r}; {', '.join(_NUMPY)} can be run",
                f"{str(path)!r}：{name!r} 的存储类型是 {entry['dtype']!r}；能运行的是 {', '.join(_NUMPY)}",
            ),
            code="bad_weights",
        )
    begin, end = entry["data_offsets"]
    return body[begin:end].view(dtype).reshape(entry["shape"])


def _checked(tensors: Mapping[str, Any], config: ModelConfig) -> dict[str, Any]:
    expected = dict(tensor_shapes(config))
    # A tied checkpoint may store its output projection a second time; transformers ignores it as well.
    surplus = {"lm_head.weight"} if config.tied else set()
    missing = [name for name in expected if name not in tensors]
    unexpected = [n for n in tensors if n not in expected and n not in surplus and not n.endswith(_DERIVED)]
    misshapen = [
        f"{name} {tuple(tensors[name].shape)} != {shape}"
        for name, shape in expected.items()
        if name in tensors and tuple(tensors[name].shape) != shape
    ]
    complaints = [
        (T("missing", "缺少"), missing),
        (T("unexpected", "多出"), unexpected),
        (T("wrong shape", "形状不符"), misshapen),
    ]
    if any(names for _, names in complaints):
        en, zh = ("; ".join(f"{what[lang]}: {_some(names)}" for what, names in complaints if names) for lang in (0, 1))
        raise InputError(
            T(f"the weights do not fit the model's configuration: {en}", f"权重与模型配置不符：{zh}"),
            code="bad_weights",
        )
    return {name: tensors[name] for name in expected}


def _some(names: list[str], limit: int = 4) -> str:
    return ", ".join(names[:limit]) + (f" … ({len(names)})" if len(names) > limit else "")
