"""Everything that can be refused before an engine starts: options, installation, model format, adapters, memory."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache

from zhilu.errors import InputError, MissingComponentError, UnsupportedError, ZhiluError
from zhilu.messages import T
from zhilu.serving.facts import EngineKind, LaunchOptions, ServedModel, refuse_untaken
from zhilu.serving.supervise.adapter_check import refuse_bad_adapters
from zhilu.serving.supervise.memory import MemoryNeed, own_context, refuse_too_large

__all__ = ["has_gpu", "objection", "preflight"]


def preflight(engine: EngineKind, model: ServedModel, options: LaunchOptions, freed: int = 0) -> MemoryNeed | None:
    """Return the memory that the start will take (None: not known), or raise what speaks against it.

    Args:
        freed: bytes that an engine holds which ends before this one starts.

    Raises:
        UnsupportedError: an option, or the model, is nothing for this engine.
        MissingComponentError: it is not installed. InputError: it does not fit into memory, an adapter does not fit the model, or ``launch`` refuses.
    """
    facts = engine.facts
    refuse_untaken(facts, options, model.name)
    _refuse_format(engine, model)
    is_there, why = engine.installed(options.home)
    if not is_there:
        raise MissingComponentError(
            T(
                f"The engine {facts.name!r} cannot be used here: {why.en}.",
                f"引擎 {facts.name!r} 在这里不能用：{why.zh}。",
            ),
            fix=f"zhilu engine install {facts.name}" if facts.install else "zhilu engine list",
        )
    _refuse_beyond_own_context(model, options)
    engine.launch(model, options, 1)
    refuse_bad_adapters(engine, model, options)
    return refuse_too_large(model, options, facts, freed=freed) if facts.is_process else None


def _refuse_beyond_own_context(model: ServedModel, options: LaunchOptions) -> None:
    own = own_context(model.path) if model.path and options.max_len else None
    if own and options.max_len and options.max_len > own:
        raise InputError(
            T(
                f"The model {model.name!r} reads at most {own} tokens, given --context {options.max_len}.",
                f"模型 {model.name!r} 最多读取 {own} 个 token，给出的是 --context {options.max_len}。",
            ),
            param="max_len",
            fix=f"--context {own}",
        )


def objection(engine: EngineKind, model: ServedModel, options: LaunchOptions, freed: int = 0) -> ZhiluError | None:
    """What ``preflight`` would raise, or None."""
    try:
        preflight(engine, model, options, freed)
    except ZhiluError as error:
        return error
    return None


@cache
def has_gpu() -> bool:
    """Whether an NVIDIA GPU answers on this machine. Asked once a process."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return False
    try:
        listed = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return listed.returncode == 0 and "GPU " in listed.stdout


def _refuse_format(engine: EngineKind, model: ServedModel) -> None:
    facts = engine.facts
    if not facts.is_process or model.path is None:
        return
    if model.format not in facts.formats:
        raise UnsupportedError(
            T(
                f"The engine {facts.name!r} reads {', '.join(sorted(facts.formats))}; {model.name!r} is {model.format}.",
                f"引擎 {facts.name!r} 读取 {'、'.join(sorted(facts.formats))}；{model.name!r} 是 {model.format}。",
            ),
            param="engine",
            fix="zhilu engine list",
        )
    if facts.status == "needs_gpu" and not has_gpu():
        raise UnsupportedError(
            T(
                f"The engine {facts.name!r} needs an NVIDIA GPU, and none answers here.",
                f"引擎 {facts.name!r} 需要 NVIDIA GPU，而这里没有检测到。",
            ),
            param="engine",
            fix="zhilu doctor",
        )
    if model.format == "safetensors" and (model.path / "config.json").is_file():
        from zhilu.models.check import read_object

        if "auto_map" in read_object(model.path / "config.json"):
            raise UnsupportedError(
                T(
                    f"The model {model.name!r} brings code of its own (auto_map), which is never run here.",
                    f"模型 {model.name!r} 自带代码（auto_map），这里从不运行。",
                ),
                param="model",
                fix="zhilu model list",
            )
