"""Recordings of the data home: the sound as it came, and beside it what was said, segment by segment.

``transcripts/<id>/``: ``sound`` (the original's bytes), ``about.json``, ``segments.jsonl`` (grows while a job works, so that a
killed one goes on behind the last line), ``transcript.json`` once all of it is there.
"""

from __future__ import annotations

import json
import shutil
import uuid
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pydantic import BaseModel

from zhilu.errors import NotFoundError, TooLargeError
from zhilu.home import atomic_write
from zhilu.media.hear.transcript import Transcript
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["Recording", "Recordings"]


class Recording(BaseModel):
    """``text`` and ``duration`` (seconds) as far as a job has come; ``whole``: to the end."""

    id: str
    name: str
    size_bytes: int
    created_at: datetime
    model: str = ""
    language: str = ""
    duration: float = 0.0
    text: str = ""
    whole: bool = False


class Recordings:
    """Those of one home."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.folder = context.home.transcripts

    def keep(self, sound: IO[bytes], name: str) -> Recording:
        """Store a recording. Nothing is left of one that is refused.

        Raises:
            TooLargeError: it is larger than ``max_upload_mb``.
        """
        id, most = uuid.uuid4().hex[:12], self.context.settings.max_upload_mb
        incoming = self.folder / f".incoming-{id}"
        incoming.mkdir(mode=0o700)
        try:
            size = 0
            with (incoming / "sound").open("wb") as out:
                while block := sound.read(1 << 20):
                    size += len(block)
                    if size > most * 2**20:
                        raise TooLargeError(
                            T(f"{name!r} is larger than {most} MB.", f"{name!r} 超过 {most} MB。"),
                            param="file",
                            fix=f"zhilu settings set max_upload_mb {most * 2}",
                        )
                    out.write(block)
            about = {
                "name": Path(name).name[:200] or "recording",
                "size_bytes": size,
                "created_at": datetime.now(timezone.utc).isoformat(),
            }
            (incoming / "about.json").write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")
            incoming.rename(self.folder / id)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        return self.get(id)

    def list(self) -> list[Recording]:
        """The newest first."""
        found = [self._of(path) for path in self.folder.iterdir() if (path / "about.json").is_file()]
        return sorted(found, key=lambda recording: recording.created_at, reverse=True)

    def get(self, id: str) -> Recording:
        """Raises NotFoundError."""
        return self._of(self.path_of(id))

    def remove(self, id: str) -> None:
        """Raises NotFoundError."""
        shutil.rmtree(self.path_of(id))

    def path_of(self, id: str) -> Path:
        """Raises NotFoundError."""
        if not (id.isalnum() and (self.folder / id / "about.json").is_file()):
            raise NotFoundError(T(f"No recording {id!r}.", f"没有录音 {id!r}。"), param="id")
        return self.folder / id

    def sound(self, id: str) -> Path:
        return self.path_of(id) / "sound"

    def transcript(self, id: str) -> Transcript:
        """What is written down so far."""
        path = self.path_of(id)
        if (path / "transcript.json").is_file():
            return Transcript(**json.loads((path / "transcript.json").read_text(encoding="utf-8")))
        heard = Transcript("")
        lines = path / "segments.jsonl"
        for line in lines.read_text(encoding="utf-8").splitlines() if lines.is_file() else ():
            try:
                said = json.loads(line)
            except ValueError:  # a line that a kill cut off
                break
            heard.take(said)
        return heard

    def finish(self, id: str, heard: Transcript) -> None:
        """All of it is there."""
        path = self.path_of(id)
        atomic_write(path / "transcript.json", json.dumps(asdict(heard), ensure_ascii=False))
        (path / "segments.jsonl").unlink(missing_ok=True)

    def _of(self, path: Path) -> Recording:
        about: dict[str, Any] = json.loads((path / "about.json").read_text(encoding="utf-8"))
        heard = self.transcript(path.name)
        return Recording(
            id=path.name,
            **about,
            model=heard.model,
            language=heard.language,
            duration=heard.duration,
            text=heard.text,
            whole=(path / "transcript.json").is_file(),
        )
