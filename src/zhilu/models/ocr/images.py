"""Files to pictures of their pages: PNG, JPEG, WebP, TIFF, BMP and GIF by Pillow, PDF by PDFium."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zhilu.errors import InputError, TooLargeError
from zhilu.messages import T

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["FORMATS", "num_pages", "page_image"]

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")  # no others: each parser that may be reached is a risk
_SIDE = 2000  # px of a page's long side: A4 at 170 dpi, where 9 pt still are read


def num_pages(path: Path) -> int:
    """
    Raises:
        InputError: it is no image and no PDF that can be opened.
    """
    if _is_pdf(path):
        with _pdf(path) as document:
            return len(document)
    with _opened(path) as image:
        return getattr(image, "n_frames", 1) if image.format == "TIFF" else 1


def page_image(path: Path, page: int, max_pixels: int, side: int = _SIDE) -> Image:
    """Page ``page`` (from 1) as an RGB picture on white, upright, its long side at most ``side`` px.

    Raises:
        InputError: it cannot be read. TooLargeError: more than ``max_pixels``.
    """
    if _is_pdf(path):
        return _rendered(path, page, side)
    from PIL import Image as Pillow
    from PIL import ImageOps

    with _opened(path) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise TooLargeError(
                T(
                    f"This image has {width} × {height} pixels, more than {max_pixels:,}. Make it smaller first.",
                    f"这张图片有 {width} × {height} 像素，超过 {max_pixels:,}。请先缩小。",
                ),
                code="image_too_large",
            )
        try:
            image.seek(page - 1)
            image.draft("RGB", (side, side))  # a large JPEG is decoded smaller at once
            upright = ImageOps.exif_transpose(image).convert("RGBA")
        except (OSError, EOFError, ValueError, SyntaxError) as error:
            raise _broken(str(error)) from error
    upright.thumbnail((side, side))
    paper = Pillow.new("RGB", upright.size, "white")
    paper.paste(upright, mask=upright.getchannel("A"))
    return paper


def _opened(path: Path) -> Any:
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    Pillow.MAX_IMAGE_PIXELS = None  # our own limit is checked before anything is decoded
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Pillow.open(path, formats=FORMATS)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise _broken(type(error).__name__) from error


def _is_pdf(path: Path) -> bool:
    with path.open("rb") as file:
        return b"%PDF-" in file.read(1024)


def _pdf(path: Path) -> Any:
    import pypdfium2

    try:
        return pypdfium2.PdfDocument(str(path))
    except pypdfium2.PdfiumError as error:
        raise _broken(str(error)) from error


def _rendered(path: Path, page: int, side: int) -> Image:
    import pypdfium2

    with _pdf(path) as document:
        try:
            sheet = document[page - 1]
            width, height = sheet.get_size()
            picture: Image = sheet.render(scale=side / max(width, height, 1)).to_pil().convert("RGB")
        except (pypdfium2.PdfiumError, IndexError, ValueError) as error:
            raise _broken(str(error)) from error
        return picture


def _broken(detail: str) -> InputError:
    return InputError(
        T(f"This image is damaged ({detail[:120]}).", f"这张图片已损坏（{detail[:120]}）。"), code="image_broken"
    )
