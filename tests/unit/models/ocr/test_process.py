"""OCR in its process: pages of images, TIFFs and PDFs; limits, cancelling, and images that are none."""

from __future__ import annotations

import io
import struct
import time
import zlib
from pathlib import Path

import pytest
from PIL import Image

from zhilu.errors import CancelledByUser, InputError, TooLargeError
from zhilu.models.ocr import OcrLimits, PageReader, as_text, find_ocr, read_image

needs_ocr = pytest.mark.skipif(find_ocr() is None, reason="no OCR here: neither the extra ocr nor tesseract")
pytestmark = needs_ocr
LOW = 744  # pixels: engines scale what is lower


@pytest.fixture(scope="module")
def reader():
    with PageReader() as reader:
        yield reader


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "tiff"])
def test_reads_each_format(reader: PageReader, draw, tmp_path: Path, kind: str) -> None:
    draw([(90, 100, "停车费每小时 8 元")], LOW).save(tmp_path / "a", kind)
    assert "停车费每小时" in as_text(reader.read(tmp_path / "a").lines)


def test_reads_every_page_of_a_scan(reader: PageReader, draw, tmp_path: Path) -> None:
    first, second = draw([(90, 100, "Page with apples 1017")], LOW), draw([(90, 100, "第二页 物业电话 4471")], LOW)
    for kind in ("PDF", "TIFF"):
        path = tmp_path / kind
        first.copy().save(path, kind, save_all=True, append_images=[second.copy()])  # a save leaves its settings behind
        assert reader.count(path) == 2
        assert "1017" in as_text(reader.read(path, 1).lines)
        found = reader.read(path, 2)
        assert found.page == 2 and "物业电话" in as_text(found.lines) and "4471" in as_text(found.lines)


def test_a_photograph_is_turned_upright(reader: PageReader, draw, tmp_path: Path) -> None:
    lying = draw([(90, 100, "Meeting room B-204")], LOW).rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it a quarter to the right to see it upright
    lying.save(tmp_path / "a.jpg", exif=exif)
    assert "B-204" in as_text(reader.read(tmp_path / "a.jpg").lines)


def test_what_is_no_image_is_refused_and_the_process_stays(reader: PageReader, draw, tmp_path: Path) -> None:
    good = io.BytesIO()
    draw([(90, 100, "still here")], LOW).save(good, "PNG")
    for name, content in {
        "cut": good.getvalue()[:900],
        "noise": b"\x89PNG\r\n\x1a\n" + bytes(300),
        "text": b"hello",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="damaged"):
            reader.read(tmp_path / name)
    (tmp_path / "good").write_bytes(good.getvalue())
    assert "still here" in as_text(reader.read(tmp_path / "good").lines)


def test_an_image_of_too_many_pixels_is_not_unpacked(reader: PageReader, tmp_path: Path) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    (tmp_path / "bomb.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )
    with pytest.raises(TooLargeError, match="60000"):
        reader.read(tmp_path / "bomb.png")


def test_a_page_that_takes_too_long_is_stopped(draw, tmp_path: Path) -> None:
    draw([(90, y, "A line of words that somebody wrote") for y in range(80, 1700, 60)]).save(tmp_path / "a.png")
    with PageReader(limits=OcrLimits(seconds=0)) as reader, pytest.raises(InputError) as caught:
        reader.read(tmp_path / "a.png")
    assert caught.value.code == "ocr_timeout"


def test_cancelling_ends_the_process_at_once(draw, tmp_path: Path) -> None:
    draw([(90, y, "A line of words that somebody wrote") for y in range(80, 1700, 60)]).save(tmp_path / "a.png")

    def cancel() -> None:
        raise CancelledByUser("cancelled")

    with PageReader() as reader:
        began = time.monotonic()
        with pytest.raises(CancelledByUser):
            reader.read(tmp_path / "a.png", check=cancel)
        assert time.monotonic() - began < 5


def test_one_image_from_memory(draw) -> None:
    kept = io.BytesIO()
    draw([(90, 100, "Order 7781 is ready")], LOW).save(kept, "PNG")
    assert "7781" in as_text(read_image(kept.getvalue()).lines)
