"""The routes of vLLM's server beside OpenAI's: liveness, version, load, tokenizer, cancelling, and one address for all requests.

Clients and probes written for vLLM find them where they expect them. A request that names no model is about the default one, as
everywhere in the gateway.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from zhilu import __version__, wire
from zhilu.errors import InputError, NotFoundError
from zhilu.messages import T
from zhilu.serving.gateway.gateway import Gateway
from zhilu.serving.gateway.relay import read_body
from zhilu.wire.batch import BatchChatRequest
from zhilu.wire.cancel import CancelRequest, cancelled
from zhilu.wire.rerank import RerankRequest, ScoreRequest

__all__ = ["gateway_of", "json_only", "router"]

_TAGS: list[str | Enum] = ["vllm"]


def gateway_of(request: Request) -> Gateway:
    gateway = request.app.state.gateway
    assert isinstance(gateway, Gateway)
    return gateway


async def json_only(request: Request) -> None:  # not a plain function: FastAPI would hand each call to a thread
    """NotJsonError for a body that is said to be something else, a form for example."""
    wire.check_media_type(request.headers.get("content-type"))


def body_of(*kinds: type[wire.Request]) -> dict[str, Any]:
    """OpenAPI's description of a body that we parse ourselves."""
    schemas = [{"type": "object", "title": kind.__name__, "description": kind.__doc__} for kind in kinds]
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    media_type = "multipart/form-data" if issubclass(kinds[0], wire.FormRequest) else "application/json"
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


router = APIRouter(tags=_TAGS, dependencies=[Depends(json_only)])


@router.get("/ping")
@router.post("/ping")
async def ping() -> dict[str, str]:
    """SageMaker's name for ``/health``."""
    return {"status": "ok"}


@router.get("/version")
async def version() -> dict[str, str]:
    return {"version": __version__}


@router.get("/load")
async def load(request: Request) -> dict[str, int]:
    """Requests that are being answered by engines just now."""
    states = gateway_of(request).supervisor.states().values()
    return {"server_load": sum(served.in_flight for served in states)}


@router.get("/tokenizer_info")
async def tokenizer_info(request: Request, model: str | None = None) -> Response:
    """The tokenizer's configuration and the chat template of a model."""
    return await gateway_of(request).ask(request, "/tokenizer_info", model)


@router.post("/v1/chat/completions/batch", openapi_extra=body_of(BatchChatRequest))
async def chat_batch(request: Request) -> Response:
    """Several conversations in one request."""
    return await gateway_of(request).pass_on(request, "/v1/chat/completions/batch", BatchChatRequest)


@router.post("/v1/requests/cancel", openapi_extra=body_of(CancelRequest))
@router.post("/abort_requests", openapi_extra=body_of(CancelRequest))
async def cancel_requests(request: Request) -> dict[str, Any]:
    """End answers by the ids of their replies; ids that are none are left out."""
    body = wire.parse_request(CancelRequest, wire.parse_json(await read_body(request)))
    return cancelled(await gateway_of(request).cancel(body.request_ids))


@router.post("/v1/requests/{id}/cancel")
@router.delete("/v1/requests/{id}")
async def cancel_request(id: str, request: Request) -> dict[str, str]:
    """End one answer by the id of its reply."""
    if not await gateway_of(request).cancel([id]):
        raise NotFoundError(T(f"No request {id!r} is being answered.", f"没有正在回答的请求 {id!r}。"), param="id")
    return {"status": "cancelled", "request_id": id}


_KINDS = (wire.ChatRequest, wire.CompletionRequest, wire.EmbeddingRequest, RerankRequest, ScoreRequest)


@router.post("/invocations", openapi_extra=body_of(*_KINDS))
async def invocations(request: Request) -> Response:
    """SageMaker's one door: what the request holds says what it is."""
    raw = await read_body(request)

    async def again() -> dict[str, Any]:
        return {"type": "http.request", "body": raw, "more_body": False}

    same, gateway = Request(request.scope, again), gateway_of(request)
    data = wire.parse_json(raw)
    if "messages" in data:
        return await gateway.pass_on(same, "/v1/chat/completions", wire.ChatRequest)
    if "prompt" in data:
        return await gateway.pass_on(same, "/v1/completions", wire.CompletionRequest)
    if "input" in data:
        return await gateway.serve(same, gateway.services.get("embeddings"))
    if "query" in data:
        return await gateway.serve(same, gateway.services.get("rerank"))
    if ScoreRequest.is_meant(data):
        return await gateway.serve(same, gateway.services.get("score"))
    raise _nothing_asked(data)


def _nothing_asked(data: Mapping[str, Any]) -> InputError:
    wanted = "messages, prompt, input, query, queries"
    given = ", ".join(data) or "-"
    return InputError(
        T(
            f"the body asks for nothing that is known: it needs one of {wanted}; given {given}",
            f"看不出请求的是什么：需要 {wanted} 之一；给出的是 {given}",
        )
    )
