"""Kokoro-82M by ONNX Runtime (int8), and espeak-ng alone where a request names it. Runs in a worker process.

The model takes phonemes, a style (a row of the voice, chosen by the number of phonemes) and a speed, and gives samples.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zhilu.errors import InputError
from zhilu.media.speak.encode import encode
from zhilu.media.speak.espeak import NAME, espeak_samples
from zhilu.media.speak.phonemes import pieces
from zhilu.messages import T

__all__ = ["RATE", "speak"]

RATE = 24_000  # samples a second


def speak(asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Say one text into one file.

    Args:
        asked: ``text``, ``folder`` of the model (``"espeak-ng"``: that program), ``voice``, ``speed`` (1 is natural),
            ``format``, ``path`` to write, ``threads``.

    Yields:
        ``{"said", "of"}`` after each piece, then ``{"done": {"seconds", "pieces"}}``.

    Raises:
        InputError: there is nothing in the text that can be spoken.
    """
    if asked["folder"] == NAME:
        samples, rate = espeak_samples(asked["text"], asked["speed"])
        parts = [samples]
    else:
        rate, parts = RATE, []
        todo = pieces(asked["text"])
        if not todo:
            raise InputError(T("There is nothing to say in this text.", "这段文字里没有可读的内容。"), param="input")
        for number, phonemes in enumerate(todo, start=1):
            parts.append(_say(asked["folder"], asked["threads"], asked["voice"], phonemes, asked["speed"]))
            yield {"said": number, "of": len(todo)}
    samples = np.concatenate(parts)
    encode(samples, rate, asked["format"], Path(asked["path"]))
    yield {"done": {"seconds": round(samples.size / rate, 3), "pieces": len(parts)}}


def _say(folder: str, threads: int, voice: str, phonemes: str, speed: float) -> NDArray[np.float32]:
    session, vocabulary = _model(folder, threads)
    ids = [vocabulary[sound] for sound in phonemes if sound in vocabulary][:510]
    styles = _styles(folder, voice)
    style = styles[min(len(ids), len(styles) - 1)].reshape(1, -1)
    names = [one.name for one in session.get_inputs()]  # tokens (1, n), style (1, 256), speed (1)
    values = (np.array([[0, *ids, 0]], dtype=np.int64), style, np.array([speed], dtype=np.float32))
    sound = session.run(None, dict(zip(names, values, strict=True)))[0]
    return np.asarray(sound, dtype=np.float32).reshape(-1)


@lru_cache(maxsize=1)
def _model(folder: str, threads: int) -> tuple[Any, dict[str, int]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    path = next(iter(sorted(Path(folder).glob("*.onnx"))))
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    vocabulary = json.loads((Path(folder) / "vocab.json").read_text(encoding="utf-8"))
    return session, vocabulary.get("vocab", vocabulary)


@lru_cache(maxsize=8)
def _styles(folder: str, voice: str) -> NDArray[np.float32]:
    from zhilu.media.speak.voices import load_voice

    return load_voice(Path(folder), voice)
