"""The formats of datasets that are read, and which of them a row is in."""

from __future__ import annotations

from typing import Any

from zhilu.tuning.data.formats.base import METADATA, Format, RowError
from zhilu.tuning.data.formats.chat import CHAT, SHAREGPT
from zhilu.tuning.data.formats.instruction import ALPACA, PROMPT_COMPLETION, TEXT
from zhilu.tuning.data.formats.preference import PREFERENCE, UNPAIRED

__all__ = ["FORMATS", "METADATA", "Format", "RowError", "format_of"]

# The more telling ones first: a preference pair with a prompt is no prompt/completion row.
FORMATS: tuple[Format, ...] = (PREFERENCE, UNPAIRED, CHAT, SHAREGPT, ALPACA, PROMPT_COMPLETION, TEXT)


def format_of(row: dict[str, Any]) -> Format | None:
    """The first format whose keys the row has; None where it is of no kind."""
    return next((form for form in FORMATS if form.matches(row)), None)
