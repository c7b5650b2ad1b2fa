"""The seam of sources: where documents come from that are kept in step with something outside.

A source is opened for one walk. It names everything that is there now, reads a thing only when asked to, and says at the end
whether it saw all of it: only then may what it did not name be taken for gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from pydantic import BaseModel

from zhilu.errors import ZhiluError

__all__ = ["Found", "SourceKind", "SourceOptions", "SourcePlace", "Walk"]


class SourceOptions(BaseModel):
    """What a source may be told beside its address; each kind reads its own.

    Attributes:
        branch: of a Git repository; its default one otherwise.
        pages: the most pages of a web site; 1 is the page alone.
        endpoint, region: of an S3-compatible store; without ``endpoint`` Amazon's.
    """

    branch: str | None = None
    pages: int = 1
    endpoint: str | None = None
    region: str = "us-east-1"


@dataclass(frozen=True)
class SourcePlace:
    """What a walk is given.

    Attributes:
        cache: a folder of the source's own, which may be emptied when nothing runs.
        secret: ``(name, key)`` for a source that asks for them.
        private: addresses that are not on the public internet may be reached.
        known: the stamps of what was taken before, by key.
    """

    address: str
    options: SourceOptions
    cache: Path
    secret: tuple[str, str] | None = None
    private: bool = False
    max_mb: int = 200
    known: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """One thing that is there.

    Attributes:
        key: the source's own name of it; the same at every walk.
        name: as a document, with its folders.
        stamp: changes when it changes; the same stamp is not read again.
        read: its content from the beginning, closed by the caller; None: ``error`` says why it cannot be had now.
    """

    key: str
    name: str
    stamp: str
    read: Callable[[], IO[bytes]] | None
    error: ZhiluError | None = None


class Walk(Protocol):
    """``whole`` is True once everything was named."""

    @property
    def whole(self) -> bool: ...

    def __iter__(self) -> Iterator[Found]:
        """
        Raises:
            ZhiluError: the source as a whole cannot be reached, or is refused.
        """


@dataclass(frozen=True)
class SourceKind:
    """A kind of source.

    Attributes:
        is_local: it reads this machine's own files: only who sits at it may name one.
        prefix: the folder under which the documents of an address go.
    """

    name: str
    is_local: bool
    prefix: Callable[[str], str]
    walk: Callable[[SourcePlace], Walk]
