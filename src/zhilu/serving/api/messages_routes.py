"""Anthropic's Messages API for its own clients, in front of whichever engine serves the model (``wire.anthropic``).

``GET /v1/models`` is OpenAI's; a client that sends ``anthropic-version`` gets the same models as Anthropic's API lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from zhilu.serving.api.messages_relay import CountingRelay, MessagesRelay
from zhilu.serving.api.vllm_routes import body_of, gateway_of, json_only
from zhilu.serving.gateway.gateway import Gateway
from zhilu.wire.anthropic import MessagesRequest, anthropic_model, anthropic_page

__all__ = ["messages_model", "messages_models", "router"]

_TAGS: list[str | Enum] = ["anthropic"]
router = APIRouter(tags=_TAGS, dependencies=[Depends(json_only)])


@router.post("/v1/messages", openapi_extra=body_of(MessagesRequest))
async def create_message(request: Request) -> Response:
    return MessagesRelay(gateway_of(request), request)


@router.post("/v1/messages/count_tokens", openapi_extra=body_of(MessagesRequest))
async def count_message_tokens(request: Request) -> Response:
    """How many tokens the prompt of such a request has; only engines that count tokens can tell."""
    return CountingRelay(gateway_of(request), request)


async def messages_models(gateway: Gateway, query: Mapping[str, str]) -> dict[str, Any]:
    """Those that can answer: an embedder or a voice is no model of this API."""
    others = {*gateway.embeddings.names(), *gateway.names_of_services()}
    return anthropic_page([entry for entry in await gateway.models() if entry["id"] not in others], query)


async def messages_model(gateway: Gateway, name: str) -> dict[str, Any]:
    """Raises NotFoundError."""
    return anthropic_model(await gateway.model(name))
