"""What a source of models is: a place from which a model's files can be brought.

A source is found through the entry points ``zhilu.model_sources`` (name to a factory that takes the settings). The hubs,
a mirror, a folder and a package index come with the product; ``zhilu.models.sources.testing`` has the conformance suite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from zhilu.errors import UnreachableError
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.models.catalog import CatalogModel

__all__ = ["LOOK_SECONDS", "ModelSource", "Remote", "RemoteFile", "SourceFacts", "refuse_silence"]

LOOK_SECONDS = 6.0  # that an address has to answer before it counts as unreachable


class RemoteFile(NamedTuple):
    """A file of a model there. ``size`` in bytes, 0 where the source does not tell; a hub knows the hash of large files
    only."""

    name: str
    size: int
    sha256: str | None


class Remote(NamedTuple):
    """A model at one revision; ``revision`` is the commit where the source tells it."""

    revision: str
    files: list[RemoteFile]


@dataclass(frozen=True)
class SourceFacts:
    """
    Attributes:
        name: as registered.
        title: shown to people.
        endpoint: the address or path that is asked.
        places: what a place looks like there, for messages (``OWNER/NAME``).
        online: it is reached over the network: the setting ``offline`` forbids it.
        any_model: it has models beyond the catalogue, each at a place that a person can name.
        searches: its models can be searched.
        fetches_extra: bytes beside the file itself that a download needs while it runs (packages that are unpacked).
    """

    name: str
    title: T
    endpoint: str
    places: str
    online: bool = True
    any_model: bool = False
    searches: bool = False
    fetches_extra: int = 0


class ModelSource(Protocol):
    """A place with models.

    All methods raise UnreachableError (no answer, at most a few seconds later), NotFoundError (it answers, and has no such
    model or revision), ForbiddenError (a licence to accept or a token is needed), MissingComponentError (a client is not
    installed), UpstreamError (anything else). Each message says what was asked where. None changes anything but files in
    the ``folder`` that it is given; nothing that comes from a source is ever run.
    """

    facts: SourceFacts

    def place_of(self, model: CatalogModel) -> str | None:
        """Where this source would have a model of the catalogue; None: it has not. Asks nobody."""

    def look(self, place: str, revision: str | None) -> Remote:
        """What there is."""

    def fetch(self, place: str, revision: str, names: Sequence[str], folder: Path, go_on: Callable[[], None]) -> None:
        """Bring files into ``folder``; goes on with what an earlier call left there, after a kill -9 too.

        ``go_on`` is called, from several threads, after each piece of a file: what it raises ends the call soon.
        """


def refuse_silence(url: str, title: str, asked: str, fix: str | None) -> None:
    """One short look at an address; any answer will do. Proxies from the environment are honoured.

    Raises:
        UnreachableError: nobody answers.
    """
    import httpx

    try:
        httpx.head(url, timeout=LOOK_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, ImportError) as error:  # ImportError: a SOCKS proxy
        reason = str(error) or type(error).__name__
        raise UnreachableError(
            T(
                f"{title} does not answer at {url} ({reason}): {asked!r} cannot be pulled. Use a mirror, or set "
                "HTTPS_PROXY to your proxy, or bring the folder by other means: zhilu model import FOLDER",
                f"{title} 在 {url} 没有应答（{reason}）：无法拉取 {asked!r}。请改用镜像，或用 HTTPS_PROXY 设置代理，"
                "或用其他方式取得目录后运行：zhilu model import FOLDER",
            ),
            code="hub_unreachable",
            fix=fix,
        ) from error
