"""The operations of HTTP servers as tools: our gateway by its own document, a small shop, and documents that lie."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhilu.agents.runs import _told
from zhilu.agents.sources.openapi_document import operations_of, read_document
from zhilu.agents.sources.strangers import parameters_of
from zhilu.context import open_context
from zhilu.errors import ForbiddenError, InputError, NotFoundError, UnreachableError, UpstreamError, ZhiluError
from zhilu.tools import Tool, ToolCall, ToolResult, open_tools
from zhilu.tools.testing import check_tool

Use = Callable[[dict[str, Tool]], Awaitable[Any]]

SHOP: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Shop", "version": "1"},
    "paths": {
        "/items/{id}": {
            "parameters": [{"$ref": "#/components/parameters/id"}],
            "get": {
                "operationId": "items.read", "summary": "One item", "tags": ["items"],
                "parameters": [
                    {"name": "id", "in": "query", "schema": {"type": "integer", "minimum": 0, "exclusiveMinimum": True}},
                    {"name": "tag", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
                    {"name": "Authorization", "in": "header", "schema": {"type": "string"}},
                    {"name": "X-Trace", "in": "header", "schema": {"type": "boolean"}},
                ],
            },
            "delete": {"operationId": "remove", "tags": ["items"]},
        },
        "/items": {
            "post": {
                "operationId": "add", "tags": ["items"],
                "requestBody": {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Item"}}}},
            },
        },
        "/upload": {"post": {"operationId": "upload", "requestBody": {"required": True, "content": {"multipart/form-data": {}}}}},
        "/away": {"get": {"operationId": "away"}},
        "/page": {"get": {"description": "A page"}},
    },
    "components": {
        "parameters": {"id": {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}},
        "schemas": {
            "Item": {
                "type": "object", "required": ["name"],
                "properties": {
                    "name": {"type": "string"}, "note": {"type": "string", "nullable": True},
                    "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
                },
            },
            "Unused": {"type": "object"},
        },
    },
}  # fmt: skip


class Shop(BaseHTTPRequestHandler):
    seen: list[tuple[str, str, dict[str, str], bytes]]
    document: dict[str, Any]

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path == "/v1/openapi.json":
            return self._say(200, self.document)
        type(self).seen.append((self.command, self.path, dict(self.headers), body))
        if self.path == "/v1/away":
            return self._say(302, {}, location="http://127.0.0.1:9/")
        if self.path == "/v1/page":
            return self._say(200, "<p>hello</p>", "text/html")
        if self.command == "DELETE":
            return self._say(404, {"detail": "no such item"})
        return self._say(200, {"path": self.path, "sent": json.loads(body or b"null")})

    do_POST = do_DELETE = do_GET

    def _say(self, status: int, content: Any, kind: str = "application/json", location: str = "") -> None:
        written = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(written)))
        if location:
            self.send_header("location", location)
        self.end_headers()
        self.wfile.write(written)

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def serving(document: dict[str, Any] = SHOP) -> Iterator[tuple[str, list[Any]]]:
    handler = type("Handler", (Shop,), {"seen": [], "document": document})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", handler.seen  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()


def with_tools(name: str, use: Use) -> Any:
    async def run() -> Any:
        async with open_tools(open_context(), [name]) as tools:
            return await use({tool.facts.name: tool for tool in tools})

    return asyncio.run(run())


async def never(_tools: dict[str, Tool]) -> None:
    raise AssertionError("it must not open")


def ask(tools: dict[str, Tool], name: str, **arguments: Any) -> Awaitable[ToolResult]:
    return tools[name].call(ToolCall("1", name, arguments))


def test_operations_become_tools_and_calls_become_requests() -> None:
    with serving({**SHOP, "servers": [{"url": "/{version}", "variables": {"version": {"default": "v1"}}}]}) as (
        url,
        seen,
    ):

        async def use(tools: dict[str, Tool]) -> None:
            facts = {name: tool.facts for name, tool in tools.items()}
            assert set(facts) == {"api_items_read", "api_remove", "api_add", "api_away", "api_get_page"}
            assert {n: f.effect for n, f in facts.items() if f.effect != "read"} == {
                "api_remove": "write",
                "api_add": "write",
            }
            assert not facts["api_remove"].repeatable and facts["api_items_read"].description == "One item"
            read = facts["api_items_read"].parameters
            assert list(read["properties"]) == ["id", "query_id", "tag", "X-Trace"] and read["required"] == ["id"]
            assert read["properties"]["query_id"]["exclusiveMinimum"] == 0
            assert list(facts["api_add"].parameters["$defs"]) == ["Item"]

            came = await ask(
                tools, "api_items_read", **{"id": "a/b ü", "query_id": 2, "tag": ["x", "y&z"], "X-Trace": True}
            )
            method, path, headers, _ = seen[-1]
            assert method == "GET" and urlsplit(path).path == "/v1/items/a%2Fb%20%C3%BC" and came.data["path"] == path
            assert parse_qs(urlsplit(path).query) == {"id": ["2"], "tag": ["x", "y&z"]}
            assert headers["X-Trace"] == "true" and headers["Host"] == urlsplit(url).netloc

            item = {"name": "nut", "note": None, "parts": [{"name": "half"}]}
            assert (await check_tool(tools["api_add"], {"body": item})).data["sent"] == item
            with pytest.raises(InputError, match="name"):
                await ask(tools, "api_add", body={"parts": []})
            gone = await ask(tools, "api_remove", id="7")
            assert gone.is_error and gone.text.startswith("HTTP 404") and "no such item" in gone.text
            away = await ask(tools, "api_away")
            assert away.is_error and "not followed" in away.text
            assert (await ask(tools, "api_get_page")).text == "<p>hello</p>"

        with_tools(f"openapi:{url}/openapi.json", use)


@pytest.mark.parametrize("value", ["..", ".", "", "../admin", "a/../b", "..\\x", "x/."])
def test_a_value_cannot_walk_to_another_path(value: str) -> None:
    with serving() as (url, seen):

        async def use(tools: dict[str, Tool]) -> None:
            with pytest.raises(InputError, match="cannot stand in a path"):
                await ask(tools, "api_items_read", id=value)

        with_tools(f"openapi:{url}/openapi.json {url} items", use)
        assert seen == []


def test_no_argument_leads_to_the_approvals_of_a_run() -> None:
    sly = {**SHOP, "paths": {"/zhilu/v1/{what}/runs": {"post": {"operationId": "sly", "parameters": [
        {"name": "what", "in": "path", "schema": {"type": "string"}}
    ]}}}}  # fmt: skip
    with serving(sly) as (url, seen):

        async def use(tools: dict[str, Tool]) -> None:
            with pytest.raises(ForbiddenError):
                await ask(tools, "api_sly", what="agents")
            await ask(tools, "api_sly", what="kbs")

        with_tools(f"openapi:{url}/openapi.json", use)
        assert len(seen) == 1


def test_our_gateway_by_its_own_document() -> None:
    import time

    import uvicorn

    from zhilu.host.app import create_app

    context = open_context()
    server = uvicorn.Server(
        uvicorn.Config(create_app(context), host="127.0.0.1", port=0, log_level="warning", http="h11")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"

    async def use(tools: dict[str, Tool]) -> ToolResult:
        create, listing = (next(n for n in tools if n.endswith(f"kbs_{method}")) for method in ("post", "get"))
        assert (tools[create].facts.effect, tools[listing].facts.effect) == ("write", "read")
        made = await ask(tools, create, body={"name": "handbook", "embedder": "none"})
        assert not made.is_error, made.text
        with pytest.raises(InputError, match="name"):
            await ask(tools, create, body={"embedder": "none"})
        return await ask(tools, listing)

    try:
        document = f"{url}/zhilu/v1/openapi.json"
        operations = operations_of(read_document(_get(document), url), url)
        assert len(operations) > 100 and all(parameters_of(o.name, o.schema) for o in operations)
        named = " ".join(o.name for o in operations if o.path == "/zhilu/v1/kbs")
        assert "handbook" in with_tools(f"openapi:{document} {url} {named}", use).text
        with pytest.raises(
            NotFoundError
        ):  # a model does not answer what it is asked for, nor start a run with tools of its choice
            with_tools(f"openapi:{document} answer_call_zhilu_v1_agents_runs__run_id__calls__call_id__post", never)
    finally:
        server.should_exit = True
        thread.join(15)


def _get(url: str) -> bytes:
    import httpx

    return httpx.get(url, timeout=60).content


def test_a_document_cannot_lead_into_this_machine_or_network(tmp_path: Path) -> None:
    file = tmp_path / "api.json"
    with serving() as (url, seen):
        for server in (
            url,
            "http://10.0.0.1/",
            "http://169.254.169.254/latest",
            "http://[::1]:80",
            "http://[::ffff:127.0.0.1]/",
        ):
            file.write_text(json.dumps({**SHOP, "servers": [{"url": server}]}))

            async def use(tools: dict[str, Tool]) -> None:
                with pytest.raises(InputError, match="not on the public internet"):
                    await ask(tools, "api_away")

            with_tools(f"openapi:{file} away", use)
        assert seen == []
        # The person's own word for the same server is enough.
        with_tools(f"openapi:{file} {url} away", lambda tools: ask(tools, "api_away"))
        assert [path for _, path, *_ in seen] == ["/v1/away"]
        # A document from this machine leads to the place that it came from, and to no other one of it.
        with serving({**SHOP, "servers": [{"url": url}]}) as (other, _):

            async def across(tools: dict[str, Tool]) -> None:
                with pytest.raises(InputError, match="not on the public internet"):
                    await ask(tools, "api_away")

            with_tools(f"openapi:{other}/openapi.json away", across)
        assert len(seen) == 1


def test_a_get_of_another_machine_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "api.json").write_text(json.dumps({**SHOP, "servers": [{"url": "https://shop.example/v1"}]}))

    async def use(tools: dict[str, Tool]) -> None:
        assert {tool.facts.effect for tool in tools.values()} == {"send", "write"}

    with_tools(f"openapi:{tmp_path / 'api.json'}", use)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"openapi": "2.0"}, InputError), ({"paths": {}}, InputError), ({"paths": {"//evil.example/x": {"get": {}}}}, InputError),
        ({"paths": {"@evil.example/": {"get": {}}}}, InputError), ({"paths": {"/x": {"$ref": "#/paths/~1x"}}}, InputError),
        ({"paths": {"/x": 3}}, InputError), ({"servers": [{"url": "file:///etc/passwd"}]}, InputError), ({"servers": [{"url": "/v1"}]}, InputError),
        ({"servers": [{"url": "http://a:b@127.0.0.1/"}]}, InputError),
        ({"paths": {"/x": {"get": {"operationId": "a"}, "put": {"operationId": "a"}}}}, InputError),
        ({"paths": {"/x": {"get": {"parameters": [{"name": "a", "in": "query", "schema": {"type": "nonsense"}}]}}}}, UpstreamError),
        ({"paths": {"/x": {"get": {"parameters": [{"name": "a", "in": "query", "schema": {"$ref": "#/components/schemas/None"}}]}}}}, InputError),
    ],
)  # fmt: skip
def test_a_document_that_lies_is_refused(change: dict[str, Any], kind: type[ZhiluError], tmp_path: Path) -> None:
    file = tmp_path / "api.json"
    file.write_text(json.dumps({**SHOP, "servers": [{"url": "https://shop.example"}], **change}))
    with pytest.raises(kind):
        with_tools(f"openapi:{file}", never)


def test_what_is_no_document_is_told(tmp_path: Path) -> None:
    (tmp_path / "bomb.yaml").write_text("openapi: 3.1.0\na: &a [x]\nb: [*a, *a]\n")
    (tmp_path / "plain.yaml").write_text(
        "openapi: 3.1.0\nservers: [{url: 'https://a.example'}]\npaths: {/x: {get: {}}}\n"
    )
    with_tools(f"openapi:{tmp_path / 'plain.yaml'}", lambda tools: check_names(tools, {"api_get_x"}))
    for name, kind in (
        (f"{tmp_path / 'bomb.yaml'}", InputError), (f"{tmp_path / 'none.json'}", NotFoundError), (f"{tmp_path}", NotFoundError),
        (f"{tmp_path / 'plain.yaml'} nothing", NotFoundError), ("ftp://a.example/x", InputError), ("http://127.0.0.1:9/x", UnreachableError),
        ("", InputError), ("'open", InputError),
    ):  # fmt: skip
        with pytest.raises(kind):
            with_tools(f"openapi:{name}", never)
    with serving() as (url, _), pytest.raises(UpstreamError, match="302"):
        with_tools(f"openapi:{url}/away", never)


async def check_names(tools: dict[str, Tool], names: set[str]) -> None:
    assert set(tools) == names


def test_a_relative_path_means_the_same_in_the_job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert _told("openapi:api.json http://127.0.0.1:1 read") == f"openapi:{tmp_path}/api.json http://127.0.0.1:1 read"
    assert _told("openapi:http://127.0.0.1:1/a.json") == "openapi:http://127.0.0.1:1/a.json"
    assert _told('openapi:"my api.json"') == f"openapi:'{tmp_path}/my api.json'"


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["get", "query", "#/paths", "/x", "object", ""]),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["/x", "get", "parameters", "name", "in", "schema", "$ref", "requestBody", "content", "tags"]
            ),
            inside,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@given(ANY)
def test_any_document_is_read_or_refused(paths: Any) -> None:
    try:
        operations_of({"openapi": "3.0.0", "paths": paths}, "x")
    except InputError:
        return


@given(st.binary(max_size=60))
def test_any_bytes_are_a_document_or_refused(content: bytes) -> None:
    with pytest.raises(InputError):
        read_document(content, "x")
