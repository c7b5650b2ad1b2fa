"""The sample repository, kept as text files so that no tool takes it for code of this program."""

from __future__ import annotations

from pathlib import Path

__all__ = ["unpack_sample"]

_SAMPLE = Path(__file__).parent / "sample"


def unpack_sample(folder: Path) -> None:
    """Write the sample repository into a folder, which is made."""
    for kept in sorted(_SAMPLE.rglob("*.txt")):
        target = folder / kept.relative_to(_SAMPLE).with_suffix("")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(kept.read_text(encoding="utf-8"), encoding="utf-8")
