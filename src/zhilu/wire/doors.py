"""The first check of a request: is everything in it known and valid? ``capabilities`` is the second one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from zhilu.errors import InputError, UnsupportedError, nearest
from zhilu.messages import T
from zhilu.wire.constraints import Refusal
from zhilu.wire.requests import Request

__all__ = [
    "NotJsonError",
    "check_encoding",
    "check_media_type",
    "parse_json",
    "parse_request",
    "refuse_crowds",
    "refuse_many_values",
    "refuse_unkeepable",
]

R = TypeVar("R", bound=Request)


class NotJsonError(InputError):
    http_status = 415


def check_media_type(content_type: str | None) -> None:
    """NotJsonError for a type that is not JSON's: a browser's form can be sent across origins without asking."""
    media_type = (content_type or "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise NotJsonError(
            T(
                f"the Content-Type must be application/json, given {media_type!r}",
                f"Content-Type 必须是 application/json，给出的是 {media_type!r}",
            ),
            fix="-H 'Content-Type: application/json'",
        )


def check_encoding(encoding: str | None) -> None:
    """NotJsonError for a compressed body: a few bytes could be gigabytes, and no client of these APIs compresses unasked."""
    if (encoding or "identity").strip().lower() != "identity":
        raise NotJsonError(
            T(
                f"a body with Content-Encoding {encoding!r} is not read: send it uncompressed",
                f"不读取 Content-Encoding 为 {encoding!r} 的请求体：请不要压缩",
            ),
            fix="-H 'Content-Encoding: identity'",
        )


# What a body may hold: each value is read, checked and perhaps named, one by one, while every other client waits.
_MOST_FIELDS, _MOST_ITEMS, _MOST_LISTS, _MOST_VALUES = 1000, 10_000, 300_000, 2_000_000


def refuse_crowds(data: dict[str, Any]) -> None:
    """InputError for more fields, or more messages, texts or keys in one list or object, than any request has.

    Numbers are checked in no time: of token ids there may be more.
    """
    if len(data) > _MOST_FIELDS:
        raise InputError(T(f"the body has {len(data)} fields", f"请求体有 {len(data)} 个字段"), code="too_many_fields")
    waiting, num_seen = [(name, value) for name, value in data.items() if isinstance(value, (list, dict))], 0
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, list) and value and isinstance(value[0], (int, float)):
            continue
        num_seen += 1
        if len(value) > _MOST_ITEMS or num_seen > _MOST_LISTS:
            many, most = (len(value), _MOST_ITEMS) if len(value) > _MOST_ITEMS else (num_seen, _MOST_LISTS)
            raise InputError(
                T(
                    f"{name[:60]!r} has {many} items; at most {most} are taken",
                    f"{name[:60]!r} 有 {many} 项，最多 {most} 项",
                ),
                param=name[:60],
                code="too_many_items",
            )
        inner = value.values() if isinstance(value, dict) else value
        waiting.extend((name, v) for v in inner if isinstance(v, (list, dict)))


def refuse_many_values(body: bytes) -> None:
    """InputError for JSON of so many values that reading it would take seconds; counted by their commas."""
    if (many := body.count(b",")) > _MOST_VALUES:
        raise InputError(
            T(
                f"the body holds about {many} values; at most {_MOST_VALUES} are read",
                f"请求体含有约 {many} 个值，最多读取 {_MOST_VALUES} 个",
            ),
            code="too_many_items",
        )


_DEEPEST = 100  # objects and lists within one another: what goes deeper can be read, but not be written again


def refuse_unkeepable(body: bytes, data: Any) -> None:
    """InputError for what JSON may hold and no answer or file can: ``data`` is ``body`` as it was read."""
    if b"\\ud" in body.lower():  # an escaped half of a surrogate pair is no character
        try:
            json.dumps(data, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise InputError(T(f"the body is not JSON: {error}", f"请求体不是 JSON：{error}")) from None
    if body.count(b"[") + body.count(b"{") > _DEEPEST and _is_deep(data):
        raise InputError(
            T(f"the body is nested deeper than {_DEEPEST} levels", f"请求体的嵌套超过 {_DEEPEST} 层"), code="too_deep"
        )


def _is_deep(data: Any) -> bool:
    level = [data]
    for _ in range(_DEEPEST):
        inner = (v.values() if isinstance(v, dict) else v for v in level if isinstance(v, (dict, list)))
        level = [value for values in inner for value in values if isinstance(value, (dict, list))]
        if not level:
            return False
    return True


def parse_json(body: bytes) -> dict[str, Any]:
    """A request body as an object; InputError where it is not JSON or not an object."""
    if body.startswith(b"\x1f\x8b"):
        check_encoding("gzip")
    refuse_many_values(body)
    try:
        data = json.loads(body)
        if b"\\ud" in body.lower():  # an escaped half of a surrogate pair is no character, and no tokenizer takes it
            json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:  # also UnicodeDecodeError, and nesting without end
        raise InputError(T(f"the body is not JSON: {error}", f"请求体不是 JSON：{error}")) from None
    if not isinstance(data, dict):
        kind = type(data).__name__
        raise InputError(T(f"the body must be a JSON object, given {kind}", f"请求体必须是 JSON 对象，给出的是 {kind}"))
    refuse_crowds(data)
    return data


def parse_request(model: type[R], data: Mapping[str, Any]) -> R:
    """Check ``data`` against ``model``.

    Raises:
        UnsupportedError: a field is unknown; the message names it and the nearest known one.
        InputError: a value has the wrong type or is out of range; ``param`` is its dotted path.
    """
    try:
        return model.model_validate(dict(data))
    except ValidationError as failure:
        raise _as_input_error(model, failure) from None


_REASONS = {
    "missing": T("is required", "不能缺少"),
    "greater_than_equal": T("must be at least {ge}", "不能小于 {ge}"),
    "greater_than": T("must be greater than {gt}", "必须大于 {gt}"),
    "less_than_equal": T("must be at most {le}", "不能大于 {le}"),
    "less_than": T("must be less than {lt}", "必须小于 {lt}"),
    "finite_number": T("must be a finite number", "必须是有限的数"),
    "literal_error": T("must be one of {expected}", "只能是 {expected}"),
    "string_type": T("must be a string", "必须是字符串"),
    "int_type": T("must be an integer", "必须是整数"),
    "float_type": T("must be a number", "必须是数字"),
    "bool_type": T("must be true or false", "必须是 true 或 false"),
    "list_type": T("must be a list", "必须是列表"),
    "dict_type": T("must be an object", "必须是对象"),
    "model_type": T("must be an object", "必须是对象"),
    "none_required": T("must be null", "只能是 null"),
    "too_long": T("has more than {max_length} entries", "不能超过 {max_length} 项"),
    "too_short": T("has fewer than {min_length} entries", "不能少于 {min_length} 项"),
    "string_pattern_mismatch": T("must match {pattern}", "必须符合 {pattern}"),
}


def _as_input_error(model: type[BaseModel], failure: ValidationError) -> InputError:
    """The most specific of pydantic's complaints (a union reports one for each of its members), in both languages."""
    complaints = failure.errors(include_url=False)
    unknown = [c for c in complaints if c["type"] == "extra_forbidden"]
    if unknown:
        return _unknown_field(model, unknown[0]["loc"])
    worst = max(complaints, key=lambda c: (len(c["loc"]), c["type"] not in ("string_type", "none_required")))
    path = _path(worst["loc"], model)
    context = worst.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, Refusal):
        param = ".".join(filter(None, [path, cause.field]))
        return InputError(
            T(f"{param}: {cause.message.en}", f"{param}：{cause.message.zh}"), param=param, code="invalid_value"
        )
    reason = _REASONS.get(worst["type"], T.of(worst["msg"]))
    en, zh = (text.format(**context) if worst["type"] in _REASONS else text for text in reason)
    if worst["type"] == "missing":
        return InputError(T(f"{path} {en}", f"{path} {zh}"), param=path, code="missing")
    given = _short(worst["input"])
    if (
        worst["type"].endswith("_equal") or worst["type"] == "literal_error"
    ):  # clients of vLLM look for these names in the message
        given = f"{given} [{worst['type']}]"
    message = T(f"{path} {en}, given {given}", f"{path} {zh}，给出的是 {given}")
    return InputError(message, param=path, code=worst["type"])


def _unknown_field(model: type[BaseModel], loc: Sequence[int | str]) -> UnsupportedError:
    path = _path(loc, model)
    known = model.model_fields if len(loc) == 1 else {}
    meant = nearest(str(loc[-1]), known)
    return UnsupportedError(
        T(
            f"unknown parameter {path!r}" + (f"; did you mean {meant!r}?" if meant else ""),
            f"未知参数 {path!r}" + (f"；您是不是想用 {meant!r}？" if meant else ""),
        ),
        param=path,
    )


def _path(loc: Sequence[int | str], model: type[BaseModel]) -> str:
    """``("messages", 0, "content", "<list>", 1, "type")`` -> ``messages.0.content.1.type``: union members left out."""
    first, *rest = loc or ("",)
    inner = [str(p) for p in rest if isinstance(p, int) or (p.isidentifier() and p not in ("str", "int", "bool"))]
    return ".".join([str(first), *inner])


def _short(value: Any, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
