"""Text out of images: photographs, screenshots, scanned pages. It stands below the capabilities, so that documents and chat both use it.

- ``read_image(path_or_bytes)`` reads an image in a process of its own, with limits: what strangers send goes this way.
- ``PageReader`` does the same for many pages and files, PDF pages included, and keeps the loaded models between them.
- ``choose_ocr()`` is the engine itself, in this process: ``.read(image)`` gives lines with their boxes; ``paragraphs`` and
  ``as_text`` put lines in reading order.

Engines: ``rapid`` (PP-OCR, Chinese and English and the other scripts of its dictionary; the extra ``ocr``) and ``tesseract`` (the
program of that name, where it is installed).
"""

from zhilu.models.ocr.base import OcrEngine, OcrLine, OcrPage
from zhilu.models.ocr.choose import INSTALL_OCR, choose_ocr, find_ocr, no_ocr
from zhilu.models.ocr.layout import as_text, paragraphs
from zhilu.models.ocr.process import OcrLimits, PageReader, read_image

__all__ = [
    "INSTALL_OCR", "OcrEngine", "OcrLimits", "OcrLine", "OcrPage", "PageReader", "as_text", "choose_ocr", "find_ocr", "no_ocr", "paragraphs",
    "read_image",
]  # fmt: skip
