"""The program tesseract, where the system has it (Debian: ``apt install tesseract-ocr tesseract-ocr-chi-sim``)."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from zhilu.errors import MissingComponentError
from zhilu.messages import T
from zhilu.models.ocr.base import OcrLine

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Tesseract", "has_tesseract", "languages"]

_WANTED = ("chi_sim", "eng")
# It puts a space between Chinese characters, which nobody has printed there.
_SPACE_BETWEEN_WIDE = re.compile(r"(?<=[\u2e80-\uffef]) +(?=[\u2e80-\uffef])")


def has_tesseract() -> bool:
    return shutil.which("tesseract") is not None and bool(languages())


@cache
def languages() -> tuple[str, ...]:
    """Those of ours that are installed, the order in which it is asked for them."""
    try:
        said = subprocess.run(["tesseract", "--list-langs"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    there = said.stdout.split()
    return tuple(lang for lang in _WANTED if lang in there)


class Tesseract:
    name = "tesseract"

    def __init__(self) -> None:
        if not has_tesseract():
            raise MissingComponentError(
                T(
                    "The program tesseract is not installed here, or has neither chi_sim nor eng.",
                    "本机没有安装 tesseract，或缺少 chi_sim 和 eng 语言数据。",
                ),
                code="ocr_missing",
                fix="sudo apt install tesseract-ocr tesseract-ocr-chi-sim",
            )

    def read(self, image: Image) -> Sequence[OcrLine]:
        sent = io.BytesIO()
        image.save(sent, "PNG", compress_level=1)
        done = subprocess.run(
            ["tesseract", "stdin", "stdout", "-l", "+".join(languages()), "--psm", "3", "tsv"],
            input=sent.getvalue(), capture_output=True, check=True, env={**os.environ, "OMP_THREAD_LIMIT": "1"},
        )  # fmt: skip
        words: dict[tuple[str, ...], list[dict[str, str]]] = defaultdict(list)
        table = csv.DictReader(
            io.StringIO(done.stdout.decode("utf-8", "replace")), delimiter="\t", quoting=csv.QUOTE_NONE
        )
        for word in table:
            if (word["text"] or "").strip() and float(word["conf"]) >= 0:
                words[(word["block_num"], word["par_num"], word["line_num"])].append(word)
        return [_line(line, *image.size) for line in words.values()]


def _line(words: Sequence[dict[str, str]], width: int, height: int) -> OcrLine:
    text = _SPACE_BETWEEN_WIDE.sub("", " ".join(w["text"].strip() for w in words))
    left, top = min(int(w["left"]) for w in words), min(int(w["top"]) for w in words)
    right = max(int(w["left"]) + int(w["width"]) for w in words)
    bottom = max(int(w["top"]) + int(w["height"]) for w in words)
    box = (round(left / width, 4), round(top / height, 4), round(right / width, 4), round(bottom / height, 4))
    return OcrLine(text, box, round(sum(float(w["conf"]) for w in words) / len(words) / 100, 3))
