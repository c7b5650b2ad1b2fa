"""``/zhilu/v1/media``: what can be heard, spoken and read here, recordings that jobs write down, questions about pictures."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, File, Form, Request, Response, UploadFile
from fastapi.responses import FileResponse, PlainTextResponse
from pydantic import BaseModel

from zhilu.context import Context, context_of
from zhilu.errors import ZhiluError
from zhilu.jobs import Job
from zhilu.jobs.base import Text
from zhilu.media.found import Task, require_model
from zhilu.media.hear.job import start_transcription
from zhilu.media.hear.recordings import Recording, Recordings
from zhilu.media.hear.transcript import srt, vtt
from zhilu.media.look import MOST_BYTES, look_at
from zhilu.media.speak.espeak import NAME, has_espeak
from zhilu.media.speak.voices import voice_names
from zhilu.messages import T
from zhilu.models.ocr import find_ocr, no_ocr

__all__ = ["router"]

router = APIRouter(prefix="/zhilu/v1/media", tags=["media"])


class Ability(BaseModel):
    """Whether it can be done here and by what; else why not, and the command that brings what is missing."""

    ready: bool
    model: str | None = None
    voices: list[str] = []
    why: Text | None = None
    fix: str | None = None


class MediaState(BaseModel):
    """``look`` is about the text in pictures; whether the model sees besides is told by its answer."""

    hear: Ability
    speak: Ability
    look: Ability


class PictureAnswer(BaseModel):
    """``way``: the model saw the picture, or was given the text that OCR read in it (``text``)."""

    answer: str
    way: Literal["seen", "ocr"]
    model: str
    text: str


class Word(BaseModel):
    """Times in seconds."""

    word: str
    start: float
    end: float


class Segment(BaseModel):
    id: int
    start: float
    end: float
    text: str
    words: list[Word]


class RecordingText(Recording):
    """A recording with what was said, as far as it is written down."""

    segments: list[Segment]


@router.get("")
def media_state(request: Request) -> MediaState:
    context = context_of(request)
    return MediaState(hear=_ability(context, "hear"), speak=_ability(context, "speak"), look=_reading())


@router.post("/look")
async def look_at_picture(
    file: Annotated[UploadFile, File()],
    question: Annotated[str, Form(min_length=1, max_length=2000)],
    request: Request,
    model: Annotated[str | None, Form()] = None,
) -> PictureAnswer:
    """A question about a PNG, JPEG, GIF or WebP of at most 20 MB."""
    picture = await file.read(MOST_BYTES + 1)
    title = (file.filename or "picture")[:200]
    return PictureAnswer(**(await look_at(context_of(request), picture, title, question, model or None))._asdict())


@router.get("/recordings")
def list_recordings(request: Request) -> list[Recording]:
    return Recordings(context_of(request)).list()


@router.post("/recordings", status_code=202)
def add_recording(
    file: Annotated[UploadFile, File()], request: Request, language: Annotated[str | None, Form()] = None
) -> Job:
    """Keep a recording of any length and write it down in a job; ``params.id`` of the job is the recording's."""
    return start_transcription(context_of(request), file.file, file.filename or "recording", None, language or None)


@router.get("/recordings/{id}")
def get_recording(id: str, request: Request) -> RecordingText:
    recordings = Recordings(context_of(request))
    segments = [Segment.model_validate(segment, extra="ignore") for segment in recordings.transcript(id).segments]
    return RecordingText(**recordings.get(id).model_dump(), segments=segments)


@router.get("/recordings/{id}/subtitles")
def get_subtitles(id: str, request: Request, format: Literal["srt", "vtt", "text"] = "srt") -> Response:
    """What was said as a file to download."""
    heard = Recordings(context_of(request)).transcript(id)
    written = {"srt": srt, "vtt": vtt}[format](heard) if format != "text" else heard.text + "\n"
    name = f"transcript-{id}.{'txt' if format == 'text' else format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return PlainTextResponse(written, headers=headers)


@router.get("/recordings/{id}/sound")
def get_sound(id: str, request: Request) -> FileResponse:
    """The recording itself. Never shown as a page: a stranger's file could hold one."""
    return FileResponse(Recordings(context_of(request)).sound(id), media_type="application/octet-stream")


@router.delete("/recordings/{id}", status_code=204)
def delete_recording(id: str, request: Request) -> None:
    Recordings(context_of(request)).remove(id)


def _ability(context: Context, task: Task) -> Ability:
    try:
        name, folder = require_model(context, task, None)
    except ZhiluError as error:
        if task == "speak" and error.code == "speech_model_missing" and has_espeak():
            return Ability(ready=True, model=NAME, fix=error.fix)
        return Ability(ready=False, why=error.message, fix=error.fix)
    return Ability(ready=True, model=name, voices=voice_names(folder) if task == "speak" else [])


def _reading() -> Ability:
    engine = find_ocr()
    if engine is None:
        error = no_ocr(T("Reading text in pictures", "识别图片中的文字"))
        return Ability(ready=False, why=error.message, fix=error.fix)
    return Ability(ready=True, model=engine)
