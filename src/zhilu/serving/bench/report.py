"""The figures of a load: as a table, as bars in a terminal, and as a picture (SVG)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any

from zhilu.messages import T
from zhilu.serving.bench.load import Load, Target
from zhilu.serving.bench.measure import Sample
from zhilu.serving.facts import MANY
from zhilu.serving.speed import Speed

__all__ = ["METRICS", "Result", "bars", "percentile", "rows", "speed_of", "svg"]

PERCENTILES = (50, 90, 99)


@dataclass
class Result:
    """What one target did under one load; grows while it runs. ``interrupted``: not all of it was asked."""

    target: Target
    load: Load
    samples: list[Sample] = field(default_factory=list)
    interrupted: bool = False
    failure: str = ""

    @property
    def answered(self) -> list[Sample]:
        return [sample for sample in self.samples if not sample.error]

    @property
    def seconds(self) -> float:
        """From the first request sent to the last one done."""
        if not self.samples:
            return 0.0
        return max(s.done for s in self.samples) - min(s.sent for s in self.samples)

    def data(self) -> dict[str, Any]:
        """All figures; times in milliseconds, rates a second. Percentiles are over answered requests only."""
        good, seconds = self.answered, self.seconds
        errors: dict[str, int] = {}
        for sample in self.samples:
            if sample.error:
                errors[sample.error[:120]] = errors.get(sample.error[:120], 0) + 1
        num_output = sum(s.output_tokens for s in good)
        return {
            "target": self.target.label,
            "model": self.target.model,
            "load": self.load.label,
            "requests": self.load.requests,
            "answered": len(good),
            "errors": errors,
            "failure": self.failure,
            "interrupted": self.interrupted,
            "seconds": round(seconds, 3),
            "prompt_tokens": sum(s.prompt_tokens for s in good),
            "output_tokens": num_output,
            "requests_per_second": round(len(good) / seconds, 3) if seconds else 0.0,
            "output_tokens_per_second": round(num_output / seconds, 2) if seconds else 0.0,
            "total_tokens_per_second": round((num_output + sum(s.prompt_tokens for s in good)) / seconds, 2)
            if seconds
            else 0.0,
            "ttft_ms": _spread([s.ttft for s in good]),
            "tpot_ms": _spread([s.tpot for s in good if s.tpot is not None]),
            "itl_ms": _spread([gap for s in good for gap in s.gaps]),
            "latency_ms": _spread([s.done - s.sent for s in good]),
        }


def speed_of(results: Sequence[Result]) -> Speed:
    """What loads at one target say of an engine's speed; nothing of a load that did not end or had errors."""
    speed = Speed()
    for result in results:
        good, at_a_time = result.answered, result.load.concurrency
        if result.interrupted or result.failure or len(good) != result.load.requests or at_a_time is None:
            continue
        if at_a_time == 1:
            reading, paces = sum(s.ttft for s in good), [s.tpot for s in good if s.tpot]
            speed = replace(
                speed,
                read=sum(s.prompt_tokens for s in good) / reading if reading else None,
                write=len(paces) / sum(paces) if paces else None,
            )
        elif at_a_time >= MANY and at_a_time >= (speed.streams or 0) and result.seconds:
            speed = replace(speed, many=sum(s.output_tokens for s in good) / result.seconds, streams=at_a_time)
    return speed


def percentile(values: Sequence[float], percent: float) -> float:
    """By linear interpolation between the nearest two; ``values`` must not be empty."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _spread(seconds: Sequence[float]) -> dict[str, float] | None:
    if not seconds:
        return None
    figures = {"mean": sum(seconds) / len(seconds), **{f"p{p}": percentile(seconds, p) for p in PERCENTILES}}
    return {name: round(1000 * value, 2) for name, value in figures.items()}


# What is drawn: (title, key, percentile or None, unit, whether more is better)
METRICS: tuple[tuple[T, str, str | None, str], ...] = (
    (T("output tokens a second", "每秒输出 token"), "output_tokens_per_second", None, ""),
    (T("time to first token, p50", "首个 token 耗时 p50"), "ttft_ms", "p50", "ms"),
    (T("time to first token, p99", "首个 token 耗时 p99"), "ttft_ms", "p99", "ms"),
    (T("time per output token, p50", "每个输出 token 耗时 p50"), "tpot_ms", "p50", "ms"),
)


def rows(results: Sequence[Result]) -> list[list[object]]:
    """A line a result, for the columns the command prints."""
    out: list[list[object]] = []
    for result in results:
        data = result.data()
        note = result.failure or "; ".join(f"{count} x {what}" for what, count in data["errors"].items())
        row: list[object] = [data["target"], data["load"], f"{data['answered']}/{data['requests']}"]
        row += [f"{data['requests_per_second']:.2f}", f"{data['output_tokens_per_second']:.1f}"]
        for key in ("ttft_ms", "tpot_ms", "itl_ms"):
            spread = data[key]
            row.append("-" if spread is None else " / ".join(f"{spread[f'p{p}']:.1f}" for p in PERCENTILES))
        out.append([*row, note[:80]])
    return out


def bars(results: Sequence[Result], width: int = 40) -> list[str]:
    """Lines of text: a block for each metric, a bar for each result."""
    lines: list[str] = []
    names = [f"{result.target.label} {result.load.label}" for result in results]
    wide = max(map(len, names), default=0)
    for title, key, part, unit in METRICS:
        values = [_value(result, key, part) for result in results]
        most = max((value for value in values if value is not None), default=0.0)
        if not most:
            continue
        lines += ["", title.say()]
        for name, value in zip(names, values, strict=True):
            length = 0 if value is None else round(width * value / most)
            shown = "-" if value is None else f"{value:.1f} {unit}".rstrip()
            lines.append(f"  {name:<{wide}} {'█' * length}{'' if length else '▏'} {shown}")
    return lines


def _value(result: Result, key: str, part: str | None) -> float | None:
    value = result.data()[key]
    if part is not None:
        return None if value is None else float(value[part])
    return float(value) if result.answered else None


_COLOURS = ("#3b6ea8", "#c06c3a", "#4f8f5b", "#8a5fa8", "#a8913b", "#5b8f8f")


def svg(results: Sequence[Result]) -> str:
    """The same bars as a picture that stands alone; one colour a target, readable on light and dark."""
    targets = list(dict.fromkeys(result.target.label for result in results))
    height, line, left, width = 0, 22, 260, 760
    parts: list[str] = []
    for title, key, part, unit in METRICS:
        values = [_value(result, key, part) for result in results]
        most = max((value for value in values if value is not None), default=0.0)
        if not most:
            continue
        height += 34
        parts.append(f'<text x="16" y="{height}" class="title">{escape(title.say())}</text>')
        height += 10
        for result, value in zip(results, values, strict=True):
            colour = _COLOURS[targets.index(result.target.label) % len(_COLOURS)]
            name = escape(f"{result.target.label} {result.load.label}")
            length = 0.0 if value is None else (width - left - 110) * value / most
            shown = "-" if value is None else f"{value:.1f} {unit}".rstrip()
            parts.append(f'<text x="{left - 10}" y="{height + 15}" text-anchor="end">{name}</text>')
            parts.append(f'<rect x="{left}" y="{height + 3}" width="{length:.1f}" height="15" rx="2" fill="{colour}"/>')
            parts.append(f'<text x="{left + length + 6:.1f}" y="{height + 15}">{shown}</text>')
            height += line
    style = (
        "text{font:13px system-ui,sans-serif;fill:#444}.title{font-weight:600;font-size:14px}"
        "@media(prefers-color-scheme:dark){text{fill:#ccc}}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + 20}" width="{width}" '
        f'height="{height + 20}" role="img"><style>{style}</style>{"".join(parts)}</svg>\n'
    )
