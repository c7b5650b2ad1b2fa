"""``zhilu data check``: all that can go wrong with training data, found before a step is spent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from zhilu.jobs.base import Text
from zhilu.messages import T
from zhilu.prompts import language_of
from zhilu.tuning.data.findings import Finding, group
from zhilu.tuning.data.formats import RowError
from zhilu.tuning.data.likeness import exact_copies, near_copies
from zhilu.tuning.data.personal import find_personal
from zhilu.tuning.data.preflight import Preflight, Rendered
from zhilu.tuning.data.read import Dataset, read_dataset
from zhilu.tuning.data.records import ERROR, HINT, WARNING, Example, Problem

__all__ = ["DataReport", "Piece", "Sample", "Spread", "check_data"]

_NEAR_ROWS = 20_000  # rows that are compared for near copies; exact ones are found in any number
_SAMPLES = 5


class Spread(BaseModel):
    """Of a number that every example has one of."""

    total: int
    least: int
    median: int
    p95: int
    most: int

    @classmethod
    def of(cls, numbers: Sequence[int]) -> Spread:
        ordered = sorted(numbers) or [0]
        at = [ordered[round(share * (len(ordered) - 1))] for share in (0.5, 0.95)]
        return cls(total=sum(ordered), least=ordered[0], median=at[0], p95=at[1], most=ordered[-1])


class Piece(BaseModel):
    text: str
    learned: bool


class Sample(BaseModel):
    """An example as the model sees it, cut where the loss begins and ends."""

    line: int
    pieces: list[Piece]
    tokens: int
    learned: int


class DataReport(BaseModel):
    """What ``check_data`` found.

    Attributes:
        ok: nothing stands in the way of training; warnings and hints may be there.
        rows: rows read; ``usable``: those of them that can be learned.
        turns, tokens, learned: per example; tokens only where a model was given.
        model, context: the model whose template and tokenizer were used, and how many tokens it holds.
    """

    file: str
    ok: bool
    format: str | None
    title: Text | None
    kind: str | None
    rows: int
    usable: int
    findings: list[Finding]
    languages: dict[str, int]
    turns: Spread
    characters: Spread
    model: str | None = None
    context: int | None = None
    tokens: Spread | None = None
    learned: Spread | None = None
    samples: list[Sample] = []


def check_data(
    path: Path,
    *,
    evaluation: Path | None = None,
    preflight: Preflight | None = None,
    mapping: Mapping[str, str] | None = None,
    max_len: int | None = None,
    progress: Callable[[float, T, str], None] = lambda share, stage, detail: None,
) -> DataReport:
    """Check a dataset file.

    Args:
        evaluation: a second file, which must hold nothing of the first.
        preflight: of the model that is to be trained; without it no tokens are counted and no mask is made.
        max_len: tokens of a training sequence, at most the model's context, which is the default.

    Raises:
        NotFoundError, InputError, TooLargeError, MissingComponentError: a file cannot be opened at all.
    """
    reading = T("Reading", "读取")
    data = read_dataset(path, mapping, lambda rows: progress(0.1, reading, f"{rows:,}"))
    problems = list(data.problems)
    progress(0.3, T("Looking for copies", "查找重复"), f"{len(data.examples):,}")
    problems += _copies(data.examples)
    problems += [_personal(example, kind, name, hidden) for example in data.examples
                 for kind, name, hidden in find_personal(example.words)]  # fmt: skip
    if evaluation is not None:
        problems += _leaks(data, read_dataset(evaluation, mapping))
    rendered: dict[int, list[Rendered]] = {}
    if preflight is not None:
        limit = min(max_len or preflight.context, preflight.context)
        rendered = _render(data.examples, preflight, limit, problems, progress)
    form = data.format
    broken = {problem.line for problem in problems if problem.severity == ERROR}
    usable = [example for example in data.examples if example.line not in broken]
    return DataReport(
        file=path.name,
        ok=bool(usable) and not broken,
        format=form.name if form else None,
        title=form.title if form else None,
        kind=form.kind if form else None,
        rows=data.rows,
        usable=len(usable),
        findings=group(problems),
        languages=dict(Counter(language_of(example.words) for example in data.examples)),
        turns=Spread.of([len(example.messages) or 1 for example in data.examples]),
        characters=Spread.of([len(example.words) for example in data.examples]),
        **(_of_tokens(preflight, rendered, usable) if preflight is not None else {}),
    )


def _copies(examples: Sequence[Example]) -> list[Problem]:
    """Rows that say the same, and rows that ask the same and answer differently."""
    problems = []
    words = [f"{example.prompt}\n{example.words}\n{example.label}" for example in examples]
    copies = exact_copies(words)
    for at, earlier in copies.items():
        said = T(f"the same as line {examples[earlier].line}", f"与第 {examples[earlier].line} 行相同")
        problems.append(Problem(examples[at].line, "duplicate", said, WARNING))
    asked = [(at, example) for at, example in enumerate(examples) if example.kind == "chat" and at not in copies]
    for at, earlier in exact_copies([example.prompt for _, example in asked]).items():
        said = T(f"asks what line {asked[earlier][1].line} asks, and answers differently",
                 f"与第 {asked[earlier][1].line} 行问题相同，回答不同")  # fmt: skip
        problems.append(Problem(asked[at][1].line, "contradiction", said, WARNING))
    if len(examples) <= _NEAR_ROWS:
        rest = [(at, example) for at, example in enumerate(examples) if at not in copies]
        for at, (earlier, likeness) in near_copies([words[i] for i, _ in rest]).items():
            line = rest[earlier][1].line
            said = T(f"{likeness:.0%} of line {line}", f"与第 {line} 行有 {likeness:.0%} 相同")
            problems.append(Problem(rest[at][1].line, "near_duplicate", said, WARNING))
    return problems


def _leaks(data: Dataset, held_out: Dataset) -> list[Problem]:
    """Rows of the evaluation file that are in training; the lines are the evaluation file's."""
    problems = [
        Problem(p.line, p.code, T(f"{held_out.path.name}: {p.message.en}", f"{held_out.path.name}：{p.message.zh}"), p.severity, p.fix)
        for p in held_out.problems
    ]  # fmt: skip
    trained = [example.prompt for example in data.examples]
    asked = [example.prompt for example in held_out.examples]
    exact = {at: -1 - earlier for at, earlier in exact_copies(asked, trained).items() if earlier < 0}
    near = near_copies(asked, trained) if max(len(trained), len(asked)) <= _NEAR_ROWS else {}
    for at in sorted({*exact, *near}):
        earlier, likeness = (exact[at], 1.0) if at in exact else near[at]
        line, here = data.examples[earlier].line, held_out.examples[at].line
        said = T(
            f"line {here} of {held_out.path.name} asks what line {line} of {data.path.name} teaches ({likeness:.0%} the same)",
            f"{held_out.path.name} 第 {here} 行问的正是 {data.path.name} 第 {line} 行所教的（相同 {likeness:.0%}）",
        )
        problems.append(Problem(line, "eval_leak", said))
    return problems


def _personal(example: Example, kind: str, name: T, hidden: str) -> Problem:
    said = T(f"{name.en}: {hidden}", f"{name.zh}：{hidden}")
    return Problem(example.line, f"personal_{kind}", said, HINT)


def _render(
    examples: Sequence[Example],
    preflight: Preflight,
    limit: int,
    problems: list[Problem],
    progress: Callable[[float, T, str], None],
) -> dict[int, list[Rendered]]:
    """Every example as the model sees it, by line; what cannot be is a problem."""
    rendered = {}
    for count, example in enumerate(examples):
        if count % 100 == 0:
            progress(0.4 + 0.6 * count / len(examples), T("Rendering", "渲染"), f"{count:,} / {len(examples):,}")
        try:
            found = preflight.render(example)
        except RowError as error:
            problems.append(Problem(example.line, error.code, error.message))
            continue
        rendered[example.line] = found
        longest = max(found, key=lambda one: len(one.ids))
        if len(longest.ids) > limit:
            lost = sum(longest.learned[limit:])
            said = T(f"{len(longest.ids):,} tokens, {len(longest.ids) - limit:,} more than fit; {lost:,} that carry loss would be cut",
                     f"{len(longest.ids):,} 个 token，超出 {len(longest.ids) - limit:,} 个；将有 {lost:,} 个计入损失的 token 被截掉")  # fmt: skip
            problems.append(Problem(example.line, "too_long", said, fix="zhilu data check FILE --max-len N"))
        if any(one.prompt_differs for one in found):
            said = T("the template asks for an answer with other words than it writes before a finished one: the model is "
                     "served behind a prompt that it was not trained behind",
                     "模板在请求回答时写出的内容与已完成回答之前的内容不同：服务时的提示词与训练时不一致")  # fmt: skip
            problems.append(Problem(example.line, "prompt_differs", said, WARNING))
    return rendered


def _of_tokens(
    preflight: Preflight, rendered: Mapping[int, list[Rendered]], usable: Sequence[Example]
) -> dict[str, Any]:
    kept = [one for found in rendered.values() for one in found]
    shown = [(example.line, one) for example in usable for one in rendered.get(example.line, ())][:_SAMPLES]
    return {
        "model": preflight.name,
        "context": preflight.context,
        "tokens": Spread.of([len(one.ids) for one in kept]),
        "learned": Spread.of([one.num_learned for one in kept]),
        "samples": [
            Sample(
                line=line,
                pieces=[Piece(text=text, learned=learned) for text, learned in one.pieces()],
                tokens=len(one.ids),
                learned=one.num_learned,
            )
            for line, one in shown
        ],
    }
