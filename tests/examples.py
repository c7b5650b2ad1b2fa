"""How many examples a property test makes: its own few by default, as many as ``ZHILU_EXAMPLES`` says for a long run.

``ZHILU_SEED`` chooses which (``conftest.py``); a run with the same two and the same code makes the same examples.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings

__all__ = ["EXAMPLES", "SEED", "examples"]

EXAMPLES = int(os.environ.get("ZHILU_EXAMPLES", "0"))
SEED = int(os.environ.get("ZHILU_SEED", "20261129"))


def examples(number: int, **more: Any) -> settings:
    """The settings of a test that is content with ``number`` examples; ``more``: other settings of hypothesis."""
    return settings(max_examples=max(number, EXAMPLES), deadline=None, **more)
