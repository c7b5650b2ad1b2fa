"""A folder with models, one per sub-folder: a network share or an external disk. The setting ``model_folder``."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zhilu.errors import NotFoundError, UnreachableError
from zhilu.messages import T
from zhilu.models.sources.base import Remote, RemoteFile, SourceFacts
from zhilu.models.sources.manifest import MANIFEST, read_manifest

if TYPE_CHECKING:
    from zhilu.models.catalog import CatalogModel
    from zhilu.settings import Settings

__all__ = ["FolderSource"]

_BLOCK = 1 << 20


class FolderSource:
    """See ``ModelSource``. Files are copied: the share or disk may go away."""

    def __init__(self, settings: Settings) -> None:
        self.path = Path(settings.model_folder).expanduser() if settings.model_folder else None
        shown = str(self.path) if self.path else ""
        self.facts = SourceFacts("folder", T("Folder", "文件夹"), shown, "NAME", online=False, any_model=True)

    def place_of(self, model: CatalogModel) -> str | None:
        return model.name if self.path else None

    def look(self, place: str, revision: str | None) -> Remote:
        folder = self._folder(place)
        listed = folder / MANIFEST
        if listed.is_file():
            return read_manifest(listed.read_bytes(), str(listed)).remote(revision or "folder")
        files = [
            RemoteFile(path.name, path.stat().st_size, None)
            for path in sorted(folder.iterdir())
            if path.is_file() and not path.name.startswith(".")
        ]
        return Remote(revision or "folder", files)

    def fetch(self, place: str, revision: str, names: Sequence[str], folder: Path, go_on: Callable[[], None]) -> None:
        for name in names:
            _copy_on(self._folder(place) / name, folder / name, go_on)

    def _folder(self, place: str) -> Path:
        if self.path is None:
            raise UnreachableError(
                T(
                    "No folder with models is set (the setting model_folder).",
                    "没有设置模型文件夹（设置 model_folder）。",
                ),
                code="source_not_set",
                fix="zhilu settings set model_folder /path/to/models",
            )
        if not self.path.is_dir():
            raise UnreachableError(
                T(f"The folder {str(self.path)!r} is not there.", f"文件夹 {str(self.path)!r} 不存在。"),
                code="hub_unreachable",
                fix="zhilu settings set model_folder /path/to/models",
            )
        folder = self.path / place
        if "/" in place or "\\" in place or place in ("", ".", "..") or not folder.is_dir():
            raise NotFoundError(
                T(
                    f"The folder {str(self.path)!r} has no model {place!r}.",
                    f"文件夹 {str(self.path)!r} 中没有模型 {place!r}。",
                ),
                param="repo",
                code="repo_not_found",
            )
        return folder


def _copy_on(source: Path, target: Path, go_on: Callable[[], None]) -> None:
    """Copy what is missing; the name appears when all is there."""
    if target.exists():
        return
    part = target.with_name(f"{target.name}.part")
    try:
        reading = source.open("rb")
    except FileNotFoundError as error:
        raise NotFoundError(
            T(f"{str(source)!r} is not there.", f"{str(source)!r} 不存在。"), code="repo_not_found"
        ) from error
    with reading, part.open("ab") as out:
        size = os.fstat(reading.fileno()).st_size
        if out.tell() > size:
            out.truncate(0)  # left by another file of this name
        reading.seek(out.tell())
        while block := reading.read(_BLOCK):
            out.write(block)
            go_on()
        out.flush()
        os.fsync(out.fileno())
    os.replace(part, target)
