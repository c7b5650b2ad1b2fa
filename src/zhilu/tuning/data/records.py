"""What the parts of the data check hand to each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from zhilu.messages import T

__all__ = ["ERROR", "HINT", "WARNING", "Example", "Kind", "Problem", "Row", "Severity"]

Kind = Literal["chat", "preference", "unpaired", "text"]
Severity = Literal["error", "warning", "hint"]
ERROR: Severity = "error"  # training would go wrong, or cannot begin
WARNING: Severity = "warning"  # training goes on, probably not as meant
HINT: Severity = "hint"  # worth a look before others see the model


@dataclass(frozen=True)
class Problem:
    """Something found at one line; ``code`` is a stable name, the same for all of its kind. Lines count from 1."""

    line: int
    code: str
    message: T
    severity: Severity = ERROR
    fix: str | None = None


@dataclass(frozen=True)
class Row:
    """One row of a file, and the line on which it begins."""

    line: int
    data: dict[str, Any]


@dataclass(frozen=True)
class Example:
    """A row in one shape, whatever its format was.

    Attributes:
        kind: ``chat`` (supervised: ``messages`` end with what is to be learned), ``preference`` (``messages`` are the prompt,
            ``chosen`` and ``rejected`` its two answers), ``unpaired`` (an answer, and in ``label`` whether it is good),
            ``text`` (plain text in ``text``).
        messages: in OpenAI's shape; contents are strings, ``tool_calls`` as on the wire.
        unlearned: indexes of assistant messages that carry no loss (OpenAI's ``weight: 0``).
        tools: function schemas that are offered.
    """

    line: int
    kind: Kind
    messages: tuple[dict[str, Any], ...] = ()
    chosen: tuple[dict[str, Any], ...] = ()
    rejected: tuple[dict[str, Any], ...] = ()
    label: bool | None = None
    text: str = ""
    tools: tuple[dict[str, Any], ...] = ()
    unlearned: frozenset[int] = field(default_factory=frozenset)
    id: str | None = None

    @property
    def prompt(self) -> str:
        """The words that come before what is to be learned: two rows with equal ones ask the same."""
        last = self.messages if self.kind == "preference" else self.messages[:-1]
        return self.text if self.kind == "text" else "\n".join(f"{m['role']}: {_words(m)}" for m in last)

    @property
    def words(self) -> str:
        """Everything a person could have written in this row."""
        turns = (*self.messages, *self.chosen, *self.rejected)
        return self.text or "\n".join(_words(message) for message in turns)


def _words(message: dict[str, Any]) -> str:
    calls = "".join(f"\n{c['function']['name']}({c['function']['arguments']})" for c in message.get("tool_calls") or ())
    return f"{message.get('content') or ''}{calls}"
