"""The voices of a Kokoro folder, which one reads a text, and OpenAI's names for whoever sends those.

A voice is one table of styles: an array of an archive ``voices*.npz``, or a file ``voices/NAME.bin`` of float32 as Kokoro's makers
publish them. The first letter of a name is the speaker's language (``z`` Chinese, ``a`` and ``b`` English, ``j`` Japanese).
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from zhilu.errors import NotFoundError, nearest
from zhilu.media.speak.phonemes import is_chinese
from zhilu.messages import T

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["OPENAI_NAMES", "STYLE", "find_voice", "load_voice", "voice_names"]

STYLE = 256  # values of one style
_BEST = ("af_heart", "zf_xiaoxiao")  # where no voice is named

# Clients of OpenAI's must name one of these: each is one of ours here, in turn.
OPENAI_NAMES = (
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse",
)  # fmt: skip


def voice_names(folder: Path) -> list[str]:
    """Read from the list of the archive and the names of files: no voice is loaded."""
    names = []
    for path in sorted(folder.glob("voices*.npz")):
        with zipfile.ZipFile(path) as archive:
            names += [name.removesuffix(".npy") for name in archive.namelist()]
    return [*names, *(path.stem for path in sorted(folder.glob("voices/*.bin")) if path.stem not in names)]


def load_voice(folder: Path, name: str) -> NDArray[np.float32]:
    """Styles of a voice, shape (most phonemes, 256).

    Raises:
        KeyError: no such voice.
    """
    import numpy as np

    for path in sorted(folder.glob("voices*.npz")):
        with np.load(path, allow_pickle=False) as archive:
            if name in archive.files:
                found: NDArray[np.float32] = archive[name].astype(np.float32)
                return found.reshape(len(found), -1)
    if name not in voice_names(folder):
        raise KeyError(name)
    return np.fromfile(folder / "voices" / f"{name}.bin", dtype="<f4").reshape(-1, STYLE)


def find_voice(folder: Path, wanted: str | None, text: str = "") -> str:
    """Our name for the voice that a request names. None, and OpenAI's names, are voices of the text's own language where there are
    any, else of all.

    Raises:
        NotFoundError: no such voice; names those there are.
    """
    names = voice_names(folder)
    if wanted is None or (wanted in OPENAI_NAMES and wanted not in names):
        own = [name for name in names if name.startswith(("z",) if is_chinese(text) else ("a", "b"))] or names
        if wanted is None:
            return next((name for name in _BEST if name in own), own[0])
        same = next((name for name in own if name.endswith(f"_{wanted}")), None)
        return same or own[OPENAI_NAMES.index(wanted) % len(own)]
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
