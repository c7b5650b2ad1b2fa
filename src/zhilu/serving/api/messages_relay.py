"""How a request of Anthropic's Messages API goes to an engine and back, where that is not as for every other API.

The engine is asked first how long the prompt is, if it can tell: a stream says it in its first event, and an answer's limit that the
context has no room for is cut to the room there is (clients of this API ask for as much as a model could ever answer).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
from starlette.requests import Request

from zhilu import wire
from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.models.chosen import named_model
from zhilu.serving.gateway.endless import LONGEST_TOKEN
from zhilu.serving.gateway.outside import refuse_unasked
from zhilu.serving.gateway.relay import Answering, TranslatingRelay, broken_off, in_own_words
from zhilu.serving.gateway.toolwork import Reading
from zhilu.serving.gateway.upstream import Route, Upstream
from zhilu.serving.gateway.upstream_errors import openai_error
from zhilu.serving.served import Served
from zhilu.wire.anthropic import MessagesDialect, anthropic_error

__all__ = ["CountingRelay", "MessagesRelay"]

PING_SECONDS = 10.0
_COUNTED = (
    "messages",
    "tools",
    "chat_template_kwargs",
    "reasoning_effort",
    "add_generation_prompt",
    "continue_final_message",
)
_TEMPLATE_TOKENS = 2048  # more than a chat template writes around a conversation


class _Speaking(Answering):
    """Errors and headers as Anthropic's clients know them."""

    dialect: Any

    def _meet(self, served: Served, dialect: Any) -> None:
        can = served.facts.can if served.facts.is_process else ()
        dialect.meet(can, served.thinking.kind if served.thinking else None)

    def _refusal(self, body: dict[str, Any], status: int) -> dict[str, Any]:
        return anthropic_error(in_own_words(body, self.dialect) if self.dialect else body, status, self.exchange.id)

    async def _start(self, status: int, headers: Mapping[str, str]) -> None:
        await super()._start(status, {**headers, "request-id": self.exchange.id})

    async def _ask_count(self, route: Route, data: Mapping[str, Any]) -> httpx.Response:
        """The engine's answer about the tokens of a chat's prompt."""
        asked = {"model": route.model, **{name: data[name] for name in _COUNTED if name in data}}
        if data.get("tool_choice") == "none":
            asked.pop("tools", None)  # the model is not shown them
        return await self._send_to_engine(route.served, "/tokenize", json.dumps(asked, ensure_ascii=False).encode())


class MessagesRelay(_Speaking, TranslatingRelay):
    """Answers ``POST /v1/messages``."""

    def __init__(self, upstream: Upstream, request: Request) -> None:
        super().__init__(upstream, request, MessagesDialect)
        self._is_over = False
        self._num_sent = 0
        self._num_bytes = 0

    async def _answer(self, raw: bytes) -> None:
        self._num_bytes = len(raw)
        await super()._answer(raw)

    async def _readable(self, route: Route, data: Mapping[str, Any], body: wire.Request) -> dict[str, Any] | None:
        changed = await super()._readable(route, data, body)
        fitted = await self._fitted(route, changed or data)
        return fitted or changed

    async def _fitted(self, route: Route, data: Mapping[str, Any]) -> dict[str, Any] | None:
        """The request with a limit that the context has room for; None where it stays, or nobody knows."""
        served, limit = route.served, data["max_tokens"]
        if "tokenize" not in served.facts.can or not served.facts.is_process or _has_more_than_text(data):
            return None
        length = served.max_len or 0
        most = self._num_bytes + _TEMPLATE_TOKENS  # of tokens: each has a byte at least
        if (not self.exchange.stream and limit + most <= length) or self._num_bytes > length * LONGEST_TOKEN:
            return None
        response = await self._ask_count(route, data)
        try:
            content = await response.aread()
        finally:
            await response.aclose()
        count = _count_in(content) if not response.is_error else None
        if count is None:  # whatever is wrong, the engine will say it of the request itself
            return None
        assert isinstance(self.dialect, MessagesDialect)
        self.dialect.counted(count)
        room = length - count
        return {**data, "max_tokens": room} if 0 < room < limit else None

    async def _stream(self, response: httpx.Response, dialect: Any, reading: Reading | None) -> None:
        async with self._pinging(dialect):
            await super()._stream(response, dialect, reading)

    async def _body(self, content: bytes, more: bool = True) -> None:
        self._is_over = self._is_over or not more
        self._num_sent += 1
        await super()._body(content, more)

    @asynccontextmanager
    async def _pinging(self, dialect: Any) -> Any:
        """A long prompt is read for minutes on a small machine, and a call is kept back until it is whole: clients are told that the
        connection lives."""

        async def ping() -> None:
            seen = self._num_sent
            while True:
                await asyncio.sleep(PING_SECONDS)
                if self.started and not self._is_over and seen == self._num_sent:
                    await self._send_raw({"type": "http.response.body", "body": dialect.ping(), "more_body": True})
                seen = self._num_sent

        pinging = asyncio.ensure_future(ping())
        try:
            yield
        finally:
            pinging.cancel()
            with suppress(asyncio.CancelledError):
                await pinging


class CountingRelay(_Speaking):
    """Answers ``POST /v1/messages/count_tokens``: what the engine says of the prompt that the same request to ``/v1/messages`` makes."""

    def __init__(self, upstream: Upstream, request: Request) -> None:
        super().__init__(upstream, request, f"{MessagesDialect.path}/count_tokens")
        self.dialect: MessagesDialect | None = None

    async def _answer(self, raw: bytes) -> None:
        data = wire.parse_json(raw)
        wire.refuse_unkeepable(raw, data)
        self.dialect = dialect = MessagesDialect(data, only_counts=True)
        name = named_model(self.upstream.context, dialect.model)
        async with self.upstream.route(name) as route:
            self.exchange.model = name
            self._meet(route.served, dialect)
            body: Mapping[str, Any] = {"model": route.model, **dialect.body()}
            request = wire.parse_request(wire.ChatRequest, body)
            if (changed := await self._readable(route, body, request)) is not None:
                body, request = changed, wire.parse_request(wire.ChatRequest, changed)
            route.served.facts.refuse_beyond(dialect.endpoint, request)
            route.served.facts.refuse_beyond("/tokenize")
            refuse_unasked(route.served, "/tokenize")
            try:
                await self._count(route, body)
            except httpx.HTTPError as error:
                raise broken_off(route.served, error) from error

    async def _count(self, route: Route, body: Mapping[str, Any]) -> None:
        response = await self._ask_count(route, body)
        try:
            content = await response.aread()
        finally:
            await response.aclose()
        status = response.status_code
        if response.is_error:
            reply = json.loads(openai_error(content, status))
            self._note(reply, is_error=True)
            said = self._refusal(reply, status)
        elif (count := _count_in(content)) is None:
            raise InputError(
                T("the engine does not tell how many tokens these are", "引擎没有给出 token 数"), param="model"
            )
        else:
            said = {"input_tokens": count}
        text = json.dumps(said, ensure_ascii=False).encode()
        await self._whole(status, text, {"content-type": "application/json"})


def _has_more_than_text(data: Mapping[str, Any]) -> bool:
    contents = (message.get("content") for message in data["messages"])
    return any(part["type"] != "text" for content in contents if isinstance(content, list) for part in content)


def _count_in(content: bytes) -> int | None:
    try:
        count = json.loads(content)["count"]
    except (ValueError, KeyError, TypeError):
        return None
    return count if isinstance(count, int) else None
