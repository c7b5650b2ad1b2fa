"""The voices of a Kokoro folder, and OpenAI's names for whoever sends those."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from zhilu.errors import NotFoundError, nearest
from zhilu.messages import T

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["OPENAI_NAMES", "find_voice", "load_voices", "voice_names"]

# Clients of OpenAI's must name one of these: each is one of ours here, in turn.
OPENAI_NAMES = (
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse",
)  # fmt: skip


def voice_names(folder: Path) -> list[str]:
    """Read from the list of the archive: no voice is loaded."""
    names = []
    for path in sorted(folder.glob("voices*.npz")):
        with zipfile.ZipFile(path) as archive:
            names += [name.removesuffix(".npy") for name in archive.namelist()]
    return names


def load_voices(folder: Path) -> dict[str, NDArray[np.float32]]:
    """Voice to styles, shape (most phonemes, 256)."""
    import numpy as np

    voices = {}
    for path in sorted(folder.glob("voices*.npz")):
        with np.load(path, allow_pickle=False) as archive:
            for name in archive.files:
                voices[name] = archive[name].astype(np.float32).reshape(len(archive[name]), -1)
    return voices


def find_voice(folder: Path, wanted: str | None) -> str:
    """Our name for the voice that a request names; none is the first.

    Raises:
        NotFoundError: no such voice; names those there are.
    """
    names = voice_names(folder)
    if wanted is None:
        return names[0]
    if wanted in OPENAI_NAMES:
        return names[OPENAI_NAMES.index(wanted) % len(names)]
    if wanted not in names:
        close, there = nearest(wanted, names), ", ".join(names)
        raise NotFoundError(
            T(
                f"No voice {wanted!r}." + (f" Did you mean {close!r}?" if close else f" There are: {there}."),
                f"没有音色 {wanted!r}。" + (f"是不是 {close!r}？" if close else f"现有：{there}。"),
            ),
            param="voice",
        )
    return wanted
