"""Errors of other engines in OpenAI's shape.

llama.cpp's ``code`` is a number, and FastChat's error has no ``error`` around it.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["openai_error"]


def openai_error(content: bytes, status: int) -> bytes:
    """The body of an error: ``{"error": {"message", "type", "param", "code"}}``, a text each or null, whatever came."""
    try:
        given: Any = json.loads(content)
    except ValueError:
        given = content.decode("utf-8", "replace").strip()
    error = given.get("error", given) if isinstance(given, dict) else given
    if isinstance(error, dict) and _is_whole(error) and isinstance(given.get("error"), dict):
        return content
    words = error if isinstance(error, dict) else {"message": error}
    detail = words.get("message") or words.get("detail") or words.get("msg")
    said = detail or given or ""
    message = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    kind = words.get("type") if isinstance(words.get("type"), str) else None
    code = words.get("code")
    own = {key: value for key, value in words.items() if key not in ("message", "detail", "msg", "object")}
    body = {
        **own,
        "message": message[:2000] or f"HTTP {status}",
        "type": kind or ("invalid_request_error" if 400 <= status < 500 else "server_error"),
        "param": words.get("param") if isinstance(words.get("param"), str) else None,
        # A status repeated as the code says nothing; the kind of error does.
        "code": code if isinstance(code, str) else kind,
    }
    return json.dumps({"error": body}, ensure_ascii=False).encode()


def _is_whole(error: dict[str, Any]) -> bool:
    texts = all(error.get(key) is None or isinstance(error[key], str) for key in ("type", "param", "code"))
    return texts and isinstance(error.get("message"), str) and {"type", "param", "code"} <= set(error)
