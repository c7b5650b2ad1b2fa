"""Samples to a file: wav and raw by the standard library, the others by PyAV."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

__all__ = ["FORMATS", "MEDIA_TYPES", "AudioFormat", "encode"]

AudioFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
FORMATS: tuple[AudioFormat, ...] = get_args(AudioFormat)
MEDIA_TYPES: dict[AudioFormat, str] = {
    "mp3": "audio/mpeg", "opus": "audio/ogg", "aac": "audio/aac", "flac": "audio/flac", "wav": "audio/wav",
    "pcm": "audio/pcm",
}  # fmt: skip
# Format -> container and codec of FFmpeg, and samples a second where it takes no others.
_CODECS: dict[str, tuple[str, str, int | None]] = {
    "mp3": ("mp3", "libmp3lame", None),
    "opus": ("ogg", "libopus", 48_000),
    "aac": ("adts", "aac", None),
    "flac": ("flac", "flac", None),
}


def encode(samples: NDArray[np.float32], rate: int, kind: AudioFormat, path: Path) -> None:
    """Write one channel of ``samples`` (-1 to 1). ``pcm``: 16 bits, little endian, no header."""
    whole = (np.clip(samples, -1, 1) * 32767).astype("<i2")
    if kind == "pcm":
        path.write_bytes(whole.tobytes())
        return
    if kind == "wav":
        with wave.open(str(path), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(rate)
            out.writeframes(whole.tobytes())
        return
    import av

    container_format, codec, wanted = _CODECS[kind]
    with av.open(str(path), "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=wanted or rate)
        stream.layout = "mono"
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=wanted or rate)
        frame = av.AudioFrame.from_ndarray(whole.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = rate
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
