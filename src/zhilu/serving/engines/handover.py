"""A model folder as another program may read it: both spellings of what transformers 4 and 5 write differently.

A program that knows one spelling reads the other in silence and wrongly: without ``rope_theta`` positions turn at another
speed and the answer is noise, without the template in its place a chat is plain text. So a folder is not handed over as it
is: a folder of links to its files is, in which ``config.json`` and ``tokenizer_config.json`` say everything twice and the
chat template stands in both places. Nothing is copied but these small files.

Spellings: transformers 5.23, its modules ``modeling_rope_utils`` and ``tokenization_utils_base``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from zhilu.engine.model.spellings import both_spellings, tokenizer_spellings
from zhilu.errors import StorageError
from zhilu.messages import T
from zhilu.models.check import PICKLES, read_object

__all__ = ["HANDED", "Links", "content_key", "hand_over", "release", "sweep"]

# ``read``: symbolic links, as long as the model is there. ``imported``: hard links, for a program that refuses what leads
# out of the folder (``ollama create`` follows a link and calls it an insecure path) and makes a copy of its own.
Links = Literal["read", "imported"]

HANDED = "handover"  # the folder under the data home's cache
_CONFIG, _TOKENIZER, _TEMPLATE = "config.json", "tokenizer_config.json", "chat_template.jinja"
_NOTE = "handed.json"  # beside the folder of links: what it was made of
_SMALL = (".json", ".jinja", ".txt", ".model")


def content_key(folder: Path) -> str:
    """Changes with any byte of the small files, and with place, size or time of the weights (reading them takes minutes)."""
    digest = hashlib.sha256()
    for path in _files(folder):
        seen = path.stat()
        is_small = path.suffix in _SMALL and seen.st_size < 2**26
        what = hashlib.sha256(path.read_bytes()).hexdigest() if is_small else f"{path.resolve()} {seen.st_mtime_ns}"
        digest.update(f"{path.name} {seen.st_size} {what}\n".encode())
    return digest.hexdigest()[:24]


def hand_over(folder: Path, cache: Path, links: Links = "read") -> Path:
    """The folder of links for ``folder``, made where it is not there yet: ``cache/KEY/NAME``. It appears whole or not at all.

    Args:
        folder: a safetensors model. cache: of the data home, for these folders alone.

    Raises:
        InputError: ``config.json`` cannot be read. StorageError: hard links are needed and cannot be made there.
    """
    folder = folder.resolve()
    place = cache / f"{content_key(folder)}-{links}"
    made = place / folder.name
    sweep(cache)
    if made.is_dir():
        return made
    cache.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=cache, prefix=".part-"))
    try:
        (part / folder.name).mkdir()
        _fill(part / folder.name, folder, links)
        note = {"folder": str(folder), "key": content_key(folder), "links": links}
        (part / _NOTE).write_text(json.dumps(note), encoding="utf-8")
        with suppress(OSError):  # somebody else made the same meanwhile
            os.rename(part, place)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return made


def sweep(cache: Path) -> list[Path]:
    """Remove the folders whose model has changed or is gone, and return them: a hard link would keep its weights on the disk."""
    gone = []
    for note in cache.glob(f"*/{_NOTE}"):
        try:
            said = read_object(note)
            is_stale = content_key(Path(said["folder"])) != said["key"]
        except Exception:  # a model that cannot be read any more, a note of another version
            is_stale = True
        if is_stale:
            shutil.rmtree(note.parent, ignore_errors=True)
            gone.append(note.parent)
    return gone


def release(made: Path | None) -> None:
    """Remove a folder that ``hand_over`` made."""
    if made is not None and (made.parent / _NOTE).is_file():
        shutil.rmtree(made.parent, ignore_errors=True)


def _files(folder: Path) -> list[Path]:
    """What belongs to the model: no pickles and no code, which nobody is to run."""
    if folder.is_file():  # GGUF
        return [folder]
    kept = (path for path in sorted(folder.iterdir()) if not path.name.startswith("."))
    return [path for path in kept if path.is_file() and path.suffix not in (*PICKLES, ".py")]


def _fill(target: Path, folder: Path, links: Links) -> None:
    written: dict[str, str] = {_CONFIG: _json(both_spellings(read_object(folder / _CONFIG)))}
    template = folder / _TEMPLATE
    stated = folder / _TOKENIZER
    config, text = tokenizer_spellings(
        read_object(stated) if stated.is_file() else {},
        template.read_text(encoding="utf-8") if template.is_file() else None,
    )
    if config:
        written[_TOKENIZER] = _json(config)
    if text:
        written[_TEMPLATE] = text
    for name, content in written.items():
        (target / name).write_text(content, encoding="utf-8")
        if (folder / name).is_file():  # a converter that goes by the time sees no change where there is none
            seen = (folder / name).stat()
            os.utime(target / name, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    for path in _files(folder):
        if path.name not in written:
            _link(path.resolve(), target / path.name, links)


def _link(source: Path, target: Path, links: Links) -> None:
    if links == "read":
        target.symlink_to(source)
        return
    try:
        os.link(source, target)
    except OSError as error:
        raise StorageError(
            T(
                f"{str(source)!r} cannot be linked into {str(target.parent)!r}: {error.strerror}; the model and the data home "
                "must be on one file system for this engine",
                f"无法把 {str(source)!r} 链接到 {str(target.parent)!r}：{error.strerror}；使用此引擎时，模型与数据目录必须在同一个文件系统上",
            ),
            fix=f"zhilu model import {source.parent}",
        ) from error


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
