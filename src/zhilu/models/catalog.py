"""The models that the product offers by name, read from ``catalog.toml``: facts for the choice, and where to get each."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from zhilu.errors import NotFoundError, nearest
from zhilu.messages import T

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover - 3.10 only
    import tomli as tomllib

__all__ = ["Catalog", "CatalogFile", "CatalogModel", "IndexParts", "catalog"]

_FILE = Path(__file__).with_name("catalog.toml")
Group = Literal["starter", "small", "better", "coder", "vision", "embedder", "reranker", "speech"]
Kind = Literal["chat", "vision", "embedder", "reranker", "speech-to-text", "text-to-speech"]
Format = Literal["gguf", "safetensors", "ctranslate2", "onnx", "packed"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IndexParts(_Strict):
    """Where a package index has a file: member ``member`` of package ``package``, for n = 1 to ``parts``, one after the
    other."""

    package: str = Field(pattern=r"^[A-Za-z0-9._{}-]+==[0-9][A-Za-z0-9.]*$")
    member: str
    parts: int = Field(1, ge=1, le=999)

    def each(self) -> Iterator[tuple[str, str]]:
        """Package with version, and member, of each part."""
        for n in range(1, self.parts + 1):
            yield self.package.format(n=n), self.member.format(n=n)


class CatalogFile(_Strict):
    """A file by name, or by a pattern of names. ``sha256`` only where it is the maker's published one."""

    name: str
    size: int | None = None
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    index: IndexParts | None = None


class CatalogModel(_Strict):
    """One model. Sizes in bytes; ``thinks``: it can think before it answers (``enable_thinking``)."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    title: str
    group: Group
    kind: Kind
    format: Format
    parameters: int
    download_bytes: int
    memory_bytes: int
    license: str
    maker: str
    languages: tuple[str, ...]
    skills: tuple[str, ...]
    thinks: bool = False
    en: str
    zh: str
    files: tuple[CatalogFile | str, ...] = ()
    hf: str | None = None
    modelscope: str | None = None

    @property
    def what(self) -> T:
        return T(self.en, self.zh)

    @property
    def patterns(self) -> tuple[str, ...]:
        return tuple(file if isinstance(file, str) else file.name for file in self.files)

    @property
    def known(self) -> dict[str, CatalogFile]:
        """Files whose names are known, by name."""
        return {file.name: file for file in self.files if isinstance(file, CatalogFile)}

    @property
    def hashes(self) -> dict[str, str]:
        """The makers' SHA-256, by file name; a file that is not here has none that we know."""
        return {name: file.sha256 for name, file in self.known.items() if file.sha256}

    @property
    def on_index(self) -> bool:
        """Whether packages of the public package index carry it, and its weights can be checked."""
        return bool(self.hashes) and all(file.index for file in self.known.values())

    def choose(self, names: list[str]) -> list[str]:
        """Of a repository's file names those to take: all known ones, else those of the first pattern that has any."""
        if self.known:
            return [name for name in names if name in self.known]
        for pattern in self.patterns:
            found = [name for name in names if fnmatch(name.lower(), pattern.lower())]
            if found:
                return found[:1]
        return []


class Catalog(_Strict):
    order: tuple[str, ...]
    starter: dict[str, tuple[str, ...]]
    models: tuple[CatalogModel, ...]

    def get(self, name: str) -> CatalogModel:
        """
        Raises:
            NotFoundError: names what there is.
        """
        found = self.find(name)
        if found is not None:
            return found
        there = [model.name for model in self.models]
        close = nearest(name, there)
        raise NotFoundError(
            T(
                f"The catalogue has no model {name!r}."
                + (f" Did you mean {close!r}?" if close else f" There are: {', '.join(there)}."),
                f"目录中没有模型 {name!r}。" + (f"是不是 {close!r}？" if close else f"现有：{'、'.join(there)}。"),
            ),
            param="model",
            fix="zhilu model catalog",
        )

    def find(self, name: str) -> CatalogModel | None:
        return next((model for model in self.models if model.name == name), None)


@cache
def catalog() -> Catalog:
    """The catalogue of this release."""
    return Catalog.model_validate(tomllib.loads(_FILE.read_text(encoding="utf-8")))
