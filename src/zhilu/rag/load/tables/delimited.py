"""CSV and its relatives (comma, semicolon, tab, bar), told by which of them splits the rows alike; else it is plain text."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from zhilu.messages import T
from zhilu.rag.load.base import Limits, Loaded, LoaderFacts, TextBuilder, nothing_to_read
from zhilu.rag.load.decode import clean, decode
from zhilu.rag.load.tables import table_blocks

__all__ = ["LOADER", "DelimitedLoader", "delimiter_of"]

_SAMPLE = 50  # rows


class DelimitedLoader:
    facts = LoaderFacts("csv", T(en="CSV table", zh="CSV 表格"), "text/csv", (".csv", ".tsv"))

    def load(self, path: Path, limits: Limits) -> Loaded:
        text = clean(decode(path.read_bytes())[0]).strip("\n")
        if not text.strip():
            raise nothing_to_read(("table", "表格"))
        delimiter = delimiter_of(text)
        if delimiter is None:
            return Loaded(text, self.facts.mime)
        csv.field_size_limit(limits.max_chars)
        out = TextBuilder()
        for block in table_blocks(csv.reader(io.StringIO(text), delimiter=delimiter)):
            out.add(block)
        return out.loaded(self.facts.mime)


def delimiter_of(text: str) -> str | None:
    """What divides the cells: of the candidates, the one by which nearly all rows have one same number of cells, the most; None
    if there is none."""
    best: tuple[int, str] | None = None
    for candidate in (",", "\t", ";", "|"):
        try:
            reader = csv.reader(io.StringIO(text), delimiter=candidate)
            widths = [len(row) for row, _ in zip(reader, range(_SAMPLE), strict=False) if row]
        except csv.Error:
            continue
        if not widths:
            continue
        usual = max(set(widths), key=widths.count)
        if usual > 1 and widths.count(usual) >= 0.8 * len(widths) and (best is None or usual > best[0]):
            best = (usual, candidate)
    return best[1] if best else None


LOADER = DelimitedLoader()
