"""What a command may use. Set in the child before the walls go up, so that it holds for all that it starts."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """
    Attributes:
        seconds: of the clock; what still runs then is killed with all that it started.
        memory_mb: of address space, for each process.
        file_mb: the largest file that it may write.
        processes: that may live at once.
        output: characters that are kept of each of its two outputs.
    """

    seconds: float = 20.0
    memory_mb: int = 1024
    file_mb: int = 64
    processes: int = 64
    output: int = 20_000

    def apply(self) -> Callable[[], None]:
        """For ``preexec_fn``; only what POSIX has."""

        def limit() -> None:
            import resource

            os.umask(0o077)
            wanted = (
                (resource.RLIMIT_AS, self.memory_mb << 20), (resource.RLIMIT_FSIZE, self.file_mb << 20),
                (resource.RLIMIT_CPU, int(self.seconds) + 1), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, 256),
            )  # fmt: skip
            for what, most in wanted:
                hard = resource.getrlimit(what)[1]
                top = most if hard == resource.RLIM_INFINITY else min(most, hard)
                resource.setrlimit(what, (top, top))

        return limit
