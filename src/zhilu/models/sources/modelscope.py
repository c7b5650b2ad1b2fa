"""ModelScope (the setting ``modelscope_endpoint``), through ``modelscope-hub``. It works as ``huggingface`` does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zhilu.errors import MissingComponentError
from zhilu.messages import T
from zhilu.models.sources.base import Remote, RemoteFile, SourceFacts, refuse_silence
from zhilu.models.sources.hub import DOWNLOADS_AT_ONCE, translated

if TYPE_CHECKING:
    from zhilu.models.catalog import CatalogModel
    from zhilu.settings import Settings

__all__ = ["ModelScope"]


class ModelScope:
    """See ``ModelSource``. Uses ``modelscope-hub``, the client without the model library around it (which imports torch)."""

    def __init__(self, settings: Settings) -> None:
        given = settings.modelscope_endpoint or os.environ.get("MODELSCOPE_ENDPOINT")
        self.endpoint = (given or "https://www.modelscope.cn").rstrip("/")
        self.facts = SourceFacts("modelscope", T("ModelScope", "魔搭"), self.endpoint, "OWNER/NAME", any_model=True)

    def place_of(self, model: CatalogModel) -> str | None:
        return model.modelscope

    def look(self, place: str, revision: str | None) -> Remote:
        refuse_silence(
            self.endpoint, "ModelScope", place, "zhilu settings set modelscope_endpoint https://www.modelscope.ai"
        )
        with translated("ModelScope", self.endpoint, place), _modelscope_client(self.endpoint) as client:
            found = client.list_repo_files(place, "model", revision=revision)
        files = [RemoteFile(item.path, item.size, item.sha256 or None) for item in found if item.type == "blob"]
        return Remote(revision or "master", files)

    def fetch(self, place: str, revision: str, names: Sequence[str], folder: Path, go_on: Callable[[], None]) -> None:
        with translated("ModelScope", self.endpoint, place), _modelscope_client(self.endpoint, folder) as client:
            from modelscope_hub import HubError, ProgressCallback

            ended: list[BaseException] = []

            class Watched(ProgressCallback):
                def update(self, size: int) -> None:
                    try:
                        go_on()
                    except Exception as error:
                        # The client takes what is not its own for a fault of the line, and asks again for half a minute.
                        ended.append(error)
                        raise HubError("ended") from error

            try:
                client.download_repo(
                    place,
                    "model",
                    revision=revision,
                    local_dir=folder,
                    allow_patterns=list(names),
                    max_workers=DOWNLOADS_AT_ONCE,
                    progress_callbacks=[Watched],
                )
            finally:
                if ended:
                    raise ended[0]


@contextmanager
def _modelscope_client(endpoint: str, folder: Path | None = None) -> Iterator[Any]:
    try:
        from modelscope_hub import HubApi, HubConfig
    except ImportError as error:
        raise MissingComponentError(
            T("ModelScope's client is not installed.", "没有安装魔搭（ModelScope）的客户端。"),
            fix="pip install modelscope-hub",
        ) from error
    config = HubConfig(endpoint=endpoint)
    if folder is not None:
        config.cache_dir = folder / ".cache"  # removed with the folder: nothing is left behind elsewhere
    client = HubApi(config)
    yield client
