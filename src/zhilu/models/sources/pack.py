"""Packages of a model for a company's own package index, or a folder for a mirror or a share.

A package may be 100 MB on the public index and often less on a private one, so a file is cut into parts, each the data file of
one wheel. The wheels hold no code and depend on nothing; ``zhilu-model-NAME`` holds the list of files (``manifest``). Their
bytes depend on the model alone, so packing twice gives the same files.
"""

from __future__ import annotations

import base64
import hashlib
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from zhilu.errors import InputError, UnsupportedError, nearest
from zhilu.messages import T
from zhilu.models.sources.index import package_name
from zhilu.models.sources.manifest import MANIFEST, Manifest, ManifestFile, ManifestPart
from zhilu.models.store import ModelStore

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["PACK_FORMS", "pack"]

PACK_FORMS = ("packages", "folder")
_WHEN = (2020, 1, 1, 0, 0, 0)  # of every member: the same model gives the same bytes
_BLOCK = 1 << 20
_VERSION = "1.0.0"


def pack(
    context: Context,
    name: str,
    to: Path,
    *,
    form: str = "packages",
    part_mb: int = 60,
    go_on: Callable[[int, int], None] = lambda done, total: None,
) -> list[Path]:
    """Write the packages (or the folder) of a model of the store into ``to``; returns what was written.

    Args:
        form: ``packages`` wheels to upload to an index; ``folder`` files for ``model_mirror`` and ``model_folder``.
        part_mb: megabytes that a wheel holds at most; the index's own limit must be above.
        go_on: called with bytes done and in all.

    Raises:
        NotFoundError: no such model.
        UnsupportedError: no such form.
        InputError: parts of a size that cannot be.
    """
    if form not in PACK_FORMS:
        close = nearest(form, PACK_FORMS)
        raise UnsupportedError(
            T(
                f"No form {form!r}."
                + (f" Did you mean {close!r}?" if close else f" There are: {', '.join(PACK_FORMS)}."),
                f"没有形式 {form!r}。" + (f"是不是 {close!r}？" if close else f"现有：{'、'.join(PACK_FORMS)}。"),
            ),
            param="form",
        )
    if not 1 <= part_mb <= 2000:
        raise InputError(T(f"--part-mb is {part_mb}, not 1 to 2000.", f"--part-mb 是 {part_mb}，应在 1 到 2000 之间。"))
    store = ModelStore(context)
    info = store.get(name)
    note = store.note(name)
    known = dict(note.get("sha256") or {})
    files = store.files(name)
    total, done = sum(path.stat().st_size for path in files), 0

    def count(added: int) -> None:
        nonlocal done
        done += added
        go_on(done, total)

    to.mkdir(parents=True, exist_ok=True)
    writer = _Folder(to / name) if form == "folder" else _Packages(to, name, part_mb * 1_000_000)
    listed = []
    for path in files:
        entry = writer.add(path, count)
        if known.get(path.name, entry.sha256) != entry.sha256:
            raise InputError(
                T(
                    f"{path.name} of {name!r} has changed since it came here: its SHA-256 is not the noted one.",
                    f"{name!r} 的 {path.name} 入库后发生了变化：SHA-256 与记录不符。",
                ),
                code="damaged_model",
                fix=f"zhilu model remove {name}",
            )
        listed.append(entry)
    origin = f"{note.get('source', 'folder')}:{note.get('origin', '')}"
    manifest = Manifest(model=name, origin=origin, license=info.license, files=listed)
    return writer.finish(manifest.model_dump_json(indent=2) + "\n")


class _Folder:
    """Files beside their list: what a static web server or a share serves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, path: Path, count: Callable[[int], None]) -> ManifestFile:
        digest = hashlib.sha256()
        part = self.folder / f".{path.name}.part"
        with path.open("rb") as source, part.open("wb") as out:
            while block := source.read(_BLOCK):
                digest.update(block)
                out.write(block)
                count(len(block))
        os.replace(part, self.folder / path.name)
        return ManifestFile(name=path.name, size=path.stat().st_size, sha256=digest.hexdigest())

    def finish(self, manifest: str) -> list[Path]:
        (self.folder / MANIFEST).write_text(manifest, encoding="utf-8")
        return [self.folder]


class _Packages:
    """Wheels: ``zhilu-model-NAME-partNNN`` with the bytes, and ``zhilu-model-NAME`` with the list of them."""

    def __init__(self, to: Path, model: str, limit: int) -> None:
        self.to, self.limit = to, limit
        self.package = package_name(model)
        self.made: list[Path] = []

    def add(self, path: Path, count: Callable[[int], None]) -> ManifestFile:
        digest = hashlib.sha256()
        parts = []
        with path.open("rb") as source:
            size = os.fstat(source.fileno()).st_size
            for begin in range(0, max(size, 1), self.limit):
                package = f"{self.package}-part{len(self.made) + 1:03}"
                member = f"{package.replace('-', '_')}/part.bin"

                def blocks(left: int = min(self.limit, size - begin)) -> Iterator[bytes]:
                    while left > 0 and (block := source.read(min(_BLOCK, left))):
                        left -= len(block)
                        digest.update(block)
                        count(len(block))
                        yield block

                self.made.append(_wheel(self.to, package, {member: blocks()}))
                parts.append(ManifestPart(package=f"{package}=={_VERSION}", member=member))
        return ManifestFile(name=path.name, size=size, sha256=digest.hexdigest(), parts=parts)

    def finish(self, manifest: str) -> list[Path]:
        member = f"{self.package.replace('-', '_')}/{MANIFEST}"
        self.made.append(_wheel(self.to, self.package, {member: iter([manifest.encode()])}))
        return self.made


def _wheel(to: Path, package: str, members: dict[str, Iterator[bytes]]) -> Path:
    """A wheel without code: members, METADATA, WHEEL and RECORD. Stored, not compressed: weights do not shrink."""
    stem = f"{package.replace('-', '_')}-{_VERSION}"
    target = to / f"{stem}-py3-none-any.whl"
    part = target.with_name(f".{target.name}.part")
    info = f"{stem}.dist-info"
    metadata = (
        f"Metadata-Version: 2.1\nName: {package}\nVersion: {_VERSION}\n"
        "Summary: A part of a model, packed by zhilu. It holds no code.\n"
    )
    wheel = "Wheel-Version: 1.0\nGenerator: zhilu\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    small = {f"{info}/METADATA": metadata, f"{info}/WHEEL": wheel}
    records = []
    with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        for name, blocks in [*members.items(), *((n, iter([text.encode()])) for n, text in small.items())]:
            digest, size = hashlib.sha256(), 0
            with archive.open(zipfile.ZipInfo(name, _WHEN), "w", force_zip64=True) as out:
                for block in blocks:
                    digest.update(block)
                    size += len(block)
                    out.write(block)
            records.append(f"{name},sha256={_urlsafe(digest.digest())},{size}")
        with archive.open(zipfile.ZipInfo(f"{info}/RECORD", _WHEN), "w") as out:
            out.write(("\n".join([*records, f"{info}/RECORD,,"]) + "\n").encode())
    os.replace(part, target)
    return target


def _urlsafe(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
