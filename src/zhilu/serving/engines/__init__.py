"""The engines there are, and the choice between them. An engine registers by the entry point group ``zhilu.engines``."""

from __future__ import annotations

from zhilu.messages import T
from zhilu.registry import Registry
from zhilu.serving.facts import Engine, ServedModel

__all__ = ["choose_engine", "engine_registry"]


def engine_registry() -> Registry[Engine]:
    """All engines that are registered, ours and those of other packages."""
    return Registry.from_entry_points("zhilu.engines", T("engine", "引擎"))


def choose_engine(wanted: str, model: ServedModel, registry: Registry[Engine]) -> tuple[str, T]:
    """The engine's name and the reason for it.

    Raises:
        NotFoundError: ``wanted`` is no engine; names those there are.
    """
    if wanted != "auto":
        registry.get(wanted)
        return wanted, T("you chose it", "由你指定")
    if model.path is None:
        return "openai", T("the model lives behind a URL", "模型在一个 URL 后面")
    return "zhilu", T("it reads the model's files directly and starts in seconds", "它直接读取模型文件，几秒即可启动")
