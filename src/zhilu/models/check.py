"""Can this folder be a model? If not, one clear message says why and what to do.

Safetensors and GGUF are accepted. ``.bin`` and ``.pt`` files are pickles, which can run code when they are opened.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from zhilu.errors import InputError, NotFoundError, UnsupportedError, ZhiluError
from zhilu.messages import T
from zhilu.models.gguf_header import read_gguf_header
from zhilu.models.tensors import read_header

__all__ = ["INDEX", "PICKLES", "check_folder", "gguf_files", "is_model_file", "read_object", "weight_files"]

INDEX = "model.safetensors.index.json"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_MAX_JSON = 64 * 2**20  # bytes; the largest tokenizers have 35 MB
_CONVERT = "https://huggingface.co/spaces/safetensors/convert"

# What belongs to a model beside its weights; everything else in a repository (images, ONNX) stays there.
_FILES = {
    "config.json", "generation_config.json", INDEX, "tokenizer.json", "tokenizer_config.json", "tokenizer.model",
    "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "chat_template.jinja",
    "chat_template.json", "preprocessor_config.json", "MODEL_CARD.md", "MODEL_CARD.zh-CN.md",
}  # fmt: skip


def is_model_file(name: str) -> bool:
    """True for the files of a model folder (its top level only) that are kept."""
    upper = name.upper()
    return "/" not in name and (
        name in _FILES
        or name.endswith((".safetensors", ".gguf"))
        or upper.startswith(("README", "LICENSE", "LICENCE", "NOTICE", "USE_POLICY"))
    )


def weight_files(folder: Path) -> list[Path]:
    """The weights: those of the index if there is one, else ``model.safetensors``, else every safetensors file.

    Raises:
        InputError: the index is none, or names a file outside of the folder.
    """
    if (folder / INDEX).is_file():
        return [folder / name for name in sorted(set(_weight_map(folder).values()))]
    single = folder / "model.safetensors"
    return [single] if single.is_file() else sorted(folder.glob("*.safetensors"))


def _weight_map(folder: Path) -> dict[str, str]:
    """Tensor -> file, as the index says."""
    found = read_object(folder / INDEX).get("weight_map")
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found.values()):
        raise InputError(
            T(f"{INDEX} has no weight_map of tensors and files", f"{INDEX} 中没有把张量对应到文件的 weight_map")
        )
    outside = next((name for name in found.values() if Path(name).name != name or name in ("", ".", "..")), None)
    if outside is not None:
        raise InputError(
            T(
                f"{INDEX} names a file outside of the folder: {outside[:200]!r}",
                f"{INDEX} 指向目录之外的文件：{outside[:200]!r}",
            )
        )
    return found


def gguf_files(folder: Path) -> list[Path]:
    """The GGUF files of a folder that is a GGUF model (one without safetensors' configuration): of a model that is split the
    first part comes first, a projector (``mmproj``) last."""
    if (folder / "config.json").is_file():
        return []
    return sorted(folder.glob("*.gguf"), key=lambda path: (path.name.lower().startswith("mmproj"), path.name))


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        InputError: it is not there, no JSON, or no object.
    """
    try:
        if path.stat().st_size > _MAX_JSON:
            limit = _MAX_JSON // 2**20
            raise InputError(T(f"{str(path)!r} is larger than {limit} MiB.", f"{str(path)!r} 超过 {limit} MiB。"))
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        said = str(error)[:200]
        raise InputError(T(f"{str(path)!r} cannot be read: {said}.", f"无法读取 {str(path)!r}：{said}。")) from error
    if not isinstance(value, dict):
        raise InputError(T(f"{str(path)!r} holds no JSON object.", f"{str(path)!r} 的内容不是 JSON 对象。"))
    return value


def check_folder(folder: Path) -> None:
    """Return if ``folder`` holds a whole model: config, tokenizer, every weight that the index names; or a GGUF file, which
    holds all of that itself.

    Raises:
        NotFoundError: no such folder.
        UnsupportedError: weights in a format that we do not open.
        InputError: something is missing, cut off or unreadable; names all of it.
    """
    _check_place(folder)
    if found := gguf_files(folder):
        for file in found:
            read_gguf_header(file)
        return
    problems: list[T] = []
    config = _collect(problems, lambda: read_object(folder / "config.json"))
    stated = (config or {}).get("architectures")
    if config is not None and not (isinstance(stated, list) and stated and isinstance(stated[0], str)):
        problems.append(T("config.json names no architecture", "config.json 没有写明架构（architectures）"))
    _check_links(folder, problems)
    _check_weights(folder, problems)
    _check_tokenizer(folder, problems)
    if problems:
        raise InputError(
            T(
                f"The folder {str(folder)!r} is not a whole model: "
                + "; ".join(p.en.rstrip(".") for p in problems)
                + ".",
                f"目录 {str(folder)!r} 不是完整的模型：" + "；".join(p.zh.rstrip("。") for p in problems) + "。",
            ),
            code="broken_model",
        )


def _check_place(folder: Path) -> None:
    """The wrong folder, each case with the right one."""
    shown = str(folder)
    if not folder.exists():
        raise NotFoundError(T(f"There is no folder {shown!r}.", f"没有目录 {shown!r}。"), param="path")
    if not folder.is_dir():
        raise InputError(
            T(f"{shown!r} is a file: give the folder that holds it.", f"{shown!r} 是文件：请给出它所在的目录。"),
            param="path",
            fix=f"zhilu model import {folder.parent}",
        )
    if (folder / "config.json").is_file() or gguf_files(folder):
        return
    if (folder / "adapter_config.json").is_file():
        raise InputError(
            T(
                f"{shown!r} is a LoRA adapter, not a model: put it under adapters/ of the home.",
                f"{shown!r} 是 LoRA 适配器，不是模型：请放到数据目录的 adapters/ 下。",
            ),
            param="path",
        )
    inside = sorted(path.parent for path in folder.glob("*/config.json")) + sorted(
        path.parent
        for path in folder.glob("snapshots/*/config.json")  # the layout of the hub's cache
    )
    if inside:
        raise InputError(
            T(
                f"{shown!r} holds no config.json, but {str(inside[0])!r} does.",
                f"{shown!r} 中没有 config.json，{str(inside[0])!r} 中有。",
            ),
            param="path",
            fix=f"zhilu model import {inside[0]}",
        )
    raise InputError(
        T(
            f"{shown!r} is not a model folder: it holds no config.json and no GGUF file.",
            f"{shown!r} 不是模型目录：其中没有 config.json，也没有 GGUF 文件。",
        ),
        param="path",
    )


def _check_links(folder: Path, problems: list[T]) -> None:
    """A folder from elsewhere must not bring another file of this machine into the store. Weights may lie anywhere: what is
    no weights file is refused by its header."""
    is_cached = folder.parent.name == "snapshots"  # the hub's cache: links to blobs/ beside it
    inside = folder.parent.parent.resolve() if is_cached else folder.resolve()
    for path in folder.iterdir():
        leaves = (
            path.is_symlink() and is_model_file(path.name) and not Path(os.path.realpath(path)).is_relative_to(inside)
        )
        if leaves and path.suffix not in (".safetensors", ".gguf"):
            problems.append(
                T(f"{path.name} is a link that leads outside of the folder", f"{path.name} 是指向目录之外的链接")
            )


def _check_weights(folder: Path, problems: list[T]) -> None:
    found = _collect(problems, lambda: weight_files(folder))
    if found is None:
        return
    if not found:
        pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
        if pickles:
            listed = ", ".join(pickles[:3]) + (", …" if len(pickles) > 3 else "")
            raise UnsupportedError(
                T(
                    f"The weights are {listed}: pickle files can run code when opened, so only safetensors are accepted. "
                    f"Pull a revision with safetensors, or convert them: {_CONVERT}",
                    f"权重是 {listed}：pickle 文件在打开时可以执行代码，因此只接受 safetensors。"
                    f"请拉取带 safetensors 的版本，或先转换：{_CONVERT}",
                ),
                code="unsupported_weights",
                fix="zhilu model pull OWNER/NAME",
            )
        problems.append(T("there are no safetensors weights", "没有 safetensors 权重"))
    there: dict[str, set[str]] = {}
    for path in found:
        if not path.is_file():
            problems.append(T(f"{path.name} is missing", f"缺少 {path.name}"))
            continue
        header = _collect(problems, lambda path=path: read_header(path))
        if header is not None:
            there[path.name] = set(header)
    if (folder / INDEX).is_file():
        for name, file in (_collect(problems, lambda: _weight_map(folder)) or {}).items():
            if file in there and name not in there[file]:
                problems.append(
                    T(f"{file} lacks {name!r}, which the index promises", f"索引中的 {name!r} 不在 {file} 里")
                )
                return  # one is enough to know that index and files do not belong together


def _check_tokenizer(folder: Path, problems: list[T]) -> None:
    if (folder / "tokenizer.json").is_file():
        _collect(problems, lambda: read_object(folder / "tokenizer.json"))
    elif (folder / "tokenizer.model").is_file():
        problems.append(
            T(
                "tokenizer.json is missing (tokenizer.model alone is not enough: save it once with "
                "transformers' AutoTokenizer.save_pretrained)",
                "缺少 tokenizer.json（只有 tokenizer.model 不够：请用 transformers 的 AutoTokenizer.save_pretrained 保存一次）",
            )
        )
    else:
        problems.append(T("tokenizer.json is missing", "缺少 tokenizer.json"))


def _collect(problems: list[T], step: Any) -> Any:
    """The step's value, or None after its message joined ``problems``: all are reported at once."""
    try:
        return step()
    except UnsupportedError:
        raise
    except ZhiluError as error:
        problems.append(error.message)
        return None
