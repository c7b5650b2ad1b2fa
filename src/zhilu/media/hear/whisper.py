"""Whisper by CTranslate2 (faster-whisper), in int8. Runs in a worker process; see ``worker/child.py``.

Silence is cut out first (Silero's detector, which comes with faster-whisper): Whisper makes words up where nothing is said.
Chinese is written simplified (OpenCC t2s): the base model often answers in traditional characters.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zhilu.errors import UnsupportedError
from zhilu.media.hear.decode import RATE, decode
from zhilu.messages import T

__all__ = ["hear"]

_SURE = 0.5  # of the language; below it, Chinese and English are what this product's speakers most likely speak
_HOUSE = ("zh", "en")


def hear(asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Recognise one file.

    Args:
        asked: ``path``, ``folder`` of the model, ``threads``, ``language`` (None: found out), ``prompt`` (words to expect),
            ``temperature``, ``words`` (times for each), ``max_seconds``, ``start`` (seconds to leave out: a job goes on there).

    Yields:
        ``{"language", "duration"}``, one ``{"segment"}`` after the other, ``{"done": {}}``. Times in seconds.

    Raises:
        InputError and below: no audio, too long, or a language that Whisper does not know.
    """
    audio = decode(Path(asked["path"]), max_seconds=asked["max_seconds"])
    duration = round(audio.size / RATE, 3)
    model = _model(asked["folder"], asked["threads"])
    language = asked["language"] or _language(model, audio)
    if language not in model.supported_languages:
        known = ", ".join(model.supported_languages)
        raise UnsupportedError(
            T(f"No language {language!r} here; there are: {known}.", f"不支持语言 {language!r}，可用：{known}。"),
            param="language",
        )
    yield {"language": language, "duration": duration}
    start = min(float(asked["start"]), duration)
    segments, _ = model.transcribe(
        audio[int(start * RATE) :],
        language=language,
        initial_prompt=asked["prompt"] or None,
        temperature=asked["temperature"] or [0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
        word_timestamps=asked["words"],
        vad_filter=True,
        condition_on_previous_text=False,  # a loop in one part must not go on in the next
    )
    for number, segment in enumerate(segments):
        yield {"segment": _segment(number, segment, language, start, duration)}
    yield {"done": {}}


def _segment(number: int, segment: Any, language: str, start: float, duration: float) -> dict[str, Any]:
    def at(seconds: float) -> float:
        return round(min(max(start + seconds, 0.0), duration), 3)

    words = [{"word": _simple(w.word, language), "start": at(w.start), "end": at(w.end)} for w in segment.words or ()]
    return {
        "id": number,
        "start": at(segment.start),
        "end": at(segment.end),
        "text": _simple(segment.text, language),
        "words": words,
        "avg_logprob": round(segment.avg_logprob, 4),
        "no_speech_prob": round(segment.no_speech_prob, 4),
        "compression_ratio": round(segment.compression_ratio, 4),
        "temperature": segment.temperature or 0.0,
        "seek": segment.seek,
        "tokens": list(segment.tokens),
    }


def _language(model: Any, audio: NDArray[np.float32]) -> str:
    """What Whisper takes it for where it is sure, else the likelier of Chinese and English."""
    found, sure, all_of_them = model.detect_language(audio, vad_filter=False)
    if sure >= _SURE:
        return str(found)
    known = dict(all_of_them)
    return max(_HOUSE, key=lambda code: known.get(code, 0.0))


@lru_cache(maxsize=1)
def _model(folder: str, threads: int) -> Any:
    from faster_whisper import WhisperModel

    return WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True)


def _simple(text: str, language: str) -> str:
    return str(_converter().convert(text)) if language == "zh" else text


@lru_cache(maxsize=1)
def _converter() -> Any:
    from opencc import OpenCC

    return OpenCC("t2s")
