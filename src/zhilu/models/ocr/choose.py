"""Which OCR engine reads here, told without importing one."""

from __future__ import annotations

from importlib.util import find_spec

from zhilu.errors import MissingComponentError
from zhilu.messages import T
from zhilu.models.ocr.base import OcrEngine
from zhilu.models.ocr.tesseract import Tesseract, has_tesseract

__all__ = ["INSTALL_OCR", "choose_ocr", "find_ocr", "no_ocr"]

INSTALL_OCR = "zhilu setup ocr"


def find_ocr() -> str | None:
    """The engine that ``choose_ocr`` would take, ``rapidocr`` before ``tesseract``; None: there is none."""
    if find_spec("rapidocr") is not None:
        return "rapidocr"
    return "tesseract" if has_tesseract() else None


def choose_ocr(name: str | None = None) -> OcrEngine:
    """
    Args:
        name: ``rapidocr``, ``tesseract``; None: what ``find_ocr`` finds.

    Raises:
        MissingComponentError: it is not installed (code ``ocr_missing``); ``fix`` installs it.
    """
    name = name or find_ocr()
    if name == "tesseract":
        return Tesseract()
    if name != "rapidocr" or find_spec("rapidocr") is None:
        raise no_ocr(T("Reading text in images", "识别图片中的文字"))
    from zhilu.models.ocr.rapid import RapidOcr

    return RapidOcr()


def no_ocr(what: T) -> MissingComponentError:
    """``what``: what needs OCR, as the subject of a sentence."""
    return MissingComponentError(
        T(f"{what.en} needs OCR, which is not installed yet.", f"{what.zh}需要 OCR，而它还没有安装。"),
        code="ocr_missing",
        fix=INSTALL_OCR,
    )
