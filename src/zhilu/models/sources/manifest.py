"""``zhilu-model.json``: the files of a packed model with their sizes and SHA-256, and the parts that packages hold."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zhilu.errors import UpstreamError
from zhilu.messages import T
from zhilu.models.sources.base import Remote, RemoteFile

__all__ = ["MANIFEST", "Manifest", "ManifestFile", "ManifestPart", "read_manifest"]

MANIFEST = "zhilu-model.json"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ManifestPart(_Strict):
    """Member ``member`` of a package, ``package`` as pip writes it: ``NAME==VERSION``."""

    package: str
    member: str


class ManifestFile(_Strict):
    name: str = Field(pattern=r"^[A-Za-z0-9][^/\\]*$")
    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    parts: list[ManifestPart] = Field(default_factory=list)


class Manifest(_Strict):
    """
    Attributes:
        model: its name in the store it was packed from.
        origin: where that store had it from, as ``SOURCE:PLACE``.
    """

    version: int = Field(1, ge=1, le=1)
    model: str
    origin: str = ""
    license: str | None = None
    files: list[ManifestFile] = Field(min_length=1)

    def remote(self, revision: str) -> Remote:
        return Remote(revision, [RemoteFile(file.name, file.size, file.sha256) for file in self.files])


def read_manifest(text: str | bytes, where: str) -> Manifest:
    """
    Raises:
        UpstreamError: it is no manifest; says where it was read.
    """
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"]) or MANIFEST
        raise UpstreamError(
            T(
                f"{MANIFEST} at {where} cannot be used: {path}: {first['msg']}.",
                f"{where} 的 {MANIFEST} 无法使用：{path}：{first['msg']}。",
            ),
            code="bad_manifest",
        ) from error
