"""Is an answer right? Each grader is a rule that one can read; none of them asks a model (``judging`` does).

``exact``      the same text, but for case, width, white space around it and marks at its end
``contains``   the text (or one of several) stands in it
``regex``      the pattern is found in it
``json``       it holds a JSON object with at least these keys and values
``schema``     it holds JSON that is valid by this JSON Schema
"""

from __future__ import annotations

import json
import subprocess
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any

from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.promptlab.sets import ScoredItem
from zhilu.prompts import read_judgement

__all__ = ["find_json", "grade", "grade_all"]

_ENDS = " \t\n\r.。!！;；,，:：\"'“”‘’`*"
_PATTERN_SECONDS = 10
# Of all answers at once, in a process of its own: a pattern that backtracks for ever cannot be stopped inside ours.
_PATTERNS = (
    "import json,re,sys\n"
    "print(json.dumps([bool(re.search(pattern, text, re.MULTILINE)) for pattern, text in json.load(sys.stdin)]))"
)
_NOTHING = object()


def grade_all(items: Sequence[ScoredItem], answers: Sequence[str], judged: Sequence[str | None]) -> list[bool | None]:
    """Right or wrong for each answer; None where a judge has not said yes or no.

    Args:
        judged: what the judge said of each, where the grader is ``judge``.

    Raises:
        InputError: a pattern or a schema is none, or a pattern takes too long.
    """
    asked = [place for place, item in enumerate(items) if item.grader == "regex"]
    found = dict(zip(asked, _search([(str(items[p].expected), answers[p]) for p in asked]), strict=True))
    return [
        found[place]
        if place in found
        else (read_judgement(said or "") if item.grader == "judge" else grade(item, answer))
        for place, (item, answer, said) in enumerate(zip(items, answers, judged, strict=True))
    ]


def grade(item: ScoredItem, answer: str) -> bool:
    """One answer, by any grader but ``regex`` and ``judge``.

    Raises:
        InputError: the schema is none.
    """
    match item.grader:
        case "exact":
            return _plain(answer) == _plain(str(item.expected))
        case "contains":
            wanted = item.expected if isinstance(item.expected, list) else [item.expected]
            return any(_plain(str(one)) in _folded(answer) for one in wanted)
        case "json":
            return _holds(find_json(answer), item.expected)
        case "schema":
            return _is_valid(find_json(answer), item)
    raise AssertionError(item.grader)


def find_json(answer: str) -> Any:
    """The first JSON object or list in an answer, in a fence or among words; a value equal to nothing where there is none."""
    decoder = json.JSONDecoder()
    tried = 0
    for place, letter in enumerate(answer):
        if letter in "{[" and tried < 50:
            tried += 1
            try:
                return decoder.raw_decode(answer, place)[0]
            except (ValueError, RecursionError):
                continue
    return _NOTHING


def _search(pairs: Sequence[tuple[str, str]]) -> list[bool]:
    if not pairs:
        return []
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _PATTERNS], input=json.dumps(list(pairs)), capture_output=True, text=True,
            timeout=_PATTERN_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise InputError(
            T(
                f"A pattern of this set takes longer than {_PATTERN_SECONDS} s.",
                f"这个评分集里有一个正则表达式超过 {_PATTERN_SECONDS} 秒还没有结果。",
            ),
            param="expected",
            fix="zhilu prompt sets",
        ) from error
    if done.returncode:
        said = done.stderr.strip().rpartition("\n")[2]
        raise InputError(
            T(f"A pattern of this set is none: {said}", f"这个评分集里有一个正则表达式无效：{said}"),
            param="expected",
            fix="zhilu prompt sets",
        )
    return [bool(one) for one in json.loads(done.stdout)]


def _is_valid(value: Any, item: ScoredItem) -> bool:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(item.expected)
    except SchemaError as error:
        raise InputError(
            T(
                f"{item.id!r}: what is expected is no JSON Schema: {error.message}",
                f"{item.id!r}：expected 不是有效的 JSON Schema：{error.message}",
            ),
            param="expected",
            fix="zhilu prompt sets",
        ) from error
    # Without a registry of others' documents: a schema that names a URL is not fetched.
    return value is not _NOTHING and Draft202012Validator(item.expected).is_valid(value)


def _holds(given: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return isinstance(given, dict) and all(
            key in given and _holds(given[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(given, list)
            and len(given) == len(wanted)
            and all(_holds(one, other) for one, other in zip(given, wanted, strict=True))
        )
    if isinstance(wanted, str):
        return isinstance(given, str) and _plain(given) == _plain(wanted)
    if isinstance(wanted, bool) or isinstance(given, bool):
        return given is wanted
    return given == wanted


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _plain(text: str) -> str:
    return _folded(text).strip(_ENDS)
