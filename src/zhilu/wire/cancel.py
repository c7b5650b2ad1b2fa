"""vLLM's ``POST /v1/requests/cancel``: ends answers by the ids of their replies, ``chatcmpl-…`` or ``cmpl-…``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from zhilu.wire.requests import Request

__all__ = ["CancelRequest", "cancelled"]


class CancelRequest(Request):
    request_ids: Annotated[tuple[str, ...], Field(max_length=1024, strict=False)] = ()


def cancelled(ids: Sequence[str]) -> dict[str, Any]:
    return {"status": "cancelled", "cancelled_request_ids": list(ids)}
