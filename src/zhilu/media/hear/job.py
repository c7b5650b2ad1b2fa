"""The job ``transcribe``: a recording of any length. What was heard is on disk at once; a killed job goes on behind it."""

from __future__ import annotations

import json
import os
from typing import IO, TYPE_CHECKING, Any

from zhilu.jobs import Job, JobContext, JobKind, JobStore
from zhilu.media.found import require_model
from zhilu.media.hear.recordings import Recordings
from zhilu.media.hear.service import ALIASES, listen
from zhilu.media.hear.transcript import Transcript
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["TRANSCRIBE", "start_transcription"]

_MAX_SECONDS = 6 * 3600.0  # 1.4 GB of samples


def start_transcription(
    context: Context, sound: IO[bytes], name: str, model: str | None = None, language: str | None = None
) -> Job:
    """Keep a recording and write it down in a job.

    Raises:
        What ``require_model`` raises: nothing is kept for a job that cannot work. TooLargeError.
    """
    model, _ = require_model(context, "hear", model, ALIASES)
    recording = Recordings(context).keep(sound, name)
    title = T(f"Write down {recording.name}", f"转写 {recording.name}")
    return JobStore(context).submit("transcribe", {"id": recording.id, "model": model, "language": language}, title)


def _run(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    recordings, id = Recordings(job.context), params["id"]
    if recordings.get(id).whole:
        return _told(id, recordings.transcript(id))
    heard = recordings.transcript(id)
    heard.model = params["model"]
    start = heard.segments[-1]["end"] if heard.segments else 0.0
    _rewrite(recordings, id, heard)
    job.progress(0.0, T("Reading the sound", "读取声音"))
    with (recordings.path_of(id) / "segments.jsonl").open("a", encoding="utf-8") as out:
        saying = listen(
            job.context,
            heard,
            recordings.sound(id),
            language=params["language"] or heard.language or None,
            max_seconds=_MAX_SECONDS,
            start=start,
        )
        for said in saying:
            line = {"segment": said} if said else {"language": heard.language, "duration": heard.duration}
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
            out.flush()
            os.fsync(out.fileno())
            at = heard.segments[-1]["end"] if heard.segments else 0.0
            detail = f"{at:.0f} / {heard.duration:.0f} s"
            job.progress(min(at / max(heard.duration, 0.1), 1.0), T("Listening", "识别中"), detail)
    recordings.finish(id, heard)
    return _told(id, heard)


TRANSCRIBE = JobKind(name="transcribe", run=_run, resumable=True)


def _rewrite(recordings: Recordings, id: str, heard: Transcript) -> None:
    """Only whole lines, so that the next one does not stand behind half of another."""
    head = [{"language": heard.language, "duration": heard.duration}] if heard.segments else []
    lines = [*head, *({"segment": segment} for segment in heard.segments)]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (recordings.path_of(id) / "segments.jsonl").write_text(text, encoding="utf-8")


def _told(id: str, heard: Transcript) -> dict[str, Any]:
    return {"id": id, "language": heard.language, "duration": heard.duration, "text": heard.text[:2000]}
