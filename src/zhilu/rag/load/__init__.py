"""Files to text: one loader per format, chosen by content, run in a limited process (``load_limited``).

Another package adds a format with an entry point in ``zhilu.loaders`` whose name ``sniff`` returns.
"""

from __future__ import annotations

from zhilu.messages import T
from zhilu.rag.load.admission import check_size, safe_name, safe_path
from zhilu.rag.load.base import Heading, Limits, Loaded, Loader, Page
from zhilu.rag.load.limited import Reader, load_limited
from zhilu.rag.load.scans import ScanReader, refuse_scans
from zhilu.registry import Registry

__all__ = [
    "LOADERS", "Heading", "Limits", "Loaded", "Loader", "Page", "Reader", "ScanReader", "check_size", "load_limited",
    "refuse_scans", "safe_name", "safe_path",
]  # fmt: skip

LOADERS: Registry[Loader] = Registry.from_entry_points("zhilu.loaders", T("document loader", "文档加载器"))
for _name, _target in (
    ("pdf", "zhilu.rag.load.pdf:LOADER"),
    ("docx", "zhilu.rag.load.docx:LOADER"),
    ("html", "zhilu.rag.load.html:LOADER"),
    ("markdown", "zhilu.rag.load.markdown:LOADER"),
    ("text", "zhilu.rag.load.text:LOADER"),
    ("pptx", "zhilu.rag.load.parts.slides:LOADER"),
    ("sheets", "zhilu.rag.load.tables.sheets:LOADER"),
    ("csv", "zhilu.rag.load.tables.delimited:LOADER"),
    ("json", "zhilu.rag.load.tables.json_data:LOADER"),
    ("epub", "zhilu.rag.load.parts.epub:LOADER"),
    ("mail", "zhilu.rag.load.parts.mail:LOADER"),
    ("code", "zhilu.rag.load.code:LOADER"),
    ("image", "zhilu.rag.load.parts.image:LOADER"),
):
    if _name not in LOADERS:
        LOADERS.add(_name, _target)
