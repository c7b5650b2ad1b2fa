"""What the learner wrote and expected, kept for the gates: ``lens/<task>.json`` in the data home.

Only the prediction is kept, never whether it was right: the gate computes the truth again from the model.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from zhilu.errors import ConflictError
from zhilu.home import atomic_write
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["keep", "latest"]

_MOST = 50  # predictions of a task that are remembered


def keep(context: Context, task: str, attempt: dict[str, Any], *, once: tuple[str, ...] = ()) -> None:
    """Remember a prediction.

    Args:
        once: keys that together name the question. Who has seen its answer cannot predict it any more.

    Raises:
        ConflictError: the question was answered before.
    """
    path = context.home.path / "lens" / f"{task}.json"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    before = _read(context, task)
    question = [attempt[key] for key in once]
    if once and any([old.get(key) for key in once] == question for old in before):
        raise ConflictError(
            T(
                "You have seen the answer to this one. Take another text: a prediction counts before one has looked.",
                "这一题的答案你已经看过了。换一段文本吧：预测要在揭晓之前做才算数。",
            ),
            param=once[0],
            code="seen_before",
        )
    at = datetime.now(timezone.utc).isoformat(timespec="seconds")
    kept = [*before, {**attempt, "at": at}][-_MOST:]
    atomic_write(path, json.dumps(kept, ensure_ascii=False, indent=1) + "\n")


def latest(context: Context, task: str) -> dict[str, Any] | None:
    """The newest prediction."""
    kept = _read(context, task)
    return kept[-1] if kept else None


def _read(context: Context, task: str) -> list[dict[str, Any]]:
    try:
        kept = json.loads((context.home.path / "lens" / f"{task}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [item for item in kept if isinstance(item, dict)] if isinstance(kept, list) else []
