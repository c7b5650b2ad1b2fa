"""OCR in a process of its own: a hostile image or a page that never ends kills only that process.

``python -m zhilu.models.ocr.work ENGINE LIMITS`` answers one line of JSON for each that it is sent. It keeps the loaded models, so
pages and files after the first cost only their reading. Each page may take ``OcrLimits.seconds`` of processor time and
of the clock; the memory is limited for all. Nothing is written, nothing is fetched.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zhilu.errors import InputError, MissingComponentError, TooLargeError, ZhiluError
from zhilu.messages import T
from zhilu.models.ocr.base import OcrPage
from zhilu.models.ocr.choose import find_ocr, no_ocr

__all__ = ["OcrLimits", "PageReader", "read_image"]


@dataclass(frozen=True)
class OcrLimits:
    """What reading one page may cost. ``max_pixels``: of an image before it is made smaller."""

    seconds: int = 120
    memory_mb: int = 4096  # address space; a page takes 1.6 GB of it, 0.8 GB in fact
    max_pixels: int = 120_000_000


class PageReader:
    """Reads pages of images and PDFs, one after the other. Not for several threads at once.

    The process starts with the first page (2 to 3 s) and ends with ``close``.
    """

    def __init__(self, engine: str | None = None, limits: OcrLimits | None = None) -> None:
        """
        Raises:
            MissingComponentError: there is no OCR here; ``fix`` installs it.
        """
        found = engine or find_ocr()
        if found is None:
            raise no_ocr(T("Reading text in images", "识别图片中的文字"))
        self.engine = found
        self.limits = limits or OcrLimits()
        self._process: subprocess.Popen[bytes] | None = None
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the reader

    def __enter__(self) -> PageReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def count(self, path: Path) -> int:
        """How many pages the image or PDF has.

        Raises:
            InputError: it cannot be opened.
        """
        return int(self._ask({"do": "count", "path": str(path)}, lambda: None)["pages"])

    def read(self, path: Path, page: int = 1, check: Callable[[], None] = lambda: None) -> OcrPage:
        """The lines of one page, in reading order; none where it holds no text.

        Args:
            check: called twice a second while the page is read; what it raises ends the process and is raised.

        Raises:
            InputError: the page cannot be read; one message says why. TooLargeError: too many pixels.
        """
        return OcrPage.of(self._ask({"do": "read", "path": str(path), "page": page}, check)["page"])

    def close(self) -> None:
        self._end()
        self._complaints.close()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        process.wait()

    def _ask(self, asked: dict[str, Any], check: Callable[[], None]) -> dict[str, Any]:
        try:
            answer = self._exchange(asked, check)
        except BaseException:
            self._end()  # what it is still doing nobody waits for
            raise
        if "error" not in answer:
            return answer
        error = answer["error"]
        kind: type[ZhiluError] = {"missing": MissingComponentError, "too_large": TooLargeError}.get(
            error["kind"], InputError
        )
        raise kind(T.of(error["message"]), code=error["code"], fix=error["fix"])

    def _exchange(self, asked: dict[str, Any], check: Callable[[], None]) -> dict[str, Any]:
        if self._process is None:
            command = [sys.executable, "-m", "zhilu.models.ocr.work", self.engine, json.dumps(asdict(self.limits))]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._complaints, bufsize=0
            )
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        with suppress(BrokenPipeError):  # it died while it waited: the answer below says so
            stdin.write(json.dumps(asked).encode() + b"\n")
        deadline = time.monotonic() + self.limits.seconds + 20  # the first page also loads the models
        parts = b""
        while not parts.endswith(b"\n"):
            check()
            ready, _, _ = select.select([stdout], [], [], 0.5)
            if not ready:
                if time.monotonic() > deadline:
                    raise _took_too_long(self.limits)
                continue
            part = stdout.read(1 << 20)
            if not part:
                raise self._died()
            parts += part
        found: dict[str, Any] = json.loads(parts)
        return found

    def _died(self) -> InputError:
        assert self._process is not None
        status = self._process.wait()
        if status in (-24, -9):  # SIGXCPU, SIGKILL
            return _took_too_long(self.limits)
        self._complaints.seek(max(self._complaints.seek(0, 2) - 2000, 0))
        lines = self._complaints.read().decode("utf-8", "replace").strip().splitlines()
        reason = lines[-1][:160] if lines else f"exit {status}"
        return InputError(
            T(f"OCR failed on this page ({reason}).", f"OCR 无法读取这一页（{reason}）。"), code="ocr_failed"
        )


def read_image(image: Path | bytes, limits: OcrLimits | None = None) -> OcrPage:
    """The text of one image (its first page), in a process with limits.

    Raises:
        MissingComponentError: there is no OCR here; ``fix`` installs it. InputError: it is no image that can be read.
    """
    with PageReader(limits=limits) as reader:
        if isinstance(image, Path):
            return reader.read(image)
        with tempfile.NamedTemporaryFile(prefix="zhilu-ocr-") as file:
            file.write(image)
            file.flush()
            return reader.read(Path(file.name))


def _took_too_long(limits: OcrLimits) -> InputError:
    return InputError(
        T(
            f"OCR of this page took more than {limits.seconds} s and was stopped.",
            f"这一页的 OCR 用了超过 {limits.seconds} 秒，已停止。",
        ),
        code="ocr_timeout",
    )
