"""The service ``/v1/audio/transcriptions``, in OpenAI's form."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from zhilu import wire
from zhilu.context import Context
from zhilu.errors import UnsupportedError
from zhilu.host.services import Reply
from zhilu.media.found import has_extra, require_model, speech_models
from zhilu.media.hear.transcript import Transcript, json_form, srt, verbose_form, vtt
from zhilu.media.worker import worker_of
from zhilu.messages import T

__all__ = ["ALIASES", "MAX_SECONDS", "TRANSCRIPTIONS", "TranscriptionRequest", "hear_file", "listen"]

ALIASES = ("whisper-1", "auto")  # OpenAI's name, in every client: the model that is here
MAX_SECONDS = 1800.0  # of one request; a job takes longer ones


class TranscriptionRequest(wire.FormRequest):
    """OpenAI's form: ``file``, and how it is to be written down."""

    language: Annotated[str, Field(min_length=2, max_length=8)] | None = None
    prompt: Annotated[str, Field(max_length=2000)] | None = None
    response_format: Literal["json", "text", "srt", "vtt", "verbose_json"] = "json"
    temperature: Annotated[float, Field(ge=0, le=1)] = 0.0
    timestamp_granularities: list[Literal["word", "segment"]] = Field(default_factory=list)
    stream: bool = False

    @property
    def wants_words(self) -> bool:
        return "word" in self.timestamp_granularities


class Transcriptions:
    """Speech to text."""

    paths = ("/v1/audio/transcriptions",)
    tag = "openai"
    request = TranscriptionRequest

    def models(self, context: Context) -> list[str]:
        return list(speech_models(context, "hear")) if has_extra("hear") else []

    async def answer(self, context: Context, body: TranscriptionRequest) -> Reply:
        if body.wants_words and body.response_format != "verbose_json":
            raise UnsupportedError(
                T(
                    "Times of words are given with response_format=verbose_json only.",
                    "只有 response_format=verbose_json 才给出每个词的时间。",
                ),
                param="timestamp_granularities",
            )
        heard = Transcript(require_model(context, "hear", body.model, ALIASES)[0])
        saying = listen(
            context,
            heard,
            body.file,
            language=body.language,
            prompt=body.prompt,
            temperature=body.temperature,
            words=body.wants_words,
        )
        if body.stream:
            first = await asyncio.to_thread(next, saying)  # so that a file that is no audio is an HTTP error
            return Reply(heard.model, _events(heard, first, saying), media_type="text/event-stream; charset=utf-8")
        await asyncio.to_thread(_all_of, saying)
        return _written(heard, body)


TRANSCRIPTIONS = Transcriptions()


def listen(
    context: Context,
    heard: Transcript,
    path: Path,
    *,
    language: str | None = None,
    prompt: str | None = None,
    temperature: float = 0.0,
    words: bool = True,
    max_seconds: float = MAX_SECONDS,
    start: float = 0.0,
) -> Iterator[dict[str, Any] | None]:
    """Fill ``heard`` piece by piece; yields each new segment, and None for what is none. Blocks: use it in a thread.

    Args:
        language: two letters; None: found out.
        prompt: names and words to expect.
        start: seconds from which on it is heard.

    Raises:
        What ``require_model`` and ``whisper.hear`` raise.
    """
    _, folder = require_model(context, "hear", heard.model)
    asked = worker_of("hear").ask(
        path=str(path),
        folder=str(folder.resolve()),
        threads=context.settings.threads,
        language=language,
        prompt=prompt,
        temperature=temperature,
        words=words,
        max_seconds=max_seconds,
        start=start,
    )
    for said in asked:
        yield heard.take(said)


def hear_file(context: Context, path: Path, model: str | None = None, language: str | None = None) -> Transcript:
    """All of a file, with times of words. Blocks."""
    heard = Transcript(require_model(context, "hear", model, ALIASES)[0])
    _all_of(listen(context, heard, path, language=language))
    return heard


def _all_of(saying: Iterator[Any]) -> None:
    for _ in saying:
        pass


def _written(heard: Transcript, body: TranscriptionRequest) -> Reply:
    usage = {"total_tokens": 0}
    if body.response_format == "json":
        return Reply(heard.model, json_form(heard), usage)
    if body.response_format == "verbose_json":
        return Reply(heard.model, verbose_form(heard, body.timestamp_granularities), usage)
    text = {"text": heard.text + "\n", "srt": srt(heard), "vtt": vtt(heard)}[body.response_format]
    kind = "text/vtt" if body.response_format == "vtt" else "text/plain"
    return Reply(heard.model, text.encode(), usage, f"{kind}; charset=utf-8")


async def _events(heard: Transcript, first: Any, saying: Iterator[Any]) -> AsyncIterator[bytes]:
    """OpenAI's two kinds of event; an error after the start is one more."""
    from zhilu.errors import ZhiluError, error_body

    said = first
    try:
        while said is not _END:
            if said is not None:
                yield _event({"type": "transcript.text.delta", "delta": said["text"]})
            said = await asyncio.to_thread(next, saying, _END)
        yield _event({"type": "transcript.text.done", **json_form(heard)})
    except ZhiluError as error:
        yield _event({"type": "error", **error_body(error)})
    finally:
        with suppress(ValueError):  # still working in its thread: it ends with its file
            saying.close()  # type: ignore[attr-defined]


_END: Any = object()


def _event(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
