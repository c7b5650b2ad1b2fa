"""Processes that hear and speak. A decoder that crashes, hangs or eats memory ends its own process, never the gateway."""

from zhilu.media.worker.parent import Worker, worker_of

__all__ = ["Worker", "worker_of"]
