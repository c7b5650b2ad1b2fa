"""Recipes to copy and own: a Python file and its configuration, which run as they are (``zhilu tune recipe copy sft``).

They are shorter than the product's own recipes: no checkpoint, no job, no page. What they compute is the same, and a test holds
them to it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from zhilu.errors import ConflictError, NotFoundError, nearest
from zhilu.messages import T

__all__ = ["copy_recipe", "own_recipes"]

_FOLDER = Path(__file__).parent


def own_recipes() -> list[str]:
    """Names, by the configurations that lie here."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def copy_recipe(name: str, to: Path) -> list[Path]:
    """Copy a recipe and its configuration into the folder ``to``, which is made where it is not there.

    Raises:
        NotFoundError: no such recipe.
        ConflictError: a file of that name is there; nothing is written.
    """
    if name not in own_recipes():
        close = nearest(name, own_recipes())
        raise NotFoundError(
            T(f"There is no recipe {name!r} to copy." + (f" Did you mean {close!r}?" if close else ""),
              f"没有可复制的配方 {name!r}。" + (f"是不是 {close!r}？" if close else "")),
            param="name",
            fix="zhilu tune recipe list",
        )  # fmt: skip
    files = [to / f"{name}.py", to / f"{name}.yaml"]
    there = [file.name for file in files if file.exists()]
    if there:
        raise ConflictError(
            T(f"{to} has {', '.join(there)} already; nothing was written.", f"{to} 中已有 {'、'.join(there)}；没有写入。"),
            param="to",
            fix=f"zhilu tune recipe copy {name} --to OTHER",
        )  # fmt: skip
    to.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copyfile(_FOLDER / file.name, file)
    return files
