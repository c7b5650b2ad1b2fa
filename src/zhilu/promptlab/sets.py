"""Questions whose answers are known: ``prompts/sets/<name>.jsonl``, one a line, or a CSV file with the same columns.

``{"message": "Where is my parcel?", "expected": "delivery"}``: every key but ``id``, ``expected`` and ``grader`` is a variable.
``expected`` is what the grader needs: a text, several of them, a pattern, an object, a schema, or what a judge should look for.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zhilu.errors import ConflictError, InputError, NotFoundError, nearest
from zhilu.home import atomic_write
from zhilu.messages import T
from zhilu.promptlab.library import STARTERS

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["Grader", "ScoredItem", "ScoredSet", "SetSummary", "Sets", "parse_items", "set_fingerprint", "to_jsonl"]

Grader = Literal["exact", "contains", "regex", "json", "schema", "judge"]
MOST_ITEMS = 5000
_KEYS = ("id", "expected", "grader")
_SHOWN = 8  # wrong lines that are named


class ScoredItem(BaseModel):
    model_config = ConfigDict(extra="forbid")
    id: str = Field(min_length=1, max_length=100)
    vars: dict[str, str] = Field(max_length=40)
    expected: Any
    grader: Grader = "exact"


class SetSummary(BaseModel):
    name: str
    items: int
    variables: list[str]
    graders: list[Grader]
    shipped: bool


class ScoredSet(SetSummary):
    questions: list[ScoredItem]
    sha256: str


class Sets:
    def __init__(self, context: Context) -> None:
        self.folder = context.home.path / "prompts" / "sets"

    def list(self) -> Summaries:
        """Your own first; by name."""
        found = [
            SetSummary.model_validate(self.get(name).model_dump(exclude={"questions", "sha256"}))
            for name in self._paths()
        ]
        return sorted(found, key=lambda one: (one.shipped, one.name))

    def get(self, name: str) -> ScoredSet:
        """
        Raises:
            NotFoundError: no such set. InputError: its file is none.
        """
        paths = self._paths()
        if name not in paths:
            close = nearest(name, paths)
            hint = T(f" Did you mean {close!r}?", f"是不是 {close!r}？") if close else T("", "")
            raise NotFoundError(
                T(f"There is no scored set {name!r}.{hint.en}", f"没有名为 {name!r} 的评分集。{hint.zh}"),
                param="set",
                fix="zhilu prompt sets",
            )
        items = parse_items(paths[name].read_text(encoding="utf-8-sig"), paths[name].name)
        return ScoredSet(
            name=name, items=len(items), questions=items, sha256=set_fingerprint(items),
            variables=list(dict.fromkeys(key for item in items for key in item.vars)),
            graders=list(dict.fromkeys(item.grader for item in items)), shipped=STARTERS in paths[name].parents,
        )  # fmt: skip

    def save(self, name: str, items: Items) -> ScoredSet:
        """Keep these questions under that name, in place of what was there; one that came with Zhilu is covered, not changed.

        Raises:
            InputError: two have the same id, or there is none.
        """
        ids = [item.id for item in items]
        if not items or len(set(ids)) < len(ids):
            raise InputError(
                T(
                    "A set needs at least one question, and each its own id.",
                    "评分集至少要有一题，而且每题的 id 不能重复。",
                ),
                param="items",
            )
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic_write(self.folder / f"{name}.jsonl", to_jsonl(items))
        return self.get(name)

    def delete(self, name: str) -> None:
        """
        Raises:
            NotFoundError: no such set. ConflictError: it came with Zhilu.
        """
        if self.get(name).shipped:
            raise ConflictError(
                T(f"{name!r} came with Zhilu and stays.", f"{name!r} 随程序附带，不能删除。"), fix="zhilu prompt sets"
            )
        (self.folder / f"{name}.jsonl").unlink()

    def _paths(self) -> dict[str, Path]:
        return {
            path.stem: path
            for place in (STARTERS / "sets", self.folder)
            for path in sorted(place.glob("*.jsonl"))
            if not path.name.startswith(".")
        }


def parse_items(text: str, name: str) -> list[ScoredItem]:
    """The questions of a JSONL file, or of a CSV file if its name says so.

    Raises:
        InputError: names every line that is wrong.
    """
    found: list[ScoredItem] = []
    wrong: list[str] = []
    for line, raw in _rows(text, is_csv=name.lower().endswith(".csv")):
        item = _read_item(raw, len(found) + 1)
        if isinstance(item, ScoredItem):
            found.append(item)
        else:
            wrong.append(f"{line}: {item}")
    if len(found) > MOST_ITEMS:
        wrong.append(f"{len(found)} > {MOST_ITEMS}")
    if wrong or not found:
        shown = " | ".join(wrong[:_SHOWN]) or "-"
        raise InputError(
            T(
                f"{name!r} is no scored set ({len(wrong)} bad lines, {len(found)} good): {shown}",
                f"{name!r} 不是有效的评分集（{len(wrong)} 行有误，{len(found)} 行有效）：{shown}",
            ),
            param="file",
            fix='printf \'{"message": "…", "expected": "…"}\\n\' > set.jsonl',
        )
    return found


def to_jsonl(items: Items) -> str:
    """The file of a set, one question a line; ``parse_items`` reads the same questions back."""
    lines = []
    for item in items:
        grader = {} if item.grader == _usual(item.expected) else {"grader": item.grader}
        flat = {"id": item.id, **item.vars, "expected": item.expected, **grader}
        lines.append(json.dumps(flat, ensure_ascii=False))
    return "\n".join(lines) + "\n"


def set_fingerprint(items: Items) -> str:
    """SHA-256 of the questions: two runs are compared only where it is the same."""
    return hashlib.sha256(to_jsonl(items).encode()).hexdigest()


def _rows(text: str, *, is_csv: bool) -> list[tuple[int, Any]]:
    if is_csv:
        reader = csv.DictReader(io.StringIO(text, newline=""))
        try:
            return [(reader.line_num, dict(row)) for row in reader]
        except csv.Error as error:
            return [(reader.line_num, str(error))]
    rows: list[tuple[int, Any]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                rows.append((number, json.loads(line)))
            except (ValueError, RecursionError) as error:
                rows.append((number, str(error)))
    return rows


def _read_item(raw: Any, number: int) -> ScoredItem | str:
    """The question, or what is wrong with it."""
    try:
        return _item(raw, number)
    except ValidationError as error:
        return "; ".join(f"{'.'.join(map(str, e['loc']))} {e['msg']}" for e in error.errors())
    except (ValueError, RecursionError) as error:
        return str(error)


def _item(raw: Any, number: int) -> ScoredItem:
    """
    Raises:
        ValueError: what is wrong with it.
    """
    if isinstance(raw, str):
        raise ValueError(raw)
    if not isinstance(raw, dict) or "expected" not in raw:
        raise ValueError("expected …?")
    expected = raw["expected"]
    grader = raw.get("grader") or _usual(expected)
    if grader not in get_args(Grader):
        raise ValueError(f"grader {grader!r}: {', '.join(get_args(Grader))}")
    if isinstance(expected, str) and (
        grader in ("json", "schema") or (grader == "contains" and expected.startswith("["))
    ):
        expected = json.loads(expected)
    if (grader in ("json", "schema")) != isinstance(expected, dict) or expected in ("", [], None):
        raise ValueError(f"expected {expected!r} ({grader})")
    values = {key: value for key, value in raw.items() if key not in _KEYS}
    bad = [
        str(key)
        for key, value in values.items()
        if not isinstance(key, str) or not isinstance(value, (str, int, float))
    ]
    if bad:
        raise ValueError(", ".join(bad))
    return ScoredItem(
        id=str(raw.get("id") or number), vars={key: str(value) for key, value in values.items()}, expected=expected,
        grader=grader,
    )  # fmt: skip


def _usual(expected: Any) -> Grader:
    """The grader where a line names none."""
    return "json" if isinstance(expected, dict) else "contains" if isinstance(expected, list) else "exact"


# Named here because ``Sets.list`` hides the builtin inside the class.
Summaries = list[SetSummary]
Items = list[ScoredItem]
