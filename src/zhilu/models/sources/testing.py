"""A source in memory, and the conformance suite that every source passes.

To test a source of your own, subclass ``SourceConformance`` and give it ``world``: a place with the two files of ``FILES``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from zhilu.errors import CancelledByUser, NotFoundError, UnreachableError, UpstreamError
from zhilu.messages import T
from zhilu.models.sources.base import ModelSource, Remote, RemoteFile, SourceFacts

if TYPE_CHECKING:
    from zhilu.models.catalog import CatalogModel

__all__ = ["FILES", "FakeSource", "SourceConformance", "World"]

# A large file, to be cut off in the middle, and a small one.
FILES = {"weights.gguf": bytes(range(256)) * 12_000, "README.md": b"---\nlicense: mit\n---\n# Tiny\n"}
_PIECE = 100_000


class FakeSource:
    """See ``ModelSource``: places and files in memory.

    Attributes:
        answers: False: it is as if nobody were there.
        lie_about: file name whose bytes come wrong.
    """

    def __init__(self, places: dict[str, dict[str, bytes]], name: str = "fake", online: bool = True) -> None:
        self.places = places
        self.answers = True
        self.lie_about: str | None = None
        self.facts = SourceFacts(name, T("Fake", "假来源"), "memory", "OWNER/NAME", online=online, any_model=True)

    def place_of(self, model: CatalogModel) -> str | None:
        return model.hf

    def look(self, place: str, revision: str | None) -> Remote:
        files = [
            RemoteFile(name, len(content), hashlib.sha256(content).hexdigest())
            for name, content in self._files(place).items()
        ]
        return Remote(revision or "1", files)

    def fetch(self, place: str, revision: str, names: Sequence[str], folder: Path, go_on: Callable[[], None]) -> None:
        files = self._files(place)
        for name in names:
            if name not in files:
                raise NotFoundError(T(f"No {name!r} in {place!r}.", f"{place!r} 中没有 {name!r}。"))
            if (folder / name).exists():
                continue
            content = files[name] if name != self.lie_about else bytes(len(files[name]))
            part = folder / f"{name}.part"
            with part.open("ab") as out:
                while out.tell() < len(content):
                    out.write(content[out.tell() : out.tell() + _PIECE])
                    go_on()
            part.replace(folder / name)

    def _files(self, place: str) -> dict[str, bytes]:
        if not self.answers:
            raise UnreachableError(T("Nobody is there.", "没有应答。"), code="hub_unreachable")
        if place not in self.places:
            raise NotFoundError(T(f"No model {place!r}.", f"没有模型 {place!r}。"), code="repo_not_found")
        return self.places[place]


class World(NamedTuple):
    """What a test of a source is run in.

    Attributes:
        source: reaches ``place``, which has ``FILES``.
        silent: the same kind of source, with nobody at its address.
        fetched: bytes of the large file that were handed out so far, None where that cannot be counted.
    """

    source: ModelSource
    place: str
    silent: ModelSource
    fetched: Callable[[], int] | None = None


class SourceConformance:
    """Subclasses define the fixture ``world``."""

    def test_it_lists_the_files_with_their_sizes(self, world: World) -> None:
        remote = world.source.look(world.place, None)
        sizes = {file.name: file.size for file in remote.files}
        assert sizes == {name: len(content) for name, content in FILES.items()}
        assert remote.revision
        for file in remote.files:
            assert file.sha256 in (None, hashlib.sha256(FILES[file.name]).hexdigest())

    def test_it_brings_the_very_bytes(self, world: World, tmp_path: Path) -> None:
        revision = world.source.look(world.place, None).revision
        folder = tmp_path / "came"
        folder.mkdir()
        world.source.fetch(world.place, revision, list(FILES), folder, lambda: None)
        assert {name: (folder / name).read_bytes() for name in FILES} == FILES

    def test_it_brings_only_what_was_asked_for(self, world: World, tmp_path: Path) -> None:
        revision = world.source.look(world.place, None).revision
        folder = tmp_path / "came"
        folder.mkdir()
        world.source.fetch(world.place, revision, ["README.md"], folder, lambda: None)
        assert (folder / "README.md").read_bytes() == FILES["README.md"]
        assert not (folder / "weights.gguf").exists()

    def test_what_go_on_raises_ends_it_and_a_second_call_goes_on(self, world: World, tmp_path: Path) -> None:
        revision = world.source.look(world.place, None).revision
        folder = tmp_path / "came"
        folder.mkdir()

        def stop() -> None:
            raise CancelledByUser(T("enough", "够了"))

        with pytest.raises(Exception):  # noqa: B017 - a hub's own client may wrap it
            world.source.fetch(world.place, revision, list(FILES), folder, stop)
        assert not (folder / "weights.gguf").exists() or (folder / "weights.gguf").read_bytes() != FILES["weights.gguf"]
        world.source.fetch(world.place, revision, list(FILES), folder, lambda: None)
        assert {name: (folder / name).read_bytes() for name in FILES} == FILES

    def test_an_unknown_place_is_named(self, world: World) -> None:
        unknown = world.place.replace(world.place[-1], "qqq")
        with pytest.raises((NotFoundError, UpstreamError), match=unknown):
            world.source.look(unknown, None)

    def test_silence_is_told_soon_and_as_such(self, world: World) -> None:
        with pytest.raises(UnreachableError) as raised:
            world.silent.look(world.place, None)
        assert raised.value.fix

    def test_facts_are_told(self, world: World) -> None:
        facts = world.source.facts
        assert facts.name and facts.places and facts.title.en and facts.title.zh
