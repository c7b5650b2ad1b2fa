"""The body of ``GET /state``: the scheduler's queues and the block tables, as they are between two steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zhilu.engine.engine import Engine

__all__ = ["state_of"]


def state_of(engine: Engine) -> dict[str, Any]:
    """What a page needs to draw the scheduler and the block tables."""
    scheduler, pool = engine.scheduler, engine.scheduler.pool

    def sequence_state(sequence: Any) -> dict[str, Any]:
        return {
            "request": sequence.request.id,
            "index": sequence.index,
            "status": sequence.status.value,
            "num_prompt": sequence.num_prompt,
            "num_output": sequence.num_output,
            "num_computed": sequence.num_computed,
            "num_cached": sequence.num_cached,
            "num_preemptions": sequence.num_preemptions,
            "blocks": list(sequence.table),
        }

    return {
        "runner": engine.runner.describe(),
        "max_len": engine.max_len,
        "max_num_seqs": scheduler.max_num_seqs,
        "max_batch_tokens": scheduler.max_batch_tokens,
        "num_steps": engine.metrics.num_steps,
        "blocks": {
            "size": pool.block_size,
            "total": pool.num_blocks,
            "free": pool.num_free,
            "cached": pool.num_cached,
            "shared": sum(pool.references(number) > 1 for number in range(pool.num_blocks)),
        },
        "running": [sequence_state(sequence) for sequence in scheduler.running],
        "waiting": [sequence_state(sequence) for sequence in scheduler.waiting],
    }
