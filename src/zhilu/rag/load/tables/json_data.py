"""JSON and JSON lines: records of one kind become a table, anything else is written out with its keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zhilu.messages import T
from zhilu.rag.load.base import Limits, Loaded, LoaderFacts, TextBuilder, nothing_to_read
from zhilu.rag.load.decode import clean, decode
from zhilu.rag.load.tables import table_blocks

__all__ = ["LOADER", "JsonLoader"]

_COLUMNS = 30


class JsonLoader:
    facts = LoaderFacts(
        "json", T(en="JSON", zh="JSON 数据"), "application/json", (".json", ".jsonl", ".ndjson", ".geojson")
    )

    def load(self, path: Path, limits: Limits) -> Loaded:
        text = clean(decode(path.read_bytes())[0]).strip()
        if not text:
            raise nothing_to_read()
        out = TextBuilder()
        try:
            _write(_parsed(text), out)
        except (ValueError, RecursionError):  # as it stands: a citation of it is still right
            return Loaded(text, self.facts.mime)
        return out.loaded(self.facts.mime) if out.length else Loaded(text, self.facts.mime)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return [json.loads(line) for line in text.splitlines() if line.strip()]


def _write(value: Any, out: TextBuilder) -> None:
    if _is_table(value):
        columns = list(dict.fromkeys(key for record in value for key in record))
        rows = [columns, *([_flat(record.get(c)) for c in columns] for record in value)]
        for block in table_blocks(rows):
            out.add(block)
    elif isinstance(value, dict):
        for key, inside in value.items():
            if isinstance(inside, (dict, list)) and inside:
                out.add(str(key), level=1)
                _write(inside, out) if _is_table(inside) else out.add(_pretty(inside))
            else:
                out.add(f"{key}: {_flat(inside)}")
    elif isinstance(value, list):
        for record in value:
            out.add(_pretty(record))
    else:
        out.add(_flat(value))


def _is_table(value: Any) -> bool:
    """Records with plain values, and keys in common."""
    if not isinstance(value, list) or len(value) < 2 or not all(isinstance(r, dict) and r for r in value):
        return False
    columns = {key for record in value for key in record}
    plain = all(not isinstance(inside, (dict, list)) for record in value for inside in record.values())
    return plain and len(columns) <= _COLUMNS and len(columns) <= 2 * max(len(record) for record in value)


def _flat(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)


def _pretty(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)


LOADER = JsonLoader()
