"""Reading a repository into its index, file by file; what has not changed is not read again."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from zhilu.apps.coder.index.apart import Outliner
from zhilu.apps.coder.index.store import IndexStore
from zhilu.apps.coder.index.symbols import Outline
from zhilu.apps.coder.index.trees import can_read
from zhilu.apps.coder.index.units import units_of
from zhilu.apps.coder.index.walk import FoundFile, RepoLimits, read_file, read_text, walk
from zhilu.errors import InputError

__all__ = ["build", "read_one"]

_VERSION = "1"  # of what is kept for a file; a higher one has every file read again


def build(
    root: Path,
    store: IndexStore,
    each: Callable[[int, int, str], None] = lambda done, of, path: None,
    limits: RepoLimits = RepoLimits(),
    outline: Callable[[str, str], Outline] | None = None,
) -> Counter[str]:
    """Bring the index up to date; a run that was killed is gone on with by calling it again.

    Args:
        each: called before each file with how many are done, of how many, and its path; what it raises ends the work.
        outline: finds the symbols of a language and a text; by default in a process of its own.

    Returns:
        what was done: ``read``, ``same``, ``gone``, and the reasons for which others were left out.
    """
    if outline is None:
        with Outliner() as outliner:
            return build(root, store, each, limits, outliner.outline)
    store.create()
    done: Counter[str] = Counter()
    found = list(walk(root, done, limits))
    marks, seen, total = store.marks(), set(), 0
    for number, file in enumerate(found):
        each(number, len(found), file.path)
        try:
            data = read_file(root, file.path, limits)
        except (OSError, InputError):
            done["unreadable"] += 1
            continue
        total += len(data)
        if total > limits.bytes:
            done["limit"] += 1
            break
        mark = _mark(data, file)
        if marks.get(file.path) == mark:
            done["same"] += 1
        elif not _put(store, file, data, mark, limits, outline):
            done["binary"] += 1
            continue
        else:
            done["read"] += 1
        seen.add(file.path)
    for path in marks.keys() - seen:
        store.forget(path)
        done["gone"] += 1
    return done


def read_one(store: IndexStore, file: FoundFile, data: bytes) -> bool:
    """Put one file into the index anew; False: it is no text."""
    with Outliner() as outliner:
        return _put(store, file, data, _mark(data, file), RepoLimits(), outliner.outline)


def _put(
    store: IndexStore,
    file: FoundFile,
    data: bytes,
    mark: str,
    limits: RepoLimits,
    outline: Callable[[str, str], Outline],
) -> bool:
    source = read_text(data, limits)
    if source is None:
        return False
    found = outline(file.language, source.text)
    store.put(file.path, mark, file.language, source.text, found, units_of(source.text.split("\n"), found.symbols))
    return True


def _mark(data: bytes, file: FoundFile) -> str:
    reader = "tree" if can_read(file.language) else file.language
    return f"{_VERSION} {reader} {hashlib.sha256(data).hexdigest()}"
