from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from zhilu.context import Context, open_context
from zhilu.models import ModelStore


@pytest.fixture
def context(own_home: Path) -> Iterator[Context]:
    opened = open_context()
    yield opened
    opened.close()


@pytest.fixture
def store(context: Context) -> ModelStore:
    return ModelStore(context)
