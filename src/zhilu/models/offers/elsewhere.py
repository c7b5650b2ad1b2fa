"""Models that other programs on this machine have: Ollama's and LM Studio's stores are found and linked, never copied.

Ollama keeps ``manifests/HOST/OWNER/MODEL/TAG`` (JSON that names layers) and ``blobs/sha256-HEX`` beside each other; LM Studio
keeps ``PUBLISHER/REPOSITORY/FILE.gguf``. Their files are read and nothing of theirs is changed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from zhilu.errors import NotFoundError, nearest
from zhilu.messages import T

__all__ = ["Elsewhere", "find_elsewhere", "get_elsewhere", "stores"]

App = Literal["ollama", "lmstudio"]
_MODEL, _PROJECTOR = "application/vnd.ollama.image.model", "application/vnd.ollama.image.projector"
_LARGEST_MANIFEST = 1 << 20


class Elsewhere(BaseModel):
    """A model in another program's store.

    Attributes:
        name: what that program calls it (``qwen3:1.7b``, ``publisher/repository/file``).
        suggested: a name for it in our store.
        files: our file name to the path of theirs: the model, and the projector of one that sees.
        sha256: of the model file, where their store states it.
    """

    app: App
    name: str
    suggested: str
    files: dict[str, str]
    size_bytes: int
    sha256: str | None = None


def stores() -> dict[App, list[Path]]:
    """Where the two programs keep models here; only folders that are there."""
    home = Path.home()
    given = os.environ.get("OLLAMA_MODELS")
    ollama = [Path(given)] if given else []
    # The second is the Linux service's.
    ollama += [home / ".ollama" / "models", Path("/usr/share/ollama/.ollama/models"), Path("/var/lib/ollama/models")]
    lmstudio = [home / ".lmstudio" / "models", home / ".cache" / "lm-studio" / "models"]
    return {"ollama": _folders(ollama), "lmstudio": _folders(lmstudio)}


def find_elsewhere() -> list[Elsewhere]:
    """What they have, by program and name; a manifest or file that cannot be read is passed over."""
    there = stores()
    found = [model for root in there["ollama"] for model in _of_ollama(root)]
    found += [model for root in there["lmstudio"] for model in _of_lmstudio(root)]
    return sorted({(model.app, model.name): model for model in found}.values(), key=lambda m: (m.app, m.name))


def get_elsewhere(name: str) -> Elsewhere:
    """The model that a program here calls ``name``; with the program before it (``ollama/qwen3:1.7b``) or without. Ollama's
    tag ``latest`` may be left out.

    Raises:
        NotFoundError: names what there is.
    """
    found = find_elsewhere()
    for model in found:
        if name in (model.name, f"{model.app}/{model.name}", model.suggested) or f"{name}:latest" == model.name:
            return model
    listed = [model.name for model in found]
    close = nearest(name, listed)
    there = ", ".join(listed[:8]) or "-"
    raise NotFoundError(
        T(
            f"There is no folder or file {name!r}, and neither Ollama nor LM Studio has it here."
            + (f" Did you mean {close!r}?" if close else f" They have: {there}."),
            f"没有名为 {name!r} 的目录或文件，这台机器上的 Ollama 和 LM Studio 也没有它。"
            + (f"是不是 {close!r}？" if close else f"它们有：{there}。"),
        ),
        param="path",
        fix="zhilu model import",
    )


def _folders(paths: list[Path]) -> list[Path]:
    return [path for path in paths if _is_folder(path)]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False  # another user's


def _of_ollama(root: Path) -> Iterator[Elsewhere]:
    for manifest in sorted((root / "manifests").glob("*/*/*/*")):
        layers = _layers(manifest)
        models = [layer for layer in layers if layer.get("mediaType") == _MODEL]
        blob = _blob(root, models[0]) if len(models) == 1 else None
        if blob is None:
            continue  # a model in the cloud, one of safetensors, or one that is being pulled
        host, owner, model, tag = manifest.parts[-4:]
        spoken = f"{model}:{tag}" if owner == "library" else f"{owner}/{model}:{tag}"
        if host != "registry.ollama.ai":
            spoken = f"{host}/{spoken}"
        suggested = _plain(model if tag == "latest" else f"{model}-{tag}")
        files = {f"{suggested}.gguf": str(blob)}
        for layer in layers:
            projector = _blob(root, layer) if layer.get("mediaType") == _PROJECTOR else None
            if projector is not None:
                files[f"mmproj-{suggested}.gguf"] = str(projector)
        yield Elsewhere(
            app="ollama",
            name=spoken,
            suggested=suggested,
            files=files,
            size_bytes=sum(Path(path).stat().st_size for path in files.values()),
            sha256=blob.name.removeprefix("sha256-"),
        )


def _layers(manifest: Path) -> list[dict[str, Any]]:
    try:
        if not manifest.is_file() or manifest.stat().st_size > _LARGEST_MANIFEST:
            return []
        layers = json.loads(manifest.read_bytes())["layers"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [layer for layer in layers if isinstance(layer, dict)] if isinstance(layers, list) else []


def _blob(root: Path, layer: dict[str, Any]) -> Path | None:
    """The file of a layer, if it is whole; a digest that is none leads nowhere."""
    algorithm, _, value = str(layer.get("digest", "")).partition(":")
    if algorithm != "sha256" or len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        return None
    path = root / "blobs" / f"sha256-{value}"
    try:
        whole = path.is_file() and path.stat().st_size == layer.get("size", path.stat().st_size)
    except OSError:
        return None
    return path if whole else None


def _of_lmstudio(root: Path) -> Iterator[Elsewhere]:
    for file in sorted(root.glob("*/*/*.gguf")):
        if file.name.lower().startswith("mmproj") or not file.is_file():
            continue
        publisher, repository = file.parts[-3:-1]
        files = {file.name: str(file)}
        for projector in sorted(file.parent.glob("mmproj*.gguf"))[:1]:
            files[projector.name] = str(projector)
        yield Elsewhere(
            app="lmstudio",
            name=f"{publisher}/{repository}/{file.stem}",
            suggested=_plain(file.stem),
            files=files,
            size_bytes=sum(Path(path).stat().st_size for path in files.values()),
        )


def _plain(name: str) -> str:
    """A name that our store takes."""
    kept = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "-" for letter in name)
    return (kept.lstrip("._-") or "model")[:100]
