"""Counts and durations in Prometheus' text format 0.0.4, and the engines' own figures with a ``model`` label."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

__all__ = ["CONTENT_TYPE", "Counter", "Gauge", "LabelledHistogram", "merge", "with_label"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})?( .+)")
_SUFFIXES = ("_bucket", "_sum", "_count")


class Counter:
    """A number that only grows, one for each combination of label values."""

    kind = "counter"

    def __init__(self, name: str, help: str, labels: tuple[str, ...] = ()) -> None:
        self.name, self.help, self.labels = name, help, labels
        self._values: dict[tuple[str, ...], float] = defaultdict(float)

    def add(self, *labels: str, value: float = 1) -> None:
        self._values[labels] += value

    def lines(self) -> Iterator[str]:
        yield from _head(self.name, self.kind, self.help)
        for values, number in sorted(self._values.items()):
            yield f"{self.name}{_labels(self.labels, values)} {number:g}"


class Gauge(Counter):
    """A number that is set."""

    kind = "gauge"

    def set(self, *labels: str, value: float) -> None:
        self._values[labels] = value

    def clear(self) -> None:
        self._values.clear()


class LabelledHistogram:
    """Durations in seconds."""

    def __init__(self, name: str, help: str, labels: tuple[str, ...] = ()) -> None:
        self.name, self.help, self.labels = name, help, labels
        self._counts: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0] * (len(_SECONDS) + 1))
        self._sums: dict[tuple[str, ...], float] = defaultdict(float)

    def add(self, *labels: str, value: float) -> None:
        self._counts[labels][bisect_left(_SECONDS, value)] += 1
        self._sums[labels] += value

    def lines(self) -> Iterator[str]:
        yield from _head(self.name, "histogram", self.help)
        for values, counts in sorted(self._counts.items()):
            running = 0
            for bound, count in zip([*map(str, _SECONDS), "+Inf"], counts, strict=True):
                running += count
                yield f"{self.name}_bucket{_labels((*self.labels, 'le'), (*values, bound))} {running}"
            yield f"{self.name}_sum{_labels(self.labels, values)} {self._sums[values]:.6f}"
            yield f"{self.name}_count{_labels(self.labels, values)} {running}"


def with_label(text: str, label: str, value: str) -> Iterator[str]:
    """The lines of an exposition with one more label on every sample; what is no sample or comment is left out."""
    pair = f'{label}="{_escaped(value)}"'
    for line in text.splitlines():
        if line.startswith("#"):
            yield line
        elif match := _SAMPLE.fullmatch(line):
            name, labels, number = match.groups()
            inner = (labels or "{}")[1:-1].strip(", ")
            yield f"{name}{{{pair}{',' if inner else ''}{inner}}}{number}"


def merge(expositions: Iterable[Iterable[str]]) -> str:
    """One exposition of many: each family once, its comments first, as the format asks for."""
    comments: dict[str, dict[str, str]] = {}
    samples: dict[str, list[str]] = defaultdict(list)
    for lines in expositions:
        for line in lines:
            words = line.split(" ", 3)
            if words[0] == "#" and len(words) > 2 and words[1] in ("HELP", "TYPE"):
                comments.setdefault(words[2], {}).setdefault(words[1], line)
            elif line and not line.startswith("#"):
                samples[_family(re.split(r"[{ ]", line, maxsplit=1)[0], comments)].append(line)
    out: list[str] = []
    for family in [*comments, *(name for name in samples if name not in comments)]:
        out += [*comments.get(family, {}).values(), *samples.get(family, [])]
    return "\n".join(out) + "\n"


def _family(name: str, known: Mapping[str, object]) -> str:
    """``x_bucket`` belongs to the histogram ``x``, if there is one."""
    for suffix in _SUFFIXES:
        if name.endswith(suffix) and name.removesuffix(suffix) in known:
            return name.removesuffix(suffix)
    return name


def _head(name: str, kind: str, help: str) -> tuple[str, str]:
    return f"# HELP {name} {help}", f"# TYPE {name} {kind}"


def _labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
