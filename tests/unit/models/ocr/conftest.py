"""Pages drawn on the spot, so that what is printed is known."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from functools import cache

import pytest
from PIL import Image, ImageDraw, ImageFont

Draw = Callable[..., Image.Image]


@cache
def chinese_font() -> str | None:
    """A font file of the system that has Chinese characters."""
    try:
        said = subprocess.run(["fc-match", "-f", "%{file}", ":lang=zh-cn"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    font = ImageFont.truetype(said.stdout, 20) if said.stdout else None
    return said.stdout if font is not None and font.getmask("电").getbbox() != font.getmask("梯").getbbox() else None


@pytest.fixture
def draw() -> Draw:
    """``draw([(x, y, text), …])``: a page of 1240 x 1754 px, or lower, which is read in less time."""
    font = chinese_font()
    if font is None:
        pytest.skip("no font with Chinese characters (fc-match :lang=zh-cn)")
    face = ImageFont.truetype(font, 34)

    def page(words: Sequence[tuple[int, int, str]], height: int = 1754) -> Image.Image:
        image = Image.new("RGB", (1240, height), "white")
        pen = ImageDraw.Draw(image)
        for x, y, text in words:
            pen.text((x, y), text, font=face, fill="black")
        return image

    return page
