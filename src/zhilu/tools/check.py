"""A call's arguments against the tool's JSON schema, with words that a model can mend them by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from zhilu.errors import InputError, nearest
from zhilu.messages import T

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

    from zhilu.tools.base import ToolFacts

__all__ = ["checked", "problems_of"]

_MOST = 5  # problems told at once


def checked(facts: ToolFacts, arguments: Any) -> dict[str, Any]:
    """The arguments as they are.

    Raises:
        InputError: they do not fit the schema; says every problem and what the tool takes.
    """
    problems = problems_of(facts.parameters, arguments)
    if problems:
        said = "; ".join(problems[:_MOST])
        raise InputError(
            T(f"The arguments of {facts.name} do not fit: {said}.", f"{facts.name} 的参数不符合要求：{said}。"),
            param="arguments",
            code="bad_arguments",
        )
    return dict(arguments)


def problems_of(schema: Mapping[str, Any], arguments: Any) -> list[str]:
    """One sentence a problem, none where the arguments fit."""
    if not isinstance(arguments, Mapping):
        return [f"they must be a JSON object, not {_shown(arguments)}"]
    known = schema.get("properties") or {}
    found = []
    # A misspelt name is a problem even where the schema lets strangers in: the value would be lost in silence.
    if known and schema.get("additionalProperties", False) is False:
        for name in arguments:
            if name not in known:
                close = nearest(name, known)
                found.append(
                    f"there is no {name!r}" + (f", did you mean {close!r}?" if close else f" (only {_names(known)})")
                )
    for error in sorted(_validator(schema).iter_errors(dict(arguments)), key=lambda e: list(map(str, e.absolute_path))):
        if error.validator == "additionalProperties":
            continue
        place = ".".join(str(step) for step in error.absolute_path)
        found.append(f"{place}: {_brief(error.message)}" if place else _brief(error.message))
    return found


def _validator(schema: Mapping[str, Any]) -> Validator:
    return _validator_of(json.dumps(schema, sort_keys=True))


@lru_cache(maxsize=256)
def _validator_of(schema: str) -> Validator:
    from jsonschema import Draft202012Validator, validators
    from referencing import Registry

    read = json.loads(schema)
    kind = validators.validator_for(read, default=Draft202012Validator)
    return kind(read, registry=Registry())  # a schema is a stranger's: it makes nobody fetch anything


def _brief(message: str) -> str:
    return message if len(message) < 200 else f"{message[:120]} … {message[-70:]}"


def _shown(value: Any) -> str:
    return _brief(json.dumps(value, ensure_ascii=False, default=str))


def _names(known: Mapping[str, Any]) -> str:
    return ", ".join(repr(name) for name in known)
