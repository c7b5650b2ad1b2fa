"""The kinds of sources, and which one an address belongs to."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.rag.sources.base import SourceKind
from zhilu.rag.sources.confluence import CONFLUENCE
from zhilu.rag.sources.folder import FOLDER
from zhilu.rag.sources.git import GIT
from zhilu.rag.sources.s3 import S3
from zhilu.rag.sources.site import SITE

__all__ = ["KINDS", "is_address", "kind_of_address"]

KINDS = {kind.name: kind for kind in (FOLDER, GIT, SITE, S3, CONFLUENCE)}
# Where an address of two names is a repository.
_FORGES = ("github.com", "gitlab.com", "gitee.com", "codeberg.org", "bitbucket.org")


def is_address(text: str) -> bool:
    """Whether this is an address of something elsewhere, and no path."""
    return text.startswith("confluence:") or "://" in text


def kind_of_address(address: str) -> SourceKind:
    """
    Raises:
        InputError: no kind takes it; says which forms there are.
    """
    if address.startswith("confluence:"):
        return CONFLUENCE
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise _unknown(address) from error
    steps = [step for step in parts.path.split("/") if step]
    if parts.scheme == "s3":
        return S3
    if parts.scheme in ("git+https", "git+file", "file") or (
        parts.scheme == "https" and parts.path.rstrip("/").endswith(".git")
    ):
        return GIT
    if parts.scheme == "https" and parts.hostname in _FORGES and len(steps) == 2:
        return GIT
    if parts.scheme in ("http", "https") and parts.hostname:
        return SITE
    if not parts.scheme and Path(address).expanduser().is_dir():
        return FOLDER
    raise _unknown(address)


def is_local(kind: SourceKind, address: str) -> bool:
    """Whether it reads this machine's own files."""
    return kind.is_local or address.removeprefix("git+").startswith("file:")


def _unknown(address: str) -> InputError:
    return InputError(
        T(
            f"{address!r} is no source: a folder, https://…, https://….git, s3://bucket/folder or confluence:export.zip.",
            f"{address!r} 不是可用的来源：可以是文件夹、https://…、https://….git、s3://桶/目录 或 confluence:导出.zip。",
        ),
        param="address",
    )
