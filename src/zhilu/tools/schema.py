"""A tool's schema as a grammar can hold it: references resolved, and only what says the shape.

A grammar narrows what a model can write; ``check.checked`` then holds the whole schema. So what a grammar does not know
(``format``, ``minimum``, any but a plain ``pattern``) may be left out here, and nothing is lost but a chance to be right at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["LATER", "WRITTEN", "inlined", "num_nodes", "shape_of"]

LATER = "x-later"  # on a parameter with a default that only a further call needs, such as where to read on
WRITTEN = "x-written"  # on a text: the pattern that a model is held to, narrower than what the tool takes
_LONGEST_PATTERN = 300
_DEEPEST = 6  # of references within references: a tree of trees has to end somewhere
_KEPT = ("type", "description", "enum", "const", "minItems", "maxItems", "minLength", "maxLength")


def inlined(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The same schema without ``$ref`` into its own ``$defs``, so that it can stand anywhere in another one."""
    read = _follow(schema, schema, 0)
    return read if isinstance(read, dict) else {}


def _follow(node: Any, root: Mapping[str, Any], depth: int) -> Any:
    if isinstance(node, list):
        return [_follow(value, root, depth) for value in node]
    if not isinstance(node, Mapping):
        return node
    ref = node.get("$ref")
    if isinstance(ref, str):
        target = _at(root, ref) if depth < _DEEPEST else None
        beside = {key: value for key, value in node.items() if key != "$ref"}
        return {**(_follow(target, root, depth + 1) if isinstance(target, Mapping) else {}), **beside}
    return {k: _follow(v, root, depth) for k, v in node.items() if k not in ("$defs", "definitions")}


def num_nodes(schema: Mapping[str, Any], most: int) -> int:
    """How many objects and values ``inlined`` would make, counted no further than just above ``most``: references within references
    grow as a power, and a stranger's schema of a page can be one of millions of nodes."""
    count = 0
    left: list[tuple[Any, int]] = [(schema, 0)]
    while left and count <= most:
        node, depth = left.pop()
        count += 1
        if isinstance(node, list):
            left += [(value, depth) for value in node]
        elif isinstance(node, Mapping):
            if isinstance(node.get("$ref"), str) and depth < _DEEPEST:
                left.append((_at(schema, node["$ref"]), depth + 1))
            left += [(value, depth) for key, value in node.items() if key not in ("$defs", "definitions")]
    return count


def _at(root: Mapping[str, Any], ref: str) -> Any:
    node: Any = root
    for step in ref.removeprefix("#").strip("/").split("/"):
        node = node.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(node, Mapping) else None
    return node if ref.startswith("#") else None


def shape_of(schema: Any) -> dict[str, Any]:
    """Types, properties, choices and lists of ``schema``, its references resolved."""
    return _shape(inlined(schema) if isinstance(schema, Mapping) else {})


def _is_plain(pattern: Any) -> bool:
    """A whole text, without what one grammar or another cannot do (looking around, looking back, word boundaries)."""
    if not isinstance(pattern, str) or len(pattern) > _LONGEST_PATTERN:
        return False
    return pattern.startswith("^") and pattern.endswith("$") and "(?" not in pattern and "\\" not in pattern


def _shape(node: Any) -> dict[str, Any]:
    if not isinstance(node, Mapping):
        return {}
    kept = {key: node[key] for key in _KEPT if key in node}
    pattern = node.get(WRITTEN, node.get("pattern"))
    if _is_plain(pattern):
        kept["pattern"] = pattern
    several = node.get("anyOf") or node.get("oneOf")
    if several:
        return {**kept, "anyOf": [_shape(one) for one in several]}
    if "properties" in node:
        kept["type"] = "object"
        kept["properties"] = {name: _shape(one) for name, one in node["properties"].items()}
        kept["required"] = [name for name in node.get("required") or () if name in node["properties"]]
        kept["additionalProperties"] = False
    if "items" in node:
        kept["items"] = _shape(node["items"])
    return kept
