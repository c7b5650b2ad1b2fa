"""The speech models of the store, told by their files, and the errors of what is missing here."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from zhilu.errors import MissingComponentError, NotFoundError, nearest
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["INSTALL", "PULL", "Task", "has_extra", "require_model", "speech_models"]

Task = Literal["hear", "speak"]
INSTALL = 'python -m pip install "zhilu[speech]"'
# The model of the catalogue that a person is told to pull.
PULL: dict[Task, str] = {"hear": "zhilu model pull whisper-base", "speak": "zhilu model pull kokoro-82m"}
# Files by which a folder is known; a model that was put there by hand has no note of its kind.
_SIGNS: dict[Task, tuple[str, ...]] = {
    "hear": ("model.bin", "config.json", "vocabulary.*"),
    "speak": ("*.onnx", "vocab.json", "voices*.npz"),
}
_MODULES: dict[Task, tuple[str, ...]] = {
    "hear": ("faster_whisper", "opencc"),
    "speak": ("onnxruntime", "misaki", "pypinyin", "cn2an", "av"),
}
_WHAT: dict[Task, T] = {"hear": T("Speech recognition", "语音识别"), "speak": T("Speaking", "朗读")}


def speech_models(context: Context, task: Task) -> dict[str, Path]:
    """Name to folder of every model that hears or speaks, by name. Cheap: looks at file names."""
    found = {}
    for folder in sorted(context.home.models.iterdir()):
        if not folder.name.startswith(".") and all(any(folder.glob(sign)) for sign in _SIGNS[task]):
            found[folder.name] = folder
    return found


def has_extra(task: Task) -> bool:
    """Whether the extra ``speech`` is installed; imports nothing."""
    return all(find_spec(module) is not None for module in _MODULES[task])


def require_model(context: Context, task: Task, name: str | None, aliases: tuple[str, ...] = ()) -> tuple[str, Path]:
    """The model that a request names; none, or one of ``aliases``, is the first there is.

    Raises:
        MissingComponentError: the extra is not installed, or there is no model yet; ``fix`` is the command.
        NotFoundError: no such model among those that hear or speak.
    """
    if not has_extra(task):
        raise MissingComponentError(
            T(
                f"{_WHAT[task].en} needs packages that are not installed yet.",
                f"{_WHAT[task].zh}需要的软件包还没有安装。",
            ),
            code="speech_missing",
            fix=INSTALL,
        )
    models = speech_models(context, task)
    if not models:
        raise MissingComponentError(
            T(
                f"{_WHAT[task].en} needs a model, and there is none in the store yet.",
                f"{_WHAT[task].zh}需要模型，而模型库里还没有。",
            ),
            code="speech_model_missing",
            fix=PULL[task],
        )
    if name is None or name in aliases:
        return next(iter(models.items()))
    if name not in models:
        close, there = nearest(name, models), ", ".join(models)
        raise NotFoundError(
            T(
                f"No model {name!r} for this." + (f" Did you mean {close!r}?" if close else f" There are: {there}."),
                f"没有可用于此的模型 {name!r}。" + (f"是不是 {close!r}？" if close else f"现有：{there}。"),
            ),
            param="model",
            fix=PULL[task],
        )
    return name, models[name]
