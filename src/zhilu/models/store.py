"""The models of a data home: folders under ``models/``, and the embedded model inside the package."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

from zhilu.errors import ConflictError, InputError, NotFoundError, ZhiluError, nearest
from zhilu.home import atomic_write, file_lock
from zhilu.messages import T
from zhilu.models.check import check_folder, gguf_files, is_model_file
from zhilu.models.gguf_header import read_gguf_header
from zhilu.models.inspect import Anatomy, gguf_kind, inspect_folder, why_not
from zhilu.models.running import engine_states
from zhilu.models.shipped import NANO

if TYPE_CHECKING:
    from zhilu.context import Context
    from zhilu.models.catalog import CatalogModel
from zhilu.models.inspect import thinking_of

__all__ = ["EMBEDDED", "NOTE", "ModelInfo", "ModelStore", "check_name"]

EMBEDDED = "zhilu-nano"
NOTE = "zhilu.json"  # beside the files: where they came from and their hashes
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
List = list  # ``ModelStore.list`` hides the builtin inside the class
_BLOCK = 1 << 22  # bytes read at once when hashing


class ModelInfo(BaseModel):
    """A model of the store. A folder that cannot be used is listed too, with ``supported`` False and the reason.

    Attributes:
        kind: what it is for; ``chat`` where neither the catalogue nor the files say otherwise.
        linked: its files are another program's (Ollama's, LM Studio's), linked and not copied.
        thinking: before it answers: ``switch`` where a request can turn it on and off.
    """

    name: str
    embedded: bool
    kind: str = "chat"
    format: str = "safetensors"
    linked: bool = False
    source: str
    revision: str | None = None
    path: str
    architecture: str | None = None
    parameters: int = 0
    size_bytes: int = 0
    dtype: str | None = None
    context_length: int | None = None
    vocab_size: int | None = None
    license: str | None = None
    state: Literal["ready", "starting", "failed", "stopped"] = "stopped"
    engine: str | None = None
    detail: str = ""
    card: bool = False
    thinking: Literal["switch", "always"] | None = None
    supported: bool
    why_not: dict[str, str] | None = None


_NO_CHAT = T(
    "It is no chat model: what turns text into vectors, orders passages, hears, sees or speaks takes it by its name",
    "它不是对话模型：向量化、重排、语音或视觉功能会按名字使用它",
)


class ModelStore:
    """Find, import and remove models. Safe to use from several processes: a model appears whole or not at all."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.folder = context.home.models

    def list(self) -> list[ModelInfo]:
        """The embedded model first, then the others by name."""
        states = engine_states(self.context.home)
        folders = sorted(path for path in self.folder.iterdir() if path.is_dir() and _NAME.fullmatch(path.name))
        return [self._describe(EMBEDDED, NANO, states)] + [self._describe(p.name, p, states) for p in folders]

    def get(self, name: str) -> ModelInfo:
        """
        Raises:
            NotFoundError: names the models there are.
        """
        return self._describe(name, self.path_of(name), engine_states(self.context.home))

    def path_of(self, name: str) -> Path:
        """The folder of a model.

        Raises:
            NotFoundError: no such model.
        """
        if name == EMBEDDED:
            return NANO
        if _NAME.fullmatch(name) and (self.folder / name).is_dir():
            return self.folder / name
        there = [EMBEDDED, *sorted(path.name for path in self.folder.iterdir() if _NAME.fullmatch(path.name))]
        close = nearest(name, there)
        raise NotFoundError(
            T(
                f"No model {name!r}." + (f" Did you mean {close!r}?" if close else f" There are: {', '.join(there)}."),
                f"没有模型 {name!r}。" + (f"是不是 {close!r}？" if close else f"现有：{'、'.join(there)}。"),
            ),
            param="model",
            fix="zhilu model list",
        )

    def import_folder(
        self, path: Path | str, name: str | None = None, *, on_bytes: Callable[[int, int], None] | None = None
    ) -> ModelInfo:
        """Take in a model folder, or a GGUF file (linked, see ``link_files``). A folder is checked, hard-linked where the file
        system allows it, else copied; hashed; renamed into place at the end. Files of a call that was killed are used
        again by the next one.

        Args:
            path: the folder; left as it is.
            name: in the store; by default the folder's own.
            on_bytes: called with bytes hashed so far and in all.

        Raises:
            InputError and below: the folder is no whole model, or the name cannot be used.
            ConflictError: the name is taken.
        """
        source = Path(path).expanduser().absolute()
        if source.suffix.lower() == ".gguf" and source.is_file():
            return self.link_files(name or source.stem, {source.name: source}, source="file", origin=str(source))
        source = source.resolve()
        check_folder(source)
        name = check_name(name or source.name)
        self.refuse_taken(name)
        with file_lock(self.context.home.run / f"model-{name}.lock"):
            self.refuse_taken(name)
            incoming = self.incoming(name)
            incoming.mkdir(parents=True, exist_ok=True)
            for file in sorted(source.iterdir()):
                if file.is_file() and is_model_file(file.name):
                    _take(file, incoming / file.name)
            return self.admit(name, incoming, source="folder", revision=None, origin=str(source), on_bytes=on_bytes)

    def link_files(
        self,
        name: str,
        files: Mapping[str, Path | str],
        *,
        source: str,
        origin: str,
        sha256: str | None = None,
    ) -> ModelInfo:
        """Make GGUF files that lie elsewhere a model, without copying them: a hard link where the file system allows it (it
        outlives the other program's), else a symbolic one. Their bytes are not read, so that 40 GB take no time.

        Args:
            files: the name in our folder -> the file; the first is the model.
            sha256: of the first, where the other store states it.

        Raises:
            InputError: no GGUF file, or an impossible name.
            ConflictError: the name is taken.
        """
        name = check_name(name)
        for path in files.values():
            read_gguf_header(Path(path))
        with file_lock(self.context.home.run / f"model-{name}.lock"):
            self.refuse_taken(name)
            incoming = self.incoming(name)
            shutil.rmtree(incoming, ignore_errors=True)
            incoming.mkdir(parents=True)
            for file, path in files.items():
                _link(Path(path).resolve(), incoming / file)
            note = {
                "source": source,
                "origin": origin,
                "imported_at": datetime.now(timezone.utc).isoformat(),
                "linked": {file: str(path) for file, path in files.items()},
                "sha256": {next(iter(files)): sha256} if sha256 else {},
            }
            atomic_write(incoming / NOTE, json.dumps(note, indent=2, ensure_ascii=False) + "\n")
            os.rename(incoming, self.folder / name)
            return self.get(name)

    def note(self, name: str) -> dict[str, Any]:
        """Where a model came from, with its files' SHA-256; empty for a folder that was put there by hand."""
        return _note(self.path_of(name))

    def files(self, name: str) -> List[Path]:
        """The files that make up a model, without our note, by name."""
        return sorted(p for p in self.path_of(name).iterdir() if p.is_file() and is_kept(p.name))

    def incoming(self, name: str) -> Path:
        """Where a model is put together before it gets its name; kept when the work is interrupted."""
        return self.folder / f".incoming-{name}"

    def admit(
        self,
        name: str,
        incoming: Path,
        *,
        source: str,
        revision: str | None,
        origin: str,
        expected: dict[str, str] | None = None,
        catalogued: CatalogModel | None = None,
        on_bytes: Callable[[int, int], None] | None = None,
    ) -> ModelInfo:
        """Check, hash and rename a complete ``incoming`` folder into the store.

        Args:
            expected: SHA-256 by file name, from the maker or the hub; a difference is refused and the file removed, so
                that the next attempt fetches it again.
            catalogued: what the catalogue says of it; noted, and the files it names must be there.
        """
        if catalogued is None or catalogued.format in ("safetensors", "gguf"):
            check_folder(incoming)
        hashes = _hash_all(incoming, on_bytes)
        wrong = [file for file, digest in (expected or {}).items() if file in hashes and hashes[file] != digest]
        if wrong:
            for file in wrong:
                (incoming / file).unlink()
            raise InputError(
                T(
                    f"{', '.join(wrong)} arrived damaged: the SHA-256 is not the published one. Removed; pull again.",
                    f"{'、'.join(wrong)} 下载损坏：SHA-256 与公布的不符。已删除，请重新拉取。",
                ),
                code="damaged_download",
                fix=f"zhilu model pull {origin}",
            )
        note = {
            "source": source,
            "origin": origin,
            "revision": revision,
            "imported_at": datetime.now(timezone.utc).isoformat(),
            "sha256": hashes,
            **_facts_of(catalogued),
        }
        for extra in incoming.glob(".*"):  # notes of how it came here
            extra.unlink()
        atomic_write(incoming / NOTE, json.dumps(note, indent=2, ensure_ascii=False) + "\n")
        os.rename(incoming, self.folder / name)
        return self.get(name)

    def remove(self, name: str) -> None:
        """
        Raises:
            NotFoundError: no such model.
            ConflictError: it is the embedded one, or an engine has it loaded.
        """
        info = self.get(name)
        if info.embedded:
            raise ConflictError(
                T(f"{EMBEDDED!r} is part of the program and stays.", f"{EMBEDDED!r} 是程序的一部分，不能删除。"),
                param="model",
            )
        if info.state in ("ready", "starting"):
            raise ConflictError(
                T(f"{name!r} is loaded in an engine: stop it first.", f"{name!r} 正在引擎中运行：请先停止它。"),
                param="model",
            )
        doomed = self.folder / f".removed-{name}-{os.getpid()}"
        os.rename(self.folder / name, doomed)  # gone at once for everyone else, whatever happens to the deletion
        shutil.rmtree(doomed)
        for made in (self.context.home.cache / "engine").glob(f"{name}~*"):  # by our engine, of this model's weights
            made.unlink(missing_ok=True)

    def refuse_taken(self, name: str) -> None:
        """
        Raises:
            ConflictError: there is a model of this name.
        """
        if name == EMBEDDED or (self.folder / name).exists():
            raise ConflictError(
                T(f"There is a model {name!r} already.", f"已经有名为 {name!r} 的模型。"),
                param="name",
                fix="zhilu model import FOLDER --name OTHER" if name == EMBEDDED else f"zhilu model remove {name}",
            )

    def _describe(self, name: str, folder: Path, states: dict[str, dict[str, Any]]) -> ModelInfo:
        note = _note(folder)
        embedded = name == EMBEDDED
        known: dict[str, Any] = {
            "name": name,
            "embedded": embedded,
            "source": "embedded" if embedded else note.get("source", "folder"),
            "revision": note.get("revision"),
            "path": str(folder),
            **states.get(name, {}),
        }
        files = gguf_files(folder)
        known["format"] = "gguf" if files else note.get("format", "safetensors")
        known["kind"] = note.get("kind") or (gguf_kind(files[0]) if files else "chat")
        known["linked"] = bool(note.get("linked"))
        if known["format"] not in ("gguf", "safetensors"):
            size = sum(path.stat().st_size for path in self.files(name))
            return ModelInfo(
                **known, size_bytes=size, license=note.get("license"), supported=False, why_not=_NO_CHAT.data()
            )
        try:
            anatomy: Anatomy = inspect_folder(folder)
            reason = why_not(folder) if known["kind"] == "chat" else _NO_CHAT
        except ZhiluError as error:
            return ModelInfo(**known, supported=False, why_not=error.message.data())
        thinks = thinking_of(folder)
        facts = {
            **anatomy.model_dump(),
            "license": anatomy.license or note.get("license"),
            "thinking": thinks.kind if thinks else None,
        }
        return ModelInfo(**known, **facts, supported=reason is None, why_not=None if reason is None else reason.data())


def _facts_of(model: CatalogModel | None) -> dict[str, Any]:
    """What the catalogue knows and the files may not tell."""
    if model is None:
        return {}
    return {"catalog": model.name, "kind": model.kind, "format": model.format, "license": model.license}


def check_name(name: str) -> str:
    """
    Raises:
        InputError: not usable as a folder and in a URL.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            T(
                f"{name!r} cannot be a model's name: letters, digits, '.', '_' and '-', at most 100, no '.' or '-' first.",
                f"{name!r} 不能作为模型名：只能用字母、数字、“.”、“_”和“-”，最多 100 个字符，不能以“.”或“-”开头。",
            ),
            param="name",
        )
    return name


def _take(file: Path, to: Path) -> None:
    """Link or copy one file; one that an earlier call took in whole is left as it is."""
    real = file.resolve()  # the hub's cache consists of links
    if to.exists() and to.stat().st_size == real.stat().st_size and to.stat().st_mtime_ns == real.stat().st_mtime_ns:
        return
    to.unlink(missing_ok=True)
    if {real.suffix, file.suffix} & {".safetensors", ".gguf"}:
        try:
            os.link(real, to)
            return
        except OSError:
            pass  # another file system, or one without links
    part = to.with_name(f".{to.name}.part")
    shutil.copy2(real, part)
    os.replace(part, to)


def is_kept(name: str) -> bool:
    """True for a file of a model in the store: all but our note and what begins with a point."""
    return not name.startswith(".") and name != NOTE


def _link(file: Path, to: Path) -> None:
    try:
        os.link(file, to)
    except OSError:  # another file system, another user's file, or one without hard links
        to.symlink_to(file)


def _hash_all(folder: Path, on_bytes: Callable[[int, int], None] | None) -> dict[str, str]:
    files = sorted(path for path in folder.iterdir() if path.is_file() and is_kept(path.name))
    total, done = sum(path.stat().st_size for path in files), 0
    hashes = {}
    for path in files:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                done += len(block)
                if on_bytes is not None:
                    on_bytes(done, total)
        hashes[path.name] = digest.hexdigest()
    return hashes


def _note(folder: Path) -> dict[str, Any]:
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}
