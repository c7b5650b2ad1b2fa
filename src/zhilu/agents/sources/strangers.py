"""What a stranger's document says of a tool (a server's list, an OpenAPI file), made fit to be offered to a model.

None of it is believed: a name cannot take over that of another tool, a schema that cannot be held is refused before a model hears
of it, and a description is cut before it fills the window.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from zhilu.errors import UpstreamError
from zhilu.messages import T
from zhilu.tools.check import problems_of
from zhilu.tools.schema import num_nodes

__all__ = ["clipped", "names_of", "parameters_of"]

_LONGEST_NAME = 64
_LONGEST_DESCRIPTION = 1500  # characters
_MOST_NODES = 4000  # of a schema, its references resolved


def names_of(prefix: str, theirs: Sequence[str]) -> list[str]:
    """Names as every provider takes them, the prefix in front. Two that become one get a mark made of what they were, so that a
    name stands for the same tool in every run, whatever the order."""
    plain = [f"{prefix}{re.sub(r'[^A-Za-z0-9_-]+', '_', name).strip('_') or 'tool'}" for name in theirs]
    short = Counter(name[:_LONGEST_NAME] for name in plain)
    return [
        name if name == name[:_LONGEST_NAME] and short[name] == 1 else f"{name[: _LONGEST_NAME - 7]}_{_mark(was)}"
        for name, was in zip(plain, theirs, strict=True)
    ]


def parameters_of(name: str, schema: Any) -> dict[str, Any]:
    """The schema of an object, as ``ToolFacts`` wants it.

    Raises:
        UpstreamError: it is no JSON schema, is not of an object, points outside itself, or is too large when written out.
    """
    from jsonschema import Draft202012Validator, validators
    from jsonschema.exceptions import SchemaError

    if not isinstance(schema, Mapping) or schema.get("type", "object") != "object":
        raise _no_schema(name, "it is not of an object")
    whole = {**schema, "type": "object", "properties": schema.get("properties") or {}}
    try:
        validators.validator_for(whole, default=Draft202012Validator).check_schema(whole)
        if num_nodes(whole, _MOST_NODES) > _MOST_NODES:
            raise _no_schema(name, "it is too large")
        problems_of(whole, dict.fromkeys(whole["properties"]))  # a reference that leads nowhere shows here
    except SchemaError as error:
        raise _no_schema(name, error.message) from error
    except UpstreamError:
        raise
    except (
        Exception
    ) as error:  # the library's own for what it cannot follow: unresolvable references, bad patterns, no end
        raise _no_schema(name, f"{type(error).__name__}: {error}") from error
    plain: dict[str, Any] = json.loads(json.dumps(whole))
    return plain


def clipped(text: str | None, otherwise: str, most: int = _LONGEST_DESCRIPTION) -> str:
    said = (text or "").strip() or otherwise
    return said if len(said) <= most else f"{said[: most - 1]}…"


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def _no_schema(name: str, reason: str) -> UpstreamError:
    reason = clipped(reason, "?", 200)
    return UpstreamError(
        T(
            f"The schema of the tool {name!r} cannot be used: {reason}.",
            f"工具 {name!r} 的参数 schema 无法使用：{reason}。",
        ),
        code="bad_tool_schema",
    )
