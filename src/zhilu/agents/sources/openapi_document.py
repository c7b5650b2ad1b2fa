"""An OpenAPI 3 document as operations: where each goes, what it takes, and how its arguments become a request.

Written for a stranger's document: references are followed within it alone, and a path, a schema or a value that would lead a
request elsewhere is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from zhilu.errors import InputError
from zhilu.messages import T

__all__ = ["Operation", "Parameter", "Request", "operations_of", "read_document"]

_METHODS = ("get", "put", "post", "delete", "patch")
_NOT_A_PARAMETER = frozenset({"accept", "content-type", "authorization", "host", "cookie", "content-length"})
_DEEPEST = 60  # of objects in a document
_COMPONENTS = "#/components/schemas/"


@dataclass(frozen=True)
class Parameter:
    """``key``: the argument's name for the model; ``name`` and ``place`` (path, query, header): where it goes."""

    key: str
    name: str
    place: str
    explode: bool
    is_json: bool


@dataclass(frozen=True)
class Request:
    path: str  # with the query
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Operation:
    """``name``: the operationId, or the method and the path. ``schema``: of all arguments together; the JSON body is ``body``."""

    name: str
    method: str
    path: str
    tags: tuple[str, ...]
    description: str
    parameters: tuple[Parameter, ...]
    schema: dict[str, Any]

    def request(self, arguments: Mapping[str, Any]) -> Request:
        """
        Raises:
            InputError: a value of the path is empty, or would name another path.
        """
        path, query, headers = self.path, [], {}
        for parameter in self.parameters:
            if arguments.get(parameter.key) is None:
                continue
            value = arguments[parameter.key]
            if parameter.place == "path":
                path = path.replace(f"{{{parameter.name}}}", quote(_segment(parameter.key, value), safe=""))
            elif parameter.place == "header":
                headers[parameter.name] = _flat(value)
            else:
                query += _pairs(parameter, value)
        return Request(f"{path}?{urlencode(query)}" if query else path, headers, arguments.get("body"))


def read_document(content: bytes, whence: str) -> dict[str, Any]:
    """JSON or YAML, of OpenAPI 3.

    Raises:
        InputError: it is neither, or says that it is of another version.
    """
    try:
        text = content.decode("utf-8-sig")
        document = json.loads(text) if text.lstrip().startswith("{") else _yaml(text)
        json.dumps(document, ensure_ascii=False).encode()  # half a surrogate could be sent to no model
    except (ValueError, RecursionError) as error:
        raise _unfit(whence, f"it is neither JSON nor YAML ({error})", "它既不是 JSON 也不是 YAML") from error
    version = str(document.get("openapi", "")) if isinstance(document, dict) else ""
    if not version.startswith("3."):
        raise _unfit(whence, "it is not of OpenAPI 3", "它不是 OpenAPI 3")
    return document


def operations_of(document: Mapping[str, Any], whence: str) -> list[Operation]:
    """Every operation that takes its body, if it must have one, as JSON.

    Raises:
        InputError: the document does not keep the form.
    """
    try:
        return list(_operations(document))
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise _unfit(whence, f"it does not keep the form ({error!r})", "它的结构不符合规范") from error


def _operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    for path, item in (document.get("paths") or {}).items():
        item = _at(document, item)
        for method in _METHODS:
            if method not in item:
                continue
            told = item[method]
            body = _at(document, told.get("requestBody") or {})
            kinds = {kind.partition(";")[0].strip(): media for kind, media in (body.get("content") or {}).items()}
            taken = next((media for kind, media in kinds.items() if kind.endswith(("/json", "+json"))), None)
            if taken is None and body.get("required"):
                continue  # a form or a file
            if not path.startswith("/") or path.startswith("//") or any(mark in path for mark in "?#\\"):
                raise ValueError(f"{path!r} is no path")
            listed = [_at(document, p) for p in [*(item.get("parameters") or ()), *(told.get("parameters") or ())]]
            parameters, schema = _arguments(document, listed)
            if taken is not None:
                schema["properties"]["body"] = _schema(document, taken.get("schema") or {})
                schema["required"] += ["body"] if body.get("required") else []
            yield Operation(
                str(told.get("operationId") or f"{method} {path}"),
                method.upper(),
                path,
                tuple(map(str, told.get("tags") or ())),
                "\n".join(str(told[key]) for key in ("summary", "description") if told.get(key)) or f"{method} {path}",
                tuple(parameters),
                _with_components(document, schema),
            )


def _arguments(document: Mapping[str, Any], listed: list[Any]) -> tuple[list[Parameter], dict[str, Any]]:
    """Parameters of the path come first and an operation's own after: the last of one name and place counts."""
    parameters: dict[tuple[str, str], tuple[Parameter, dict[str, Any], bool]] = {}
    taken = {"body"}
    for told in listed:
        name, place = str(told["name"]), str(told["in"])
        if place not in ("path", "query", "header") or (place == "header" and name.lower() in _NOT_A_PARAMETER):
            continue
        before = parameters.get((name, place))
        key = before[0].key if before else name if name not in taken else f"{place}_{name}"
        taken.add(key)
        media = next(iter((told.get("content") or {}).values()), None)
        schema = _schema(document, (media or told).get("schema") or {})
        if told.get("description") and isinstance(schema, dict):
            schema = {**schema, "description": str(told["description"])}
        parameter = Parameter(key, name, place, told.get("explode") is not False, media is not None)
        parameters[name, place] = (parameter, schema, place == "path" or told.get("required") is True)
    whole = {
        "type": "object",
        "properties": {p.key: schema for p, schema, _ in parameters.values()},
        "required": [p.key for p, _, is_needed in parameters.values() if is_needed],
        "additionalProperties": False,
    }
    return [p for p, _, _ in parameters.values()], whole


def _at(document: Mapping[str, Any], node: Any) -> Any:
    """What a reference into the document stands for; a chain of them has to end."""
    for _ in range(10):
        if not (isinstance(node, Mapping) and isinstance(ref := node.get("$ref"), str)):
            return node
        node = document
        for step in ref.removeprefix("#/").split("/"):
            node = node[step.replace("~1", "/").replace("~0", "~")]
    raise ValueError(f"the reference {ref!r} does not end")


def _schema(document: Mapping[str, Any], schema: Any, depth: int = 0) -> Any:
    """As JSON Schema of today: OpenAPI 3.0 has ``nullable`` and limits that are exclusive by a flag."""
    if depth > _DEEPEST:
        raise ValueError("a schema is too deep")
    if isinstance(schema, list):
        return [_schema(document, one, depth + 1) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    new = {key: _schema(document, value, depth + 1) for key, value in schema.items()}
    if isinstance(ref := new.get("$ref"), str) and ref.startswith(_COMPONENTS):
        new["$ref"] = f"#/$defs/{ref.removeprefix(_COMPONENTS)}"
    if str(document.get("openapi")).startswith("3.0"):
        for limit, flag in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
            if isinstance(new.get(flag), bool) and new.pop(flag) and limit in new:
                new[flag] = new.pop(limit)
        if new.get("nullable") is True:
            del new["nullable"]
            new = {"anyOf": [new, {"type": "null"}]}
    return new


def _with_components(document: Mapping[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """With the components that it leads to, and no others, as ``$defs``."""
    components = (document.get("components") or {}).get("schemas") or {}
    needed: dict[str, Any] = {}
    left = [*_refs(schema)]
    while left:
        name = left.pop()
        if name not in needed:
            needed[name] = _schema(document, components[name])
            left += _refs(needed[name])
    return {**schema, "$defs": needed} if needed else schema


def _refs(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for one in node:
            yield from _refs(one)
    elif isinstance(node, Mapping):
        ref = node.get("$ref")
        if isinstance(ref, str) and ref.startswith("#/$defs/"):
            yield ref.removeprefix("#/$defs/").partition("/")[0].replace("~1", "/").replace("~0", "~")
        for one in node.values():
            yield from _refs(one)


def _segment(key: str, value: Any) -> str:
    text = _flat(value)
    if not text or {"", ".", ".."} & set(text.replace("\\", "/").split("/")):  # servers decode %2F and then walk
        raise InputError(T(f"{key}: {text!r} cannot stand in a path.", f"{key}：{text!r} 不能放在路径中。"), param=key)
    return text


def _pairs(parameter: Parameter, value: Any) -> list[tuple[str, str]]:
    if parameter.is_json:
        return [(parameter.name, json.dumps(value, ensure_ascii=False))]
    if isinstance(value, list) and parameter.explode:
        return [(parameter.name, _flat(one)) for one in value]
    if isinstance(value, Mapping):
        return [(f"{parameter.name}[{key}]", _flat(one)) for key, one in value.items()]
    return [(parameter.name, _flat(value))]


def _flat(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(_flat, value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping) else str(value)


def _yaml(text: str) -> Any:
    """Aliases are refused: a page of them can stand for millions of nodes."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        if "*" in text and any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=loader)):
            raise ValueError("YAML with aliases is not read")
        return json.loads(json.dumps(yaml.load(text, Loader=loader), default=str))
    except (yaml.YAMLError, TypeError) as error:
        raise ValueError(str(error)) from error


def _unfit(whence: str, en: str, zh: str) -> InputError:
    return InputError(
        T(f"The document {whence} cannot be used: {en[:300]}.", f"无法使用文档 {whence}：{zh}。"), param="tools"
    )
