"""Checks a LoRA adapter before an engine is started or stopped for it.

Otherwise a running engine would be ended for an adapter that the new one refuses.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from zhilu.errors import InputError, NotFoundError, UnsupportedError, ZhiluError
from zhilu.messages import T
from zhilu.serving.facts import EngineKind, LaunchOptions, ServedModel

__all__ = ["BAD_ADAPTER", "KnowsAdapters", "adapter_config", "adapter_folder", "refuse_bad_adapters"]

# The code of a refusal that no other engine would change: it is no adapter, or it does not fit the model.
BAD_ADAPTER = "bad_adapter"
_WEIGHTS = "adapter_model.safetensors"


@runtime_checkable
class KnowsAdapters(Protocol):
    """An engine that can tell, without being started, whether it would take an adapter."""

    def check_adapter(self, model: ServedModel, name: str, folder: Path) -> None:
        """Raises InputError, with the code ``bad_adapter`` where the adapter does not fit the model."""
        ...


def adapter_folder(adapters: Path, word: str) -> Path:
    """A folder by its path, or by its name in ``adapters`` of the data home."""
    folder = Path(word).expanduser()
    if folder.name == word and not folder.is_dir():
        folder = adapters / word
    return folder.absolute()


def adapter_config(name: str, folder: Path) -> dict[str, Any]:
    """``adapter_config.json`` of a folder that has all of an adapter's files.

    Raises:
        NotFoundError: no folder, no adapter_config.json, no weights. InputError: the configuration cannot be read.
        UnsupportedError: the weights are a pickle.
    """
    if not folder.is_dir():
        what = "there is no folder", "没有这个目录"
        raise _refusal(NotFoundError, name, folder, T(f"{what[0]} {str(folder)!r}", f"{what[1]}：{str(folder)!r}"))
    path = folder / "adapter_config.json"
    if not path.is_file():
        raise _refusal(
            NotFoundError,
            name,
            folder,
            T(f"{str(folder)!r} has no adapter_config.json", f"{str(folder)!r} 中没有 adapter_config.json"),
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _refusal(
            InputError, name, folder, T(f"{str(path)!r} cannot be read: {error}", f"无法读取 {str(path)!r}：{error}")
        ) from error
    if not isinstance(config, dict):
        what = "holds no JSON object", "的内容不是 JSON 对象"
        raise _refusal(InputError, name, folder, T(f"{str(path)!r} {what[0]}", f"{str(path)!r} {what[1]}"))
    if not (folder / _WEIGHTS).is_file():
        if (folder / "adapter_model.bin").is_file():
            raise _refusal(
                UnsupportedError,
                name,
                folder,
                T(
                    f"{str(folder)!r} has only adapter_model.bin, a pickle, which can run code and is refused; "
                    f"save it as {_WEIGHTS}",
                    f"{str(folder)!r} 中只有 adapter_model.bin，它是可能执行代码的 pickle 文件，因此拒绝；"
                    f"请另存为 {_WEIGHTS}",
                ),
            )
        raise _refusal(
            NotFoundError, name, folder, T(f"{str(folder)!r} has no {_WEIGHTS}", f"{str(folder)!r} 中没有 {_WEIGHTS}")
        )
    return config


def refuse_bad_adapters(engine: EngineKind, model: ServedModel, options: LaunchOptions) -> None:
    """Raise for the first of ``options.loras`` that has no whole folder, takes the model's name, or does not fit it.

    Raises:
        InputError: its code is ``bad_adapter`` unless another engine might take it; ``fix`` is the start to try next.
    """
    for name, folder in options.loras:
        _refuse_one(engine, model, name, folder)


def _refuse_one(engine: EngineKind, model: ServedModel, name: str, folder: Path) -> None:
    try:
        if name == model.name:
            raise InputError(
                T(
                    f"The LoRA adapter {name!r} has the model's own name; give it another.",
                    f"LoRA 适配器 {name!r} 与模型同名，请换一个名字。",
                ),
                code=BAD_ADAPTER,
            )
        adapter_config(name, folder)
        if isinstance(engine, KnowsAdapters):
            engine.check_adapter(model, name, folder)
    except ZhiluError as error:
        other = name if name != model.name else "mine"
        error.param, error.fix = "loras", error.fix or f"zhilu serve {model.name} --lora {other}=FOLDER"
        raise


def _refusal(kind: type[InputError], name: str, folder: Path, what: T) -> InputError:
    there = sorted(path.parent.name for path in folder.parent.glob("*/adapter_config.json"))[:5]
    beside = (
        T(f" Adapters beside it: {', '.join(there)}.", f"旁边的适配器：{', '.join(there)}。") if there else T("", "")
    )
    return kind(
        T(
            f"The LoRA adapter {name!r} cannot be loaded: {what.en}.{beside.en}",
            f"无法加载 LoRA 适配器 {name!r}：{what.zh}。{beside.zh}",
        ),
        param="lora_path",
        code=BAD_ADAPTER,
    )
