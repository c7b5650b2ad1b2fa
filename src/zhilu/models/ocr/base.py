"""What an OCR engine is, and what it returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["OcrEngine", "OcrLine", "OcrPage"]


@dataclass(frozen=True)
class OcrLine:
    """A line as it is printed, or a part of one (a cell of a table).

    ``box``: left, top, right, bottom as shares of the page's width and height, 0 to 1. ``score``: how sure the engine is, 0 to 1.
    """

    text: str
    box: tuple[float, float, float, float]
    score: float


@dataclass(frozen=True)
class OcrPage:
    """A page's lines in reading order; ``page`` counts from 1 (an image has one page, a TIFF may have more)."""

    page: int
    lines: tuple[OcrLine, ...]

    def data(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, data: dict[str, Any]) -> OcrPage:
        lines = (OcrLine(line["text"], tuple(line["box"]), line["score"]) for line in data["lines"])
        return cls(data["page"], tuple(lines))


class OcrEngine(Protocol):
    """Reads one image at a time; not for several threads at once.

    ``name``: as chosen. ``read``: the lines of an RGB image in no particular order; none where there is no text.
    """

    name: str

    def read(self, image: Image) -> Sequence[OcrLine]: ...
