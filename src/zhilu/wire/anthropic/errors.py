"""Anthropic's shape of an error, and how one tells that a client expects it.

Source: Anthropic's API reference, "Errors", and its Python SDK's types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zhilu.errors import InputError, ZhiluError, error_body
from zhilu.messages import T

__all__ = ["anthropic_error", "body_as_asked", "is_anthropic", "kind_of"]

_KINDS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_TOO_LONG = "prompt is too long"  # by these words a client knows that it has to shorten its conversation
_OUR_PATH = "/v1/messages"


def kind_of(status: int) -> str:
    return _KINDS.get(status, "invalid_request_error" if 400 <= status < 500 else "api_error")


def anthropic_error(body: Mapping[str, Any], status: int, request_id: str | None = None) -> dict[str, Any]:
    """OpenAI's error body as Anthropic's; ``details`` has our code, the parameter and the fix."""
    given = body.get("error")
    error: Mapping[str, Any] = given if isinstance(given, Mapping) else {"message": given or body}
    message = str(error.get("message"))
    if error.get("code") == "context_length_exceeded" and not message.startswith(_TOO_LONG):
        message = f"{_TOO_LONG}: {message}"
    told = {"error_code": error.get("code"), **{name: error.get(name) for name in ("param", "fix", "messages")}}
    details = {name: value for name, value in told.items() if value is not None}
    said = {"type": kind_of(status), "message": message, **({"details": details} if details else {})}
    return {"type": "error", "error": said, "request_id": request_id}


def is_anthropic(scope: Mapping[str, Any]) -> bool:
    """Whether a request (an ASGI scope) speaks this API: it says so in a header, or asks at its address."""
    path = scope.get("path", "")
    if path == _OUR_PATH or path.startswith(f"{_OUR_PATH}/"):
        return True
    return any(name == b"anthropic-version" for name, _ in scope.get("headers") or ())


def body_as_asked(scope: Mapping[str, Any], error: ZhiluError, status: int, lang: str | None = None) -> dict[str, Any]:
    """The body of an error in the shape that the client expects."""
    body = error_body(error, lang)
    return anthropic_error(body, status) if is_anthropic(scope) else body


def refused(param: str, en: str, zh: str) -> InputError:
    """What is known and not valid at one place of the request."""
    return InputError(T(f"{param}: {en}", f"{param}：{zh}"), param=param, code="invalid_value")
