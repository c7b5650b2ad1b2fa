"""Where models are pulled from.

File map: ``base`` what a source is · ``choose`` which one is taken, and why · one file per source: ``huggingface``
``modelscope`` ``mirror`` ``folder`` ``index`` · ``hub`` what both hubs share · ``search`` of the hub · ``parts`` unpacking the
index's packages · ``pack`` making them · ``manifest`` the list of files of a packed model · ``testing`` a fake and the
conformance suite.
"""

from __future__ import annotations

from collections.abc import Callable

from zhilu.errors import UnreachableError
from zhilu.messages import T
from zhilu.models.sources.base import ModelSource, Remote, RemoteFile, SourceFacts
from zhilu.registry import Registry
from zhilu.settings import Settings

__all__ = ["ModelSource", "Remote", "RemoteFile", "SourceFacts", "source_for", "source_names", "sources"]


def _registry() -> Registry[Callable[[Settings], ModelSource]]:
    return Registry.from_entry_points("zhilu.model_sources", T("model source", "模型来源"))


def source_names() -> list[str]:
    return _registry().names()


def sources(settings: Settings) -> dict[str, ModelSource]:
    """Every source by name."""
    return {name: make(settings) for name, make in _registry().items()}


def source_for(name: str, settings: Settings) -> ModelSource:
    """The source called ``name``.

    Raises:
        NotFoundError: no such source; names those there are.
        UnreachableError: the setting ``offline`` forbids it.
    """
    source = _registry().get(name)(settings)
    if settings.offline and source.facts.online:
        raise UnreachableError(
            T(
                "The setting offline is on: no model hub, mirror or package index is contacted.",
                "设置 offline 已开启：不会连接任何模型仓库、镜像或包索引。",
            ),
            param="offline",
            fix="zhilu settings unset offline",
        )
    return source
