"""What an MCP server has beside tools: resources (documents by address) and prompts, for a model that knows only tools.

Each becomes a tool of ours: the list of what there is, and one of them read. They are asked for like every call of a stranger's
program (see ``mcp``): an address or an argument leaves Zhilu.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from zhilu.agents.sources.strangers import clipped
from zhilu.tools import ToolFacts

if TYPE_CHECKING:
    from mcp import Client

__all__ = ["Extra", "extras_of", "said_by"]

_MOST = 200  # entries of a list
_MOST_PAGES = 20

Work = Callable[["Client", Mapping[str, Any]], Awaitable[str]]


class Extra:
    """A tool's name, words and schema, and what it does with the server."""

    def __init__(
        self, name: str, description: str, properties: dict[str, Any], required: list[str], work: Work
    ) -> None:
        self.name, self.description, self.work = name, description, work
        self.parameters = {"type": "object", "properties": properties, "required": required}

    def facts(self, name: str) -> ToolFacts:
        return ToolFacts(name, self.description, self.parameters, "send")


def extras_of(capabilities: Any) -> list[Extra]:
    """What the server says it has (``ServerCapabilities``); empty where it has tools alone."""
    found: list[Extra] = []
    if getattr(capabilities, "resources", None) is not None:
        uri = {"type": "string", "description": "The address, as it stands in the list"}
        found += [
            Extra(
                "list_resources",
                "What this MCP server has to read: an address, a name and what it is.",
                {},
                [],
                _resources,
            ),
            Extra("read_resource", "Read a resource of this MCP server.", {"uri": uri}, ["uri"], _read),
        ]
    if getattr(capabilities, "prompts", None) is not None:
        given = {"type": "object", "description": "Its arguments by name", "additionalProperties": {"type": "string"}}
        found += [
            Extra("list_prompts", "The prompts that this MCP server has written, with their arguments.", {}, [], _prompts),
            Extra(
                "get_prompt", "One prompt of this MCP server, filled in.",
                {"name": {"type": "string"}, "arguments": given}, ["name"], _prompt,
            ),
        ]  # fmt: skip
    return found


async def _resources(client: Client, given: Mapping[str, Any]) -> str:
    lines: list[str] = []
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        page = await client.list_resources(cursor=cursor)
        lines += [_line(str(one.uri), one.name, one.description) for one in page.resources]
        cursor = page.next_cursor
        if cursor is None or len(lines) > _MOST:
            break
    for template in (await client.list_resource_templates()).resource_templates:
        lines.append(_line(template.uri_template, template.name, template.description))
    return _list(lines)


async def _read(client: Client, given: Mapping[str, Any]) -> str:
    came = await client.read_resource(str(given["uri"]))
    return "\n".join(said_by(part) for part in came.contents)


async def _prompts(client: Client, given: Mapping[str, Any]) -> str:
    lines = []
    for prompt in (await client.list_prompts()).prompts:
        arguments = ", ".join(f"{a.name}{'' if a.required else '?'}" for a in prompt.arguments or ())
        lines.append(_line(f"{prompt.name}({arguments})", "", prompt.description))
    return _list(lines)


async def _prompt(client: Client, given: Mapping[str, Any]) -> str:
    arguments = {str(key): str(value) for key, value in (given.get("arguments") or {}).items()}
    came = await client.get_prompt(str(given["name"]), arguments)
    return "\n\n".join(f"{message.role}: {said_by(message.content)}" for message in came.messages)


def said_by(part: Any) -> str:
    """A part of a resource or a message as text: what a model that reads only text can make of it."""
    text = getattr(part, "text", None)
    if text is None and getattr(part, "resource", None) is not None:
        return said_by(part.resource)
    if text is not None:
        return str(text)
    return f"[{getattr(part, 'mime_type', None) or getattr(part, 'type', 'something')}: not shown]"


def _line(address: str, name: str, description: str | None) -> str:
    words = " — ".join(part for part in (name, clipped(description, "", 200)) if part)
    return f"{clipped(address, '?', 300)}: {words}" if words else clipped(address, "?", 300)


def _list(lines: list[str]) -> str:
    more = f"\n(and {len(lines) - _MOST} more)" if len(lines) > _MOST else ""
    return ("\n".join(lines[:_MOST]) or "There are none.") + more
