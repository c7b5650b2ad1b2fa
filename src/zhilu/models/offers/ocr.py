"""OCR as a part that a person installs when the first scan arrives, and the job kind ``ocr-install``."""

from __future__ import annotations

import importlib
import re
import sys
from importlib.metadata import requires
from typing import TYPE_CHECKING, Any

from zhilu.errors import MissingComponentError
from zhilu.home import atomic_write, file_lock
from zhilu.jobs import Job, JobContext, JobKind, JobStore
from zhilu.jobs.command import run_command
from zhilu.messages import T
from zhilu.models.ocr import find_ocr
from zhilu.setup.base import PartState, newest_job
from zhilu.setup.pip import refuse_old_pip, what_is_there, why_not_here

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["OCR", "OCR_INSTALL", "OcrPart", "extra_ocr"]

BYTES = 290_000_000  # on disk, measured: RapidOCR 3.10 with OpenCV and ONNX Runtime, x86-64 Linux


def extra_ocr() -> list[str]:
    """The requirements of our extra ``ocr``, as pip takes them."""
    lines = (line.partition(";") for line in requires("zhilu") or ())
    return [name.strip() for name, _, when in lines if re.search(r"extra == ['\"]ocr['\"]", when)]


def run_install(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    """pip's own work, with what is there left as it is; a killed run starts again and finds pip's downloads."""
    home = job.context.home
    home.logs.mkdir(parents=True, exist_ok=True)
    with file_lock(home.run / "setup-ocr.lock"):
        refuse_old_pip(sys.executable)
        kept = home.run / "setup-ocr-constraints.txt"
        atomic_write(kept, what_is_there(sys.executable))
        pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "raw"]
        title = T("Installing OCR", "安装 OCR")
        run_command(job, [*pip, "-c", str(kept), *extra_ocr()], title, home.logs / "setup-ocr.log", at=0.02, share=0.97)
        importlib.invalidate_caches()
        if find_ocr() != "rapidocr":
            raise MissingComponentError(
                T("OCR was installed and cannot be found.", "OCR 已安装，却找不到。"),
                code="ocr_missing",
                fix=f"{sys.executable} -m pip install {' '.join(extra_ocr())}",
            )
    return {"engine": "rapidocr"}


OCR_INSTALL = JobKind(name="ocr-install", run=run_install, resumable=True, light=True)


class OcrPart:
    """The part of the setup that the home page shows (see ``zhilu.setup.base``)."""

    name = "ocr"
    title = T("OCR: text in pictures and scans", "OCR：识别图片和扫描件中的文字")
    purpose = T(
        "Reads scanned PDFs, photographs and screenshots, Chinese and English, on this machine.",
        "在本机读取扫描版 PDF、照片和截图中的中英文文字。",
    )

    def state(self, context: Context) -> PartState:
        engine = find_ocr()
        if engine == "rapidocr":
            return PartState("here", T("It is installed.", "已安装。"))
        blocked = why_not_here()
        if blocked is not None and engine is None:
            return PartState("impossible", blocked)
        if engine is not None:
            return PartState("here", T("tesseract, which is installed here, reads.", "由本机已安装的 tesseract 识别。"))
        if context.settings.offline:
            return PartState("absent", T("The setting offline is on.", "设置 offline 已打开。"), size_bytes=BYTES)
        return PartState("absent", T("Needed for pictures and scans only.", "仅图片和扫描件需要。"), size_bytes=BYTES)

    def find_job(self, context: Context) -> Job | None:
        return newest_job(context, OCR_INSTALL.name)

    def submit(self, context: Context, *, agreed: bool) -> Job:
        blocked = why_not_here()
        if blocked is not None:
            raise MissingComponentError(
                blocked, code="ocr_impossible", fix=f"{sys.executable} -m pip install {' '.join(extra_ocr())}"
            )
        return JobStore(context).submit(OCR_INSTALL, {}, T("Install OCR", "安装 OCR"))


OCR = OcrPart()
