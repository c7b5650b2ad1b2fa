"""A web server with packed models: ``URL/NAME/zhilu-model.json`` and the files beside it. The setting ``model_mirror``.

Any static server will do: ``zhilu model pack NAME --as folder --to DIR`` writes the files it serves.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from zhilu.errors import NotFoundError, UnreachableError, UpstreamError
from zhilu.messages import T
from zhilu.models.sources.base import LOOK_SECONDS, Remote, SourceFacts
from zhilu.models.sources.manifest import MANIFEST, read_manifest

if TYPE_CHECKING:
    from zhilu.models.catalog import CatalogModel
    from zhilu.settings import Settings

__all__ = ["MirrorSource"]

_BLOCK = 1 << 20
_STALL = 60.0  # seconds without a byte


class MirrorSource:
    """See ``ModelSource``."""

    def __init__(self, settings: Settings) -> None:
        self.url = (settings.model_mirror or "").rstrip("/")
        self.facts = SourceFacts("mirror", T("Mirror", "镜像"), self.url, "NAME", any_model=True)

    def place_of(self, model: CatalogModel) -> str | None:
        return model.name if self.url else None

    def look(self, place: str, revision: str | None) -> Remote:
        import httpx

        url = self._url(place, MANIFEST)
        try:
            answer = httpx.get(url, timeout=LOOK_SECONDS, follow_redirects=True)
        except (httpx.HTTPError, httpx.InvalidURL, ImportError) as error:
            raise _unreachable(url, error) from error
        if answer.status_code == 404:
            raise NotFoundError(
                T(
                    f"The mirror {self.url} has no model {place!r} ({url} is not there).",
                    f"镜像 {self.url} 没有模型 {place!r}（{url} 不存在）。",
                ),
                param="repo",
                code="repo_not_found",
            )
        if answer.status_code != 200:
            raise UpstreamError(
                T(f"{url} answered {answer.status_code}.", f"{url} 返回 {answer.status_code}。"), code="pull_failed"
            )
        return read_manifest(answer.content, url).remote(revision or "mirror")

    def fetch(self, place: str, revision: str, names: Sequence[str], folder: Path, go_on: Callable[[], None]) -> None:
        for name in names:
            if not (folder / name).exists():
                self._download(self._url(place, name), folder / name, go_on)

    def _download(self, url: str, target: Path, go_on: Callable[[], None]) -> None:
        """One file, from the byte on that an earlier call came to; the name appears when all is there."""
        import httpx

        part = target.with_name(f"{target.name}.part")
        there = part.stat().st_size if part.exists() else 0
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={there}-"} if there else {})}
        try:
            with httpx.stream("GET", url, headers=headers, timeout=_STALL, follow_redirects=True) as answer:
                if answer.status_code == 416:  # the part is the whole file already
                    os.replace(part, target)
                    return
                if answer.status_code not in (200, 206):
                    raise UpstreamError(
                        T(f"{url} answered {answer.status_code}.", f"{url} 返回 {answer.status_code}。"),
                        code="pull_failed",
                    )
                with part.open("ab" if answer.status_code == 206 else "wb") as out:
                    for block in answer.iter_bytes(_BLOCK):
                        out.write(block)
                        go_on()
                    out.flush()
                    os.fsync(out.fileno())
        except (httpx.HTTPError, httpx.InvalidURL, ImportError) as error:
            raise _unreachable(url, error) from error
        os.replace(part, target)

    def _url(self, place: str, name: str) -> str:
        if not self.url:
            raise UnreachableError(
                T("No mirror is set (the setting model_mirror).", "没有设置镜像（设置 model_mirror）。"),
                code="source_not_set",
                fix="zhilu settings set model_mirror https://models.example.com",
            )
        return f"{self.url}/{quote(place)}/{quote(name)}"


def _unreachable(url: str, error: Exception) -> UnreachableError:
    reason = str(error) or type(error).__name__
    return UnreachableError(
        T(f"The mirror does not answer at {url} ({reason}).", f"镜像 {url} 没有应答（{reason}）。"),
        code="hub_unreachable",
        fix="zhilu settings set model_mirror https://models.example.com",
    )
