"""When to restart a dead engine: at once the first time, later and later if it keeps dying, and finally never."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Backoff"]


@dataclass
class Backoff:
    """Restart delays in seconds. No clock inside: the caller says how long the engine lived.

    Attributes:
        delays: pause before the 1st, 2nd ... restart in a row; the last one repeats.
        healthy_after: an engine that was ready for so long starts with a clean slate.
        give_up_after: so many deaths in a row *before ever being ready* are final: it will not help to try again.
    """

    delays: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0)  # however often it is killed, it is back within seconds
    healthy_after: float = 10.0
    give_up_after: int = 3
    _in_row: int = field(default=0, init=False)
    _never_ready: int = field(default=0, init=False)

    def after(self, *, was_ready: bool, ready_seconds: float) -> float | None:
        """Seconds to wait before the next start, or None to give up."""
        if ready_seconds >= self.healthy_after:
            self._in_row = 0
        self._never_ready = 0 if was_ready else self._never_ready + 1
        if self._never_ready >= self.give_up_after:
            return None
        delay = self.delays[min(self._in_row, len(self.delays) - 1)]
        self._in_row += 1
        return delay
