"""Guess the next tokens from the text so far, and let the model check all guesses in one step (prompt lookup decoding).

Answers copy: names, code, quoted passages. If the last few tokens have occurred before, the tokens that followed them are
likely to follow again. The model computes the guesses as if they were a piece of prompt. The sampler then draws at each of these
positions in turn, until it draws something other than the guess. Because a guess is one token and not a distribution, this *is*
rejection sampling (arXiv 2211.17192, with q = 1 on the guess): a guess stays with the probability that the model gives it, and
otherwise the draw comes from the rest. Tokens, seeds, penalties and grammars are those of plain decoding; only the number of
steps changes.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Drafter"]

# Endings to look for, longest first: a longer one is the surer guess.
_SIZES = (5, 3, 2)
_LONGEST_PAUSE = 64  # steps


class Drafter:
    """The guesses for one sequence, as many as have lately been worth it.

    Args:
        limit: most tokens guessed at once.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._length = max(1, limit // 2)
        self._pause = 0  # steps without a guess still to come
        self._next_pause = 1
        self._num_seen = 0
        self._followers: dict[tuple[int, ...], int] = {}  # ending -> position of the token that last followed it

    def propose(self, token_ids: Sequence[int], room: int) -> list[int]:
        """At most ``room`` guesses of what follows ``token_ids``; none while guessing does not pay."""
        if self._pause:
            self._pause -= 1
            return []
        self._read(token_ids)
        length = min(self._length, room)
        for size in _SIZES:
            at = self._followers.get(tuple(token_ids[-size:]))
            if at is not None:
                guesses = list(token_ids[at : at + length])
                # The earlier occurrence may reach the end of the text: then the text repeats itself with this period.
                period = len(token_ids) - at
                return [guesses[i % period] for i in range(length)] if guesses else []
        return []

    def learn(self, num_drafted: int, num_accepted: int) -> None:
        """Guess more after a success, fewer after a failure; after failures in a row pause, each time twice as long."""
        if num_accepted == num_drafted:
            self._length = min(self.limit, 2 * self._length)
        else:
            self._length = min(self.limit, num_accepted + 1)
        if num_accepted:
            self._next_pause = 1
        else:
            self._pause = self._next_pause
            self._next_pause = min(_LONGEST_PAUSE, 2 * self._next_pause)

    def _read(self, token_ids: Sequence[int]) -> None:
        """Note what followed each ending, up to the last token, which nothing follows yet."""
        for at in range(max(1, self._num_seen), len(token_ids)):
            for size in _SIZES:
                if at >= size:
                    self._followers[tuple(token_ids[at - size : at])] = at
        self._num_seen = len(token_ids)
