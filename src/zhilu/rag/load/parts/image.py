"""Images: what is opened here is only counted; their text is read by OCR (see ``scans``)."""

from __future__ import annotations

from pathlib import Path

from zhilu.messages import T
from zhilu.models.ocr.images import num_pages
from zhilu.rag.load.base import Limits, Loaded, LoaderFacts, Page

__all__ = ["LOADER", "ImageLoader"]

_MIME = ((b"\x89PNG", "png"), (b"\xff\xd8\xff", "jpeg"), (b"RIFF", "webp"), (b"BM", "bmp"), (b"GIF8", "gif"))


class ImageLoader:
    facts = LoaderFacts(
        "image",
        T("picture", "图片"),
        "image/*",
        (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"),
        ("PIL.Image",),
    )

    def load(self, path: Path, limits: Limits) -> Loaded:
        with path.open("rb") as file:
            head = file.read(16)
        kind = next((name for magic, name in _MIME if head.startswith(magic)), "tiff")
        pages = range(1, num_pages(path) + 1)
        return Loaded("", f"image/{kind}", tuple(Page(n, 0, 0) for n in pages), scanned=tuple(pages))


LOADER = ImageLoader()
