"""The service ``/v1/audio/speech``, in OpenAI's form."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from zhilu import wire
from zhilu.errors import UnsupportedError
from zhilu.host.services import Reply
from zhilu.media.found import has_extra, require_model, speech_models
from zhilu.media.speak.encode import MEDIA_TYPES, AudioFormat
from zhilu.media.speak.espeak import NAME, has_espeak
from zhilu.media.speak.phonemes import is_chinese
from zhilu.media.speak.voices import find_voice
from zhilu.media.worker import worker_of
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["MAX_CHARS", "SPEECH", "SpeechRequest", "say"]

_ALIASES = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts", "auto")  # OpenAI's names, in every client
MAX_CHARS = 4096  # OpenAI's own bound


class SpeechRequest(wire.Request):
    """A text and a voice; a file of sound comes back."""

    input: Annotated[str, Field(min_length=1, max_length=MAX_CHARS)]
    voice: str | None = None
    instructions: Annotated[str, Field(max_length=0)] = ""  # no voice here takes any
    response_format: AudioFormat = "mp3"
    speed: Annotated[float, Field(ge=0.25, le=4)] = 1.0
    stream_format: Literal["audio"] = "audio"


class Speech:
    """Text to speech."""

    paths = ("/v1/audio/speech",)
    tag = "openai"
    request = SpeechRequest

    def models(self, context: Context) -> list[str]:
        if not has_extra("speak"):
            return []
        return [*speech_models(context, "speak"), *([NAME] if has_espeak() else [])]

    async def answer(self, context: Context, body: SpeechRequest) -> Reply:
        kind = body.response_format
        with tempfile.TemporaryDirectory(dir=context.home.run, prefix="speech-") as folder:
            path = Path(folder) / f"speech.{kind}"
            model, _ = await asyncio.to_thread(
                say, context, body.input, path, model=body.model, voice=body.voice, speed=body.speed, kind=kind
            )
            sound = await asyncio.to_thread(path.read_bytes)
        return Reply(model, sound, {"prompt_tokens": 0, "total_tokens": 0}, MEDIA_TYPES[kind])


SPEECH = Speech()


def say(
    context: Context,
    text: str,
    path: Path,
    *,
    model: str | None = None,
    voice: str | None = None,
    speed: float = 1.0,
    kind: AudioFormat = "wav",
    on_piece: Callable[[int, int], None] | None = None,
) -> tuple[str, float]:
    """Speak ``text`` into the file ``path``: the model that did, and the length in seconds. Blocks.

    Raises:
        MissingComponentError: no model and no espeak-ng. NotFoundError: no such model or voice.
        UnsupportedError: Chinese, with espeak-ng alone: what it says of Chinese characters cannot be understood.
    """
    use_espeak = model == NAME or (
        (model is None or model in _ALIASES)
        and has_extra("speak")
        and not speech_models(context, "speak")
        and has_espeak()
    )
    if use_espeak and has_extra("speak"):
        if is_chinese(text):
            raise UnsupportedError(
                T(
                    "espeak-ng speaks English here; for Chinese a model is needed.",
                    "espeak-ng 在这里只读英文，读中文需要模型。",
                ),
                param="model",
                fix="zhilu model pull kokoro-82m",
            )
        name, folder, own = NAME, NAME, ""
    else:
        name, found = require_model(context, "speak", model, _ALIASES)
        folder, own = str(found.resolve()), find_voice(found, voice, text)
    asked = worker_of("speak").ask(
        text=text, folder=folder, voice=own, speed=speed, format=kind, path=str(path), threads=context.settings.threads
    )
    done: dict[str, Any] = {}
    for said in asked:
        if "of" in said:
            if on_piece:
                on_piece(said["said"], said["of"])
        else:
            done = said
    return name, float(done["seconds"])
