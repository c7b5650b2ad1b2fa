"""Makes the notebooks of stage 6, in both languages, from one source each: ``python labs/make.py``; ``--check`` only compares.

A source is ``source/NAME.txt``: cells between lines ``%% en``, ``%% zh`` (prose, one after the other) and ``%% code``. Code is the same
in both languages; ``{{lang}}`` in it is replaced by the language.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent


def cells_of(text: str) -> list[tuple[str, str]]:
    """``(kind, text)`` of each cell; raises ValueError where prose in one language has no counterpart."""
    cells = []
    for piece in text.split("\n%% ")[1:] if not text.startswith("%% ") else ("\n" + text).split("\n%% ")[1:]:
        kind, _, body = piece.partition("\n")
        cells.append((kind.strip(), body.strip("\n")))
    kinds = [kind for kind, _ in cells]
    for place, kind in enumerate(kinds):
        if kind == "en" and kinds[place + 1 : place + 2] != ["zh"]:
            raise ValueError(f"cell {place}: English without Chinese")
        if kind not in ("en", "zh", "code"):
            raise ValueError(f"cell {place}: {kind!r}")
    return cells


def notebook(name: str, text: str, lang: str) -> str:
    cells = []
    for kind, body in cells_of(text):
        if kind not in (lang, "code"):
            continue
        cell = {
            "cell_type": "code" if kind == "code" else "markdown",
            "id": f"{name.partition('_')[0]}-{name.split('_')[1]}-{len(cells)}",
            "metadata": {},
            "source": body.replace("{{lang}}", lang).splitlines(keepends=True),
        }
        if kind == "code":
            cell |= {"execution_count": None, "outputs": []}
        cells.append(cell)
    about = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    book = {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


def main(check: bool) -> int:
    stale = []
    for source in sorted((HERE / "source").glob("*.txt")):
        for lang in ("en", "zh"):
            target = HERE / lang / f"{source.stem}.ipynb"
            wanted = notebook(source.stem, source.read_text("utf-8"), lang)
            if check:
                if not target.is_file() or target.read_text("utf-8") != wanted:
                    stale.append(f"{lang}/{source.stem}")
            else:
                target.write_text(wanted, "utf-8")
    if stale:
        print("stale, run python labs/make.py:", ", ".join(stale))
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
