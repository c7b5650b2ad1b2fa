"""``python -m zhilu.internals TASK [FILE]``: one lesson, or a paper's figure by its name, in this process.

Prints lines of JSON: progress, then the result.

``runs`` starts it. A learner's own file runs here and nowhere else.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from zhilu.internals.catalog import Lesson, find_lesson
from zhilu.internals.papers.shelf import PAPERS, measure
from zhilu.messages import T


def load_part(lesson: Lesson, file: Path | None) -> ModuleType:
    """The lesson's own module, or another file in its place."""
    if file is None:
        return importlib.import_module(lesson.module)
    spec = importlib.util.spec_from_file_location(lesson.part, file)
    assert spec is not None and spec.loader is not None  # it ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[lesson.part] = module
    spec.loader.exec_module(module)
    return module


def main(arguments: list[str]) -> int:
    file = Path(arguments[1]) if len(arguments) > 1 else None
    out = sys.stdout
    sys.stdout = sys.stderr  # a lesson's own prints are none of the protocol

    def tell(line: dict[str, Any]) -> None:
        print(json.dumps(line, ensure_ascii=True), file=out, flush=True)

    def say(fraction: float, stage: T) -> None:
        tell({"progress": fraction, "stage": stage.data()})

    if arguments[0] in PAPERS:
        tell({"result": measure(PAPERS[arguments[0]]).model_dump(mode="json")})
        return 0
    lesson = find_lesson(arguments[0])
    prove: Any = lesson.prove()
    try:
        result = prove(load_part(lesson, file), say)
    except Exception as error:
        if file is None:
            raise
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        at = frames[-1].lineno if frames else 0
        tell({"broke": f"{type(error).__name__}: {error}", "line": at})
        return 1
    tell({"result": result.model_dump(mode="json")})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
