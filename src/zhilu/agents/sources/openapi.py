"""``openapi:FILE|URL [BASE] [OPERATION]…``: the operations of an HTTP server, from its OpenAPI 3 document.

All requests go to one origin: ``BASE`` where the person gives it, else the document's first server. A GET of this very machine only
reads; a GET of another one tells it the arguments, so it leaves the machine; everything else writes. A private address is reached
only where the person typed its origin: as ``BASE``, or as the place that the document came from.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import httpx

from zhilu.agents.sources.openapi_document import Operation, operations_of, read_document
from zhilu.agents.sources.reach import Came, Origin, exchange, origin_of
from zhilu.agents.sources.strangers import clipped, names_of, parameters_of
from zhilu.errors import ForbiddenError, InputError, NotFoundError, UpstreamError, nearest
from zhilu.messages import T
from zhilu.tools import Tool, ToolCall, ToolFacts, ToolResult
from zhilu.tools.base import Effect
from zhilu.tools.check import checked
from zhilu.tools.source import words_of

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["OPENAPI", "OpenApiSource", "OpenApiTool"]

_PREFIX = "api_"
_RUNS = "/zhilu/v1/agents"
_MOST_TOOLS = 200
_MOST_BYTES = 5_000_000
_MOST_DATA = 20_000  # characters of a JSON answer that is kept beside its text


class OpenApiTool:
    """One operation. An answer with an error status is a result that says so: the model may mend its arguments."""

    def __init__(self, operation: Operation, facts: ToolFacts, base: str, origin: Origin, allow_private: bool) -> None:
        self._operation, self._facts = operation, facts
        self._base, self._origin, self._allow_private = base.rstrip("/"), origin, allow_private

    @property
    def facts(self) -> ToolFacts:
        return self._facts

    async def call(self, call: ToolCall) -> ToolResult:
        request = self._operation.request(checked(self._facts, call.arguments))
        url = f"{self._base}{request.path}"
        if _is_of_runs(url):
            raise ForbiddenError(
                T("An agent cannot steer the runs of agents.", "智能体不能操纵智能体的运行。"), code="not_allowed"
            )
        came = await exchange(
            self._operation.method, url, self._origin,
            allow_private=self._allow_private, headers=request.headers, body=request.body,
        )  # fmt: skip
        return _result(came)


class OpenApiSource:
    title = T("An HTTP server with an OpenAPI document", "有 OpenAPI 文档的 HTTP 服务")
    usage = "openapi:FILE|URL [BASE] [OPERATION]…"
    is_local = True
    example = "openapi:http://127.0.0.1:8000/openapi.json"

    @asynccontextmanager
    async def open(self, context: Context, argument: str) -> AsyncIterator[list[Tool]]:
        """
        Raises:
            NotFoundError: no such file or operation. InputError: no such document, or an address that must not be reached.
            UnreachableError, UpstreamError: the document's server does not answer, or not with a document; a schema cannot be used.
        """
        whence, *more = words_of(argument)
        given = more.pop(0) if more and "://" in more[0] else None
        document = read_document(await _content(whence), whence)
        base, origin = _base(document, whence, given)
        offered = [o for o in operations_of(document, whence) if not _is_of_runs(f"{base.rstrip('/')}{o.path}")]
        chosen = _chosen(offered, more)
        names = names_of(_PREFIX, [operation.name for operation in chosen])
        allow_private = context.settings.web_private
        yield [
            OpenApiTool(operation, _facts(name, operation, origin), base, origin, allow_private)
            for name, operation in zip(names, chosen, strict=True)
        ]


async def _content(whence: str) -> bytes:
    if "://" in whence:  # the person typed it, so it may be private
        came = await exchange("GET", whence, origin_of(whence, typed=True))
        if came.status != 200:
            raise UpstreamError(
                T(f"{whence} answered {came.status}: no document.", f"{whence} 返回 {came.status}：没有文档。")
            )
        return came.content
    path = Path(whence).expanduser()
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(T(f"{whence} has more than {_MOST_BYTES} bytes.", f"{whence} 超过 {_MOST_BYTES} 字节。"))
        return await asyncio.to_thread(path.read_bytes)
    except OSError as error:
        raise NotFoundError(
            T(f"There is no document {whence!r} to read.", f"没有可读取的文档 {whence!r}。"), param="tools"
        ) from error


def _base(document: dict[str, Any], whence: str, given: str | None) -> tuple[str, Origin]:
    """Where requests go, and whether the person typed that."""
    if given is not None:
        return given, origin_of(given, typed=True)
    servers = document.get("servers")
    first = servers[0] if isinstance(servers, list) and servers else {}
    url = str(first.get("url") or "/") if isinstance(first, dict) else "/"
    variables = first.get("variables") if isinstance(first, dict) else None
    for name, variable in variables.items() if isinstance(variables, dict) else ():
        url = url.replace(f"{{{name}}}", str(variable.get("default", "")) if isinstance(variable, dict) else "")
    if "://" in whence:
        url = urljoin(whence, url)
        source = origin_of(whence, typed=True)
        there = origin_of(url, typed=True)
        return url, there if there == source else origin_of(url, typed=False)
    if "://" not in url:
        raise InputError(
            T(f"{whence} does not say where its server is.", f"{whence} 没有说明服务在哪里。"),
            param="tools",
            fix=f'zhilu agent run "…" --tool "openapi:{whence} http://127.0.0.1:8000"',
        )
    return url, origin_of(url, typed=False)


def _is_of_runs(url: str) -> bool:
    """Our own routes for runs, wherever they are served: there a person answers what a model asks for, and names tools, which may be
    programs. No model does either."""
    return _RUNS in httpx.URL(url).path.lower()


def _chosen(operations: Sequence[Operation], wanted: Sequence[str]) -> list[Operation]:
    """Those that were named, by operation or by tag; all where none was."""
    known = {name for operation in operations for name in (operation.name, *operation.tags)}
    for name in wanted:
        if name not in known:
            close = nearest(name, sorted(known))
            raise NotFoundError(
                T(
                    f"No operation or tag {name!r}." + (f" Did you mean {close!r}?" if close else ""),
                    f"没有操作或标签 {name!r}。" + (f"是不是 {close!r}？" if close else ""),
                ),
                param="tools",
            )
    chosen = [o for o in operations if not wanted or {o.name, *o.tags} & set(wanted)]
    if not 0 < len(chosen) <= _MOST_TOOLS:
        raise InputError(
            T(
                f"The document has {len(chosen)} operations that can be used; 1 to {_MOST_TOOLS} are taken. Name some, or a tag.",
                f"文档中有 {len(chosen)} 个可用的操作；可取 1 到 {_MOST_TOOLS} 个。请指定其中一些，或一个标签。",
            ),
            param="tools",
        )
    if len({o.name for o in chosen}) < len(chosen):
        raise InputError(T("Two operations have one operationId.", "有两个操作的 operationId 相同。"), param="tools")
    return chosen


def _facts(name: str, operation: Operation, origin: Origin) -> ToolFacts:
    only_reads = operation.method == "GET"
    effect: Effect = "write" if not only_reads else "read" if origin.is_this_machine else "send"
    schema = parameters_of(operation.name, operation.schema)
    return ToolFacts(name, clipped(operation.description, name), schema, effect, repeatable=only_reads)


def _result(came: Came) -> ToolResult:
    text, data = _told(came)
    if 300 <= came.status < 400:
        text = "a redirect, which is not followed"
    is_error = came.status >= 300
    if is_error or not text:
        text = f"HTTP {came.status}: {text}" if text else f"done (HTTP {came.status})"
    return ToolResult(text, data=data, is_error=is_error)


def _told(came: Came) -> tuple[str, Any]:
    if not came.content:
        return "", None
    if came.media_type.endswith(("/json", "+json")):
        text = came.content.decode("utf-8", "replace")
        try:
            data = json.loads(text) if len(text) <= _MOST_DATA else None
            json.dumps(data, ensure_ascii=False).encode()  # half a surrogate could not be written down
            return text, data
        except (ValueError, RecursionError):
            return text, None
    if came.media_type.startswith("text/") or came.media_type.endswith("xml"):
        return came.content.decode("utf-8", "replace"), None
    return f"[{came.media_type or 'no type'}, {len(came.content)} bytes: not shown]", None


OPENAPI = OpenApiSource()
