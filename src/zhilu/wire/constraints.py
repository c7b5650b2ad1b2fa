"""What an answer must look like: ``response_format``, vLLM's ``structured_outputs`` and the older ``guided_…`` fields.

Only the shape of the wish is checked here, for every engine alike. Whether a schema can be honoured is for the engine to say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from zhilu.messages import T

__all__ = ["Constraint", "Refusal", "read_guided", "read_response_format"]


class Refusal(ValueError):
    """Carries a field name and a bilingual message through pydantic's validators."""

    def __init__(self, field: str, message: T) -> None:
        self.field, self.message = field, message
        super().__init__(message.en)


@dataclass(frozen=True)
class Constraint:
    """One wish, whichever field it came in.

    Attributes:
        kind: of ``value``: a JSON schema, a regular expression, a list of texts, a grammar (EBNF or Lark).
        field: where it stood, for error messages.
        compact: JSON without any white space.
        whitespace: a regular expression for the white space within JSON; ``None``: the engine's choice.
    """

    kind: Literal["json", "regex", "choice", "grammar"]
    value: Any
    field: str
    compact: bool = False
    whitespace: str | None = None


def read_response_format(given: Mapping[str, Any] | None) -> Constraint | None:
    """``{"type": "text" | "json_object"}`` or ``{"type": "json_schema", "json_schema": {"name": …, "schema": {…}}}``."""
    if given is None:
        return None
    field = "response_format"
    kind = given.get("type")
    if kind not in ("text", "json_object", "json_schema"):
        raise Refusal(
            f"{field}.type",
            T(
                f"must be 'text', 'json_object' or 'json_schema', given {kind!r}",
                f"只能是 'text'、'json_object' 或 'json_schema'，给出的是 {kind!r}",
            ),
        )
    _no_others(field, given, {"type", "json_schema"} if kind == "json_schema" else {"type"})
    if kind == "text":
        return None
    if kind == "json_object":
        return Constraint("json", {"type": "object"}, field)
    wrapper = given.get("json_schema")
    if not isinstance(wrapper, Mapping):
        raise Refusal(
            f"{field}.json_schema", T("must be provided with type 'json_schema'", "在 type 为 'json_schema' 时不能缺少")
        )
    _no_others(f"{field}.json_schema", wrapper, {"name", "description", "schema", "strict"})
    if wrapper.get("schema") is None:
        raise Refusal(f"{field}.json_schema.schema", T("is required", "不能缺少"))
    return Constraint("json", _schema(f"{field}.json_schema.schema", wrapper["schema"]), f"{field}.json_schema.schema")


_OUTPUT_KEYS = {
    *("json", "regex", "choice", "grammar", "json_object"),
    *("disable_any_whitespace", "whitespace_pattern", "disable_additional_properties", "structural_tag"),
    *("disable_fallback", "backend"),
}


def read_guided(structured: Mapping[str, Any] | None, older: Mapping[str, Any]) -> Constraint | None:
    """The constraint of ``structured_outputs``, or of the older fields ``guided_json``, ``guided_regex`` and so on."""
    wishes: list[tuple[str, str, Any]] = []
    compact, whitespace = False, older.get("guided_whitespace_pattern")
    if structured is not None:
        _no_others("structured_outputs", structured, _OUTPUT_KEYS)
        for key in ("disable_additional_properties", "structural_tag"):
            if structured.get(key):
                raise Refusal(f"structured_outputs.{key}", T("is not supported", "暂不支持"))
        compact = _typed("structured_outputs.disable_any_whitespace", structured, bool) or False
        whitespace = _typed("structured_outputs.whitespace_pattern", structured, str) or whitespace
        wishes += _wishes("structured_outputs.", structured)
    wishes += _wishes("guided_", {key.removeprefix("guided_"): value for key, value in older.items()})
    if not wishes:
        return None
    if len(wishes) > 1:
        names = ", ".join(field for field, _, _ in wishes)
        raise Refusal(
            wishes[1][0],
            T(f"only one kind of constraint can be used, given {names}", f"只能使用一种约束，给出了 {names}"),
        )
    field, kind, value = wishes[0]
    return Constraint(kind, value, field, compact, whitespace)  # type: ignore[arg-type]


def _wishes(prefix: str, given: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    found: list[tuple[str, str, Any]] = []
    for key in ("json", "json_object", "regex", "choice", "grammar"):
        value, field = given.get(key), prefix + key
        if value is None or value is False:
            continue
        if key == "json":
            found.append((field, key, _schema(field, value)))
        elif key == "json_object":
            if value is not True:
                raise Refusal(field, T("must be true or false", "必须是 true 或 false"))
            found.append((field, "json", {"type": "object"}))
        elif key == "choice":
            if not (isinstance(value, list) and value and all(isinstance(text, str) and text for text in value)):
                raise Refusal(field, T("must be a list of texts that are not empty", "必须是非空字符串的列表"))
            found.append((field, key, value))
        elif not isinstance(value, str) or not value:
            raise Refusal(field, T(f"must be a text, given {value!r}", f"必须是字符串，给出的是 {value!r}"))
        else:
            found.append((field, key, value))
    return found


def _schema(field: str, value: Any) -> Any:
    """A schema as an object (or true/false); text holding one is accepted, as vLLM does."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise Refusal(field, T(f"is text that is no JSON: {error}", f"是文本但不是 JSON：{error}")) from None
    if not isinstance(value, dict | bool):
        kind = type(value).__name__
        raise Refusal(field, T(f"must be a JSON schema, given {kind}", f"必须是 JSON Schema，给出的是 {kind}"))
    return value


def _typed(field: str, given: Mapping[str, Any], kind: type) -> Any:
    value = given.get(field.rpartition(".")[2])
    if value is not None and not isinstance(value, kind):
        name = "true or false" if kind is bool else "a text"
        zh = "true 或 false" if kind is bool else "字符串"
        raise Refusal(field, T(f"must be {name}, given {value!r}", f"必须是{zh}，给出的是 {value!r}"))
    return value


def _no_others(field: str, given: Mapping[str, Any], known: set[str]) -> None:
    from zhilu.errors import nearest

    strange = next((key for key in given if key not in known), None)
    if strange is not None:
        meant = nearest(str(strange), known)
        raise Refusal(
            f"{field}.{strange}",
            T(
                "is not known" + (f"; did you mean {meant!r}?" if meant else ""),
                "是未知的字段" + (f"；您是不是想用 {meant!r}？" if meant else ""),
            ),
        )
