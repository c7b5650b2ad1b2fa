"""The process that ``PageReader`` starts: ``python -m zhilu.models.ocr.work ENGINE LIMITS``.

Standard input: one JSON object per line, ``{"do": "count" | "read", "path", "page"}``. Standard output: ``{"pages"}``, ``{"page"}``
or ``{"error"}`` for each.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from zhilu.errors import InputError, MissingComponentError, TooLargeError, ZhiluError
from zhilu.messages import T
from zhilu.models.ocr.base import OcrEngine, OcrPage
from zhilu.models.ocr.choose import choose_ocr
from zhilu.models.ocr.images import num_pages, page_image
from zhilu.models.ocr.layout import in_reading_order
from zhilu.models.ocr.process import OcrLimits

__all__ = ["main"]


def main(argv: list[str]) -> int:
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not mix with the answers
    limits = OcrLimits(**json.loads(argv[1]))
    _limit_memory(limits)
    engine: OcrEngine | None = None
    for line in sys.stdin:
        asked = json.loads(line)
        _limit_time(limits)
        try:
            if asked["do"] == "count":
                answer: dict[str, Any] = {"pages": num_pages(Path(asked["path"]))}
            else:
                image = page_image(Path(asked["path"]), asked["page"], limits.max_pixels)
                engine = engine or choose_ocr(argv[0])
                answer = {"page": OcrPage(asked["page"], tuple(in_reading_order(engine.read(image)))).data()}
        except ZhiluError as error:
            answer = {"error": _said(error)}
        except MemoryError:
            answer = {
                "error": _said(
                    InputError(T("This page needs too much memory.", "这一页需要的内存过多。"), code="ocr_memory")
                )
            }
        out.write(json.dumps(answer, ensure_ascii=False) + "\n")
        out.flush()
    return 0


def _said(error: ZhiluError) -> dict[str, Any]:
    kind = (
        "missing"
        if isinstance(error, MissingComponentError)
        else "too_large"
        if isinstance(error, TooLargeError)
        else ""
    )
    return {"kind": kind, "message": error.message.data(), "code": error.code, "fix": error.fix}


def _limit_memory(limits: OcrLimits) -> None:
    try:
        import resource
    except ImportError:  # not a POSIX system: the parent's clock is the limit
        return
    for what, value in ((resource.RLIMIT_AS, limits.memory_mb * 1024 * 1024), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(what)[1]
        limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(what, (limit, hard))


def _limit_time(limits: OcrLimits) -> None:
    """From now on so much processor time: the soft limit moves on with every page."""
    try:
        import resource
    except ImportError:
        return
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    wanted = int(time.process_time()) + limits.seconds * max(os.cpu_count() or 1, 1)
    resource.setrlimit(resource.RLIMIT_CPU, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
