"""Any audio that FFmpeg reads (wav, mp3, webm, ogg, flac, m4a, the sound of a video) to samples, by PyAV."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zhilu.errors import InputError, TooLargeError
from zhilu.messages import T

__all__ = ["RATE", "decode"]

RATE = 16_000  # samples a second, what Whisper hears


def decode(path: Path, *, max_seconds: float) -> NDArray[np.float32]:
    """One channel of ``RATE`` samples a second, -1 to 1. Only local files are opened: no protocol of FFmpeg but ``file``.

    Raises:
        InputError: it is no audio, or holds none.
        TooLargeError: it is longer than ``max_seconds``; told while it is read, before it fills the memory.
    """
    import av

    pieces, total = [], 0
    try:
        # A playlist could name other files and addresses: only the one that is given is read.
        with av.open(str(path), mode="r", options={"protocol_whitelist": "file"}) as container:
            if not container.streams.audio:
                raise _no_audio()
            resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
            for frame in container.decode(container.streams.audio[0]):
                for part in resampler.resample(frame):
                    pieces.append(part.to_ndarray().reshape(-1))
                    total += pieces[-1].size
                if total > max_seconds * RATE:
                    raise _too_long(max_seconds)
            pieces += [part.to_ndarray().reshape(-1) for part in resampler.resample(None)]
    except (av.FFmpegError, ValueError, EOFError) as error:
        if not total:
            why = getattr(error, "strerror", None) or error  # without the path of where it is kept
            raise InputError(
                T(f"This file is no audio that can be read: {why}.", f"无法作为音频读取这个文件：{why}。"),
                param="file",
                code="not_audio",
            ) from None
        # A recording that was cut off in the middle still has its beginning.
    if not total:
        raise _no_audio()
    return np.concatenate(pieces).astype(np.float32) / 32768.0


def _no_audio() -> InputError:
    return InputError(T("There is no sound in this file.", "这个文件里没有声音。"), param="file", code="no_audio")


def _too_long(max_seconds: float) -> TooLargeError:
    minutes = round(max_seconds / 60)
    return TooLargeError(
        T(
            f"The recording is longer than {minutes} minutes, the most that one request takes. A job takes longer ones.",
            f"录音超过 {minutes} 分钟（单次请求的上限）。更长的录音请用任务转写。",
        ),
        param="file",
        code="audio_too_long",
        fix="zhilu media transcribe FILE",
    )
