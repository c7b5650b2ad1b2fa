"""What is asked and when: prompts of a given length, arriving at a rate or a fixed number at a time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Load", "Target"]

# Short words of both languages: about a token each for most tokenizers. How many it really was, the server says.
_WORDS = ["time", "year", "people", "way", "day", "man", "thing", "woman", "life", "child", "world", "school", "state"]
_WORDS += ["时间", "问题", "学生", "国家", "世界", "生活", "老师", "城市", "公司", "历史"]


@dataclass(frozen=True)
class Target:
    """A model at a URL. ``label`` names it in the report; ``url`` is with ``/v1``; ``key`` is sent, never shown."""

    label: str
    url: str
    model: str
    key: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Load:
    """
    Attributes:
        requests: how many in all.
        concurrency: so many at a time, the next when one is done; or None with a ``rate``.
        rate: requests a second, arriving at random (a Poisson process), whether earlier ones are done or not.
        input_len, output_len: tokens, the first nearly, the second exactly where the server knows ``ignore_eos``.
        spread: lengths vary evenly by this part around those, 0 for all alike.
        seed: of prompts and arrivals: two targets are asked the same at the same moments.
    """

    requests: int
    concurrency: int | None = 1
    rate: float | None = None
    input_len: int = 128
    output_len: int = 64
    spread: float = 0.0
    endpoint: Literal["chat", "completions"] = "chat"
    seed: int = 0

    @property
    def label(self) -> str:
        return f"{self.rate:g}/s" if self.rate is not None else f"x{self.concurrency}"

    def bodies(self, model: str) -> Iterator[dict[str, Any]]:
        """The requests, all different from their first word on, so that no prefix cache answers for the engine."""
        random_ = random.Random(self.seed)
        for number in range(self.requests):
            factor = 1 + self.spread * (2 * random_.random() - 1)
            words = [f"{number}", *random_.choices(_WORDS, k=max(1, round(self.input_len * factor) - 1))]
            limit = max(1, round(self.output_len * (1 + self.spread * (2 * random_.random() - 1))))
            asked: dict[str, Any] = {"model": model, "max_tokens": limit, "temperature": 0, "stream": True}
            asked["stream_options"] = {"include_usage": True}
            text = " ".join(words)
            asked |= {"messages": [{"role": "user", "content": text}]} if self.endpoint == "chat" else {"prompt": text}
            yield asked

    def arrivals(self) -> Iterator[float]:
        """Seconds from the start at which each request arrives; all 0 where the concurrency decides."""
        random_ = random.Random(self.seed + 1)
        moment = 0.0
        for _ in range(self.requests):
            yield moment
            if self.rate is not None:
                moment += random_.expovariate(self.rate)
