"""PP-OCR by RapidOCR (Apache-2.0): the models are in its package (33 MB), so it fetches nothing.

It runs on ONNX Runtime. OpenVINO takes the same processor time for a page and twice the memory (measured on pages of 32 lines: 1.2 GB
against 0.5 GB), because it keeps what it prepared for every width of a line; it is used where ONNX Runtime is not installed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from zhilu.models.ocr.base import OcrLine

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["RapidOcr", "printed_parts"]

MAX_SIDE = 2000  # px; A4 at 170 dpi. RapidOCR makes larger ones smaller
_INK = 40  # of 255: how far a pixel is from the page's usual one
_SPECKLES = 2  # pixels of a row that are dust
_STRIPE, _ROUND = 120, 40  # px: an empty stripe that parts are cut at, and what is left around them


class RapidOcr:
    name = "rapidocr"

    def __init__(self) -> None:
        from rapidocr import EngineType, RapidOCR

        runtime = EngineType.ONNXRUNTIME if find_spec("onnxruntime") is not None else EngineType.OPENVINO
        threads = max((os.cpu_count() or 2) // 2, 1)
        params: dict[str, Any] = {f"{part}.engine_type": runtime for part in ("Det", "Cls", "Rec")}
        params |= {
            "Global.log_level": "critical",
            "Global.max_side_len": MAX_SIDE,
            "Rec.rec_batch_num": 2,
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.openvino.inference_num_threads": threads,
            "EngineConfig.openvino.num_streams": 1,
        }
        self._engine: Any = RapidOCR(params=params)

    def read(self, image: Image) -> Sequence[OcrLine]:
        return [
            line
            for left, top, right, bottom in printed_parts(image)
            for line in self._read(image, left, top, right, bottom)
        ]

    def _read(self, image: Image, left: int, top: int, right: int, bottom: int) -> Iterator[OcrLine]:
        import numpy as np

        pixels = np.asarray(image.crop((left, top, right, bottom)))
        found = self._engine(pixels[:, :, ::-1])  # it takes OpenCV's order, BGR
        if found.boxes is None or not found.txts:
            return
        width, height = image.size
        for corners, text, score in zip(found.boxes, found.txts, found.scores, strict=True):
            xs, ys = (corners[:, 0] + left) / width, (corners[:, 1] + top) / height
            box = (_share(xs.min()), _share(ys.min()), _share(xs.max()), _share(ys.max()))
            yield OcrLine(" ".join(text.split()), box, round(float(score), 3))


def printed_parts(image: Image) -> list[tuple[int, int, int, int]]:
    """Where something is printed: left, top, right, bottom in pixels of each part between wide empty stripes, from top to bottom.

    PP-OCR's detector overlooks a word that stands alone on a large empty page (measured: "Still here" in 34 px on A4), and not in
    a cut-out of it. An empty page has no parts; a photograph is one.
    """
    import numpy as np

    grey = np.asarray(image.convert("L")).astype(np.int16)
    ink = np.abs(grey - int(np.median(grey))) > _INK
    rows = np.flatnonzero(ink.sum(axis=1) > _SPECKLES)
    if not len(rows):
        return []
    parts = []
    for part in np.split(rows, np.flatnonzero(np.diff(rows) > _STRIPE) + 1):
        top, bottom = int(part[0]), int(part[-1]) + 1
        columns = np.flatnonzero(ink[top:bottom].any(axis=0))
        left, right = int(columns[0]), int(columns[-1]) + 1
        parts.append((max(left - _ROUND, 0), max(top - _ROUND, 0),
                      min(right + _ROUND, image.width), min(bottom + _ROUND, image.height)))  # fmt: skip
    return parts


def _share(value: float) -> float:
    return round(min(max(float(value), 0.0), 1.0), 4)
