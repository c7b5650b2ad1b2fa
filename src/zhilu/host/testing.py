"""For whoever writes a service: a fake service, and the rules that every service must keep."""

from __future__ import annotations

import json
from typing import Any

from zhilu import wire
from zhilu.context import Context
from zhilu.errors import ZhiluError
from zhilu.host.services import Reply, Service

__all__ = ["Echo", "check_service"]


class EchoRequest(wire.Request):
    """Says back what it is told."""

    text: str


class Echo:
    """A service that can be mounted anywhere."""

    paths = ("/v1/echo", "/echo")
    tag = "test"
    request = EchoRequest

    def models(self, context: Context) -> list[str]:
        return ["echo"]

    async def answer(self, context: Context, body: Any) -> Reply:
        return Reply("echo", {"text": body.text}, {"prompt_tokens": len(body.text), "total_tokens": len(body.text)})


async def check_service(service: Service, context: Context, good: dict[str, Any]) -> Reply:
    """Assert what the gateway relies on; ``good`` is a body that the service answers. Returns that answer."""
    assert service.paths and all(path.startswith("/") for path in service.paths)
    assert issubclass(service.request, wire.Request)
    try:
        wire.parse_request(service.request, {**good, "no_such_field": 1})
    except ZhiluError as error:
        assert error.param == "no_such_field", "an unknown field must be refused by its name"
    else:
        raise AssertionError("an unknown field must be refused")
    assert all(isinstance(name, str) and name for name in service.models(context))
    reply = await service.answer(context, wire.parse_request(service.request, good))
    assert reply.model in service.models(context), "what answers must be listed"
    assert isinstance(reply.body, bytes) or json.loads(json.dumps(reply.body)) == reply.body
    return reply
