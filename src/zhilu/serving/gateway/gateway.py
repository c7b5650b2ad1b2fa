"""The OpenAI API in front of the engines: find the engine by the model's name, and let ``relay`` pass the request on.

What needs no engine is answered here: the list of models, and the services (``host/services.py``).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeVar

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from zhilu import wire
from zhilu.context import Context
from zhilu.errors import NotFoundError, UnsupportedError, ZhiluError, error_body
from zhilu.host.services import Service, service_registry
from zhilu.messages import T
from zhilu.models.chosen import default_model, named_model
from zhilu.serving.api.bodies import form_body, json_body
from zhilu.serving.api.embeddings import Embeddings
from zhilu.serving.catalog import no_such_model
from zhilu.serving.facts import LaunchOptions
from zhilu.serving.gateway.ledger import Exchange, Ledger, exchange_of
from zhilu.serving.gateway.loopback import LoopbackTransport
from zhilu.serving.gateway.lora import Adapters, LoadLoraRequest, LoraLine, UnloadLoraRequest
from zhilu.serving.gateway.metrics import merge, with_label
from zhilu.serving.gateway.outside import RemoteTransport
from zhilu.serving.gateway.relay import Relay, TranslatingRelay, broken_off
from zhilu.serving.gateway.remembered import Remembered, RemoteModel
from zhilu.serving.gateway.upstream import Route
from zhilu.serving.served import Served
from zhilu.serving.supervise.supervisor import Supervisor
from zhilu.wire.dialect import Dialect

__all__ = ["Gateway"]

R = TypeVar("R", bound=wire.Request)


@lru_cache(maxsize=256)
def _address(url: str) -> httpx.URL:
    return httpx.URL(url)  # read once: that is a tenth of what a request costs here


class Gateway:
    """Routes requests by model name. One per application, closed with it."""

    def __init__(self, context: Context, supervisor: Supervisor, embeddings: Embeddings, ledger: Ledger) -> None:
        self.context = context
        self.supervisor = supervisor
        self.embeddings = embeddings
        self.ledger = ledger
        self.services = service_registry()
        self.remembered = Remembered(context.home)
        self.adapters = Adapters(context.home, self.remembered)
        self.loopback = LoopbackTransport()
        # No read timeout here either: a client that leaves is what ends a request.
        self.remote = RemoteTransport()

    async def aclose(self) -> None:
        await self.loopback.aclose()
        await self.remote.aclose()
        self.ledger.close()

    async def pass_on(self, request: Request, endpoint: str, kind: type[wire.Request]) -> Response:
        """Answer a generation or tokenizer request with the engine of its model."""
        return Relay(self, request, endpoint, kind)

    async def translate(self, request: Request, kind: type[Dialect]) -> Response:
        """The same for a request in another API's words."""
        return TranslatingRelay(self, request, kind)

    async def serve(self, request: Request, service: Service) -> Response:
        """Answer with a service, in this process."""

        async def work(body: wire.Request, exchange: Exchange) -> Response:
            reply = await service.answer(self.context, body)
            exchange.model, exchange.usage = reply.model, reply.usage
            if isinstance(reply.body, dict):
                return JSONResponse(reply.body)
            if isinstance(reply.body, bytes):
                return Response(reply.body, media_type=reply.media_type)
            return StreamingResponse(reply.body, media_type=reply.media_type)

        read = form_body if issubclass(service.request, wire.FormRequest) else json_body
        return await self.answer(request, service.paths[0], service.request, work, read=read)

    async def ask(self, request: Request, endpoint: str, model: str | None) -> Response:
        """What the engine of a model says at ``GET endpoint``."""
        async with self.route(named_model(self.context, model)) as route:
            assert route.served.launch is not None
            route.served.facts.refuse_beyond(endpoint)
            asked = httpx.Request("GET", route.served.launch.at(endpoint), headers=route.served.launch.headers)
            try:
                response = await self._transport(route.served).handle_async_request(asked)
                content = await response.aread()
            except httpx.HTTPError as error:
                raise broken_off(route.served, error) from error
            return Response(content, response.status_code, media_type=response.headers.get("content-type"))

    async def cancel(self, ids: Sequence[str]) -> list[str]:
        """End the answers of these ids, whichever engine gives them; returns those that there were."""
        raw = json.dumps({"request_ids": list(ids)}).encode()
        ready = [s for s in self.supervisor.states().values() if s.state == "ready" and "cancel" in s.facts.can]

        async def tell(served: Served) -> list[str]:
            with suppress(httpx.HTTPError, ValueError, KeyError):
                response = await self.post(served, "/v1/requests/cancel", raw)
                return list(json.loads(await response.aread())["cancelled_request_ids"])
            return []

        found = {id for some in await asyncio.gather(*map(tell, ready)) for id in some}
        return [id for id in ids if id in found]

    async def load_lora(self, request: Request) -> Response:
        """vLLM's ``/v1/load_lora_adapter``."""

        async def work(body: LoadLoraRequest, exchange: Exchange) -> Response:
            return PlainTextResponse(await self.adapters.load(self, body))

        return await self.answer(request, "/v1/load_lora_adapter", LoadLoraRequest, work)

    async def unload_lora(self, request: Request) -> Response:
        """vLLM's ``/v1/unload_lora_adapter``."""

        async def work(body: UnloadLoraRequest, exchange: Exchange) -> Response:
            return PlainTextResponse(await self.adapters.unload(self, body.lora_name))

        return await self.answer(request, "/v1/unload_lora_adapter", UnloadLoraRequest, work)

    async def answer(
        self,
        request: Request,
        path: str,
        kind: type[R],
        work: Callable[[R, Exchange], Awaitable[Response]],
        refusal: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        read: Callable[[Request, type[R]], AbstractAsyncContextManager[Any]] = json_body,
    ) -> Response:
        """Answer in this process, and count it. ``refusal``: how this API writes an error, if not as OpenAI."""
        exchange = exchange_of(request, path)
        try:
            async with read(request, kind) as body:
                response = await work(body, exchange)
            exchange.first_byte = time.monotonic()
            response.headers["x-request-id"] = exchange.id
            return response
        except ZhiluError as error:
            exchange.status, exchange.code = error.http_status, error.code
            if refusal is None:
                raise
            return JSONResponse(refusal(error_body(error)), error.http_status)
        finally:
            self.ledger.book(exchange)

    async def start_remote(self) -> None:
        """Bring back the models behind a URL that an earlier gateway was given; one that does not answer says so."""
        for model in self.remembered.remote.values():
            options = LaunchOptions(base_url=model.base_url, remote_model=model.remote_model)
            with suppress(ZhiluError):  # its engine is no longer registered; the next start says so
                await self.supervisor.start(model.name, engine=model.engine, options=options)

    async def start(
        self,
        name: str,
        engine: str | None,
        options: LaunchOptions,
        loras: Sequence[LoraLine] = (),
        restart: bool = False,
    ) -> Served:
        """Start a model, with adapters, and remember what a restart of the gateway could not know; what ``start`` raises."""
        if loras:
            options = replace(options, loras=await self.adapters.to_start_with(self, name, loras))
        served = await self.supervisor.start(name, engine=engine, options=options, restart=restart)
        await self._note_start(served)
        await self.adapters.note_start(served)
        return served

    async def _note_start(self, served: Served) -> None:
        """Remember a model behind a URL: no file of the store tells of it. One that runs here again is forgotten."""
        if served.facts.is_process:
            if served.model.name in self.remembered.remote:
                await asyncio.to_thread(self.remembered.forget, served.model.name)
            return
        if not served.options.base_url:
            return
        options = served.options
        model = RemoteModel(served.model.name, served.engine, str(options.base_url), options.remote_model)
        await asyncio.to_thread(self.remembered.keep, model)

    async def models(self) -> list[dict[str, Any]]:
        """Every name that a request may give, with the state of its engine: the default first, adapters last."""
        entries = {entry["id"]: entry for entry in await asyncio.to_thread(self.supervisor.catalog.list)}
        states = self.supervisor.states()
        for name, served in states.items():
            if served.model.path is None and served.model.remote is None and served.state != "stopped":
                entries.setdefault(name, {"id": name, "owned_by": served.engine})
        for adapter in self.adapters.list():
            entries.setdefault(adapter.name, {"id": adapter.name, "root": adapter.path, "parent": adapter.parent})
        for parent, served in states.items():
            for name, root in served.adapters.items():
                entries.setdefault(name, {"id": name, "root": root, "parent": parent})
        for name, entry in entries.items():
            entry.setdefault("root", name)
            entry.setdefault("parent", None)
            running = states.get(entry.get("parent") or name)
            entry["state"] = running.state if running else entry.get("state", "stopped")
            if running and running.max_len:
                entry["max_model_len"] = running.max_len
        first = [
            entries.pop(name) for name in (default_model(self.context).name,) if name in entries
        ]  # of a request without one
        served_here = [
            {"id": name, "root": name, "parent": None, "state": "ready"} for name in self.names_of_services()
        ]
        adapters = [entry for entry in entries.values() if entry["parent"]]
        models = [entry for entry in entries.values() if not entry["parent"]]
        return [*first, *models, *served_here, *adapters]

    async def model(self, name: str) -> dict[str, Any]:
        """Raises NotFoundError."""
        entries = await self.models()
        for entry in wire.model_list(entries)["data"]:
            if entry["id"] == name:
                return dict(entry)
        raise no_such_model(name, [entry["id"] for entry in entries])

    def names_of_services(self) -> list[str]:
        return list(
            dict.fromkeys(name for _, service in self.services.items() for name in service.models(self.context))
        )

    @asynccontextmanager
    async def route(self, name: str) -> AsyncIterator[Route]:
        """The running engine for a model or an adapter, with the adapter loaded; raises what ``lease`` raises."""
        adapter = self.adapters.get(name)
        parent = adapter.parent if adapter else self._started_with(name)
        if adapter:
            await self.adapters.refuse_gone(self, adapter)
        async with self.lease(parent or name) as served:
            assert served.launch is not None
            if adapter:
                await self.adapters.ensure(self, served, adapter)
            yield Route(served, name if parent else served.launch.model)

    def _started_with(self, adapter: str) -> str | None:
        """The model whose engine was started with ``adapter`` on its command line."""
        for name, served in self.supervisor.states().items():
            if adapter in served.adapters:
                return name
        return None

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[Served]:
        """The running engine of ``name``, started first if it is only in the store; an unknown name is told the others."""
        async with AsyncExitStack() as stack:
            async with self._naming_others(name):
                served = await stack.enter_async_context(self.supervisor.lease(name))
            yield served

    async def plan(self, name: str) -> Served:
        """What ``lease`` would give, without starting anything; raises what it raises before a start."""
        async with self._naming_others(name):
            return await self.supervisor.plan(name)

    @asynccontextmanager
    async def _naming_others(self, name: str) -> AsyncIterator[None]:
        try:
            yield
        except NotFoundError as error:
            if error.param != "model":
                raise
            if name in self.embeddings.names():
                raise UnsupportedError(
                    T(
                        f"{name!r} turns text into vectors; it does not answer.",
                        f"{name!r} 只把文本变成向量，不能回答。",
                    ),
                    param="model",
                ) from None
            raise no_such_model(name, [entry["id"] for entry in await self.models()]) from None

    async def post(
        self, served: Served, endpoint: str, raw: bytes, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Send to an engine, and return when the headers of its answer have come; httpx's errors."""
        assert served.launch is not None
        address = _address(served.launch.at(endpoint))
        sent = {
            "host": address.netloc.decode("ascii"), "content-type": "application/json", "accept-encoding": "identity",
            "content-length": str(len(raw)), **(headers or {}), **served.launch.headers,
        }  # fmt: skip
        # With ``content`` httpx looks for the headers that are missing: a tenth of a request's whole cost here.
        request = httpx.Request(
            "POST", address, stream=httpx.ByteStream(raw), headers=sent, extensions={"timeout": {"connect": 10.0}}
        )
        return await self._transport(served).handle_async_request(request)

    def _transport(self, served: Served) -> httpx.AsyncBaseTransport:
        return self.loopback if served.facts.is_process else self.remote

    async def metrics(self) -> str:
        """Our figures and those of every engine that has any; one that does not answer in a second is left out."""
        served = list(self.supervisor.states().values())
        ready = [s for s in served if s.state == "ready" and "metrics" in s.facts.can]
        texts = await asyncio.gather(*(self._engine_metrics(s) for s in ready))
        theirs = [with_label(text, "model", s.model.name) for s, text in zip(ready, texts, strict=True)]
        return merge([self.ledger.lines(served), *theirs])

    async def _engine_metrics(self, served: Served) -> str:
        assert served.launch is not None
        with suppress(httpx.HTTPError, asyncio.TimeoutError):
            content = await asyncio.wait_for(self._look(served, "/metrics"), 1.0)
            return content.decode(errors="replace")
        return ""

    async def steps(self, model: str, after: int) -> bytes:
        """What a running engine's scheduler did after step ``after``, as JSON. Who only looks on does not keep it from being stopped.

        Raises:
            NotFoundError: the model is not running. UnsupportedError: its engine does not tell.
        """
        served = self.supervisor.states().get(model)
        if served is None or served.state != "ready" or served.launch is None:
            raise NotFoundError(
                T(f"The model {model!r} is not running.", f"模型 {model!r} 没有在运行。"), fix="zhilu engine running"
            )
        wire.refuse_endpoint(served.facts.name, served.facts.can, "/steps")
        try:
            content = await asyncio.wait_for(self._look(served, f"/steps?after={after}"), 10.0)
        except httpx.HTTPError as error:
            raise broken_off(served, error) from error
        except asyncio.TimeoutError as error:
            raise broken_off(served, httpx.ReadTimeout("10 s")) from error
        if not content:
            raise broken_off(served, httpx.ReadError("/steps"))
        return content

    async def _look(self, served: Served, path: str) -> bytes:
        """What an engine on this machine says at ``GET path``; nothing where that is no success."""
        assert served.launch is not None
        response = await self.loopback.handle_async_request(httpx.Request("GET", f"{served.launch.url}{path}"))
        try:
            content = await response.aread()
        finally:
            await response.aclose()
        return content if response.status_code == 200 else b""
