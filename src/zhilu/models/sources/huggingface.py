"""The Hugging Face hub, or a mirror of it (the setting ``hf_endpoint``), through its own client.

The client resumes files that were cut off. It is used only after one short check that the endpoint answers at all, because its
own retries would keep an offline person waiting for minutes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zhilu.messages import T
from zhilu.models.sources.base import LOOK_SECONDS, Remote, RemoteFile, SourceFacts, refuse_silence
from zhilu.models.sources.hub import DOWNLOADS_AT_ONCE, translated

if TYPE_CHECKING:
    from zhilu.models.catalog import CatalogModel
    from zhilu.settings import Settings

__all__ = ["HuggingFace"]


class HuggingFace:
    """See ``ModelSource``. A token comes from HF_TOKEN or the client's own login."""

    def __init__(self, settings: Settings) -> None:
        self.endpoint = (settings.hf_endpoint or os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
        self.facts = SourceFacts(
            "hf", T("Hugging Face", "Hugging Face"), self.endpoint, "OWNER/NAME", any_model=True, searches=True
        )
        # Read by the client when it is imported, so set here, in the job's own process.
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
        if settings.hf_endpoint:
            os.environ["HF_HUB_DISABLE_XET"] = "1"  # a mirror has no Xet storage behind it

    def place_of(self, model: CatalogModel) -> str | None:
        return model.hf

    def look(self, place: str, revision: str | None) -> Remote:
        from huggingface_hub import HfApi

        refuse_silence(self.endpoint, "Hugging Face", place, "zhilu settings set hf_endpoint https://hf-mirror.com")
        with translated("Hugging Face", self.endpoint, place):
            info = HfApi(endpoint=self.endpoint).model_info(
                place, revision=revision, files_metadata=True, timeout=LOOK_SECONDS * 2
            )
        files = [
            RemoteFile(item.rfilename, item.size or 0, item.lfs.sha256 if item.lfs else None)
            for item in info.siblings or []
        ]
        return Remote(info.sha or revision or "main", files)

    def fetch(self, place: str, revision: str, names: Sequence[str], folder: Path, go_on: Callable[[], None]) -> None:
        from huggingface_hub import snapshot_download
        from huggingface_hub.utils import tqdm

        class Watched(tqdm):
            """The client's progress bar, which it calls after each piece: the only place where one can stop it."""

            def update(self, n: float | None = 1) -> bool | None:
                go_on()
                return super().update(n)

        with translated("Hugging Face", self.endpoint, place):
            snapshot_download(
                place,
                revision=revision,
                local_dir=folder,
                allow_patterns=list(names),
                max_workers=DOWNLOADS_AT_ONCE,
                endpoint=self.endpoint,
                tqdm_class=Watched,
            )
