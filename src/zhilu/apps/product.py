"""What a product is: an application with a page, an acceptance run over data of its own, and a template that one takes home.

Products register under the entry points ``zhilu.products``; ``zhilu app`` and the page of products read this list alone. A module
that holds a ``Product`` imports nothing heavy: its ``acceptance`` imports what it needs when it is called.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zhilu.messages import T
from zhilu.registry import Registry

if TYPE_CHECKING:
    from zhilu.client import ModelClient
    from zhilu.context import Context

__all__ = ["Product", "Scored", "products"]


@dataclass(frozen=True)
class Scored:
    """One case of an acceptance run.

    Attributes:
        case: what was asked.
        right: whether what came back is right; of a case that has no answer, whether none was given.
        said: what came back, for a person to read.
        why: why it is judged so, where ``said`` does not show it.
    """

    case: str
    right: bool
    said: str
    why: T | None = None


@dataclass(frozen=True)
class Product:
    """
    Attributes:
        name: as registered; also the folder of its files under the data home, ``apps/<name>/``.
        page: its address in the workbench.
        acceptance: called with the context, a client and the name of the model; yields at least 20 cases, in English and in
            Chinese, one as soon as it is through. It works on data of its own and leaves nothing behind.
        floor: the share of right cases that the product must reach.
        template: a folder with ``app.py`` (FastAPI), ``requirements.txt``, ``static/``, ``tests/``, a ``Dockerfile`` and a
            ``README.md`` of what is its own; ``zhilu app new`` copies it and says the commands.
    """

    name: str
    title: T
    says: T
    page: str
    acceptance: Callable[[Context, ModelClient, str], AsyncIterator[Scored]]
    floor: float
    template: Path


def products() -> Registry[Product]:
    return Registry.from_entry_points("zhilu.products", T("product", "产品"))
