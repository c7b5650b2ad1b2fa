"""Errors as other engines write them, in OpenAI's shape."""

from __future__ import annotations

import json

import pytest

from zhilu.serving.gateway.upstream_errors import openai_error

LLAMA = {"error": {"code": 400, "message": "too long", "type": "exceed_context_size_error", "n_ctx": 512}}
OURS = {"error": {"message": "m", "type": "invalid_request_error", "param": "n", "code": "x", "fix": None}}


@pytest.mark.parametrize(
    ("content", "message", "code"),
    [
        (json.dumps(LLAMA).encode(), "too long", "exceed_context_size_error"),
        (b'{"object": "error", "message": "no", "code": 40301}', "no", None),
        (b'{"error": "model \'x\' not found"}', "model 'x' not found", None),
        (b'{"detail": [{"loc": ["body"], "msg": "bad"}]}', '[{"loc": ["body"], "msg": "bad"}]', None),
        (b"Internal Server Error", "Internal Server Error", None),
        (b"", "HTTP 502", None),
        (b"[1]", "[1]", None),
        (b"\xff\xfe", "\ufffd\ufffd", None),
    ],
)
def test_whatever_comes_leaves_in_openais_shape(content: bytes, message: str, code: str | None) -> None:
    error = json.loads(openai_error(content, 502))["error"]
    assert (error["message"], error["param"], error["code"]) == (message, None, code)
    assert isinstance(error["type"], str)


def test_what_has_the_shape_passes_untouched() -> None:
    content = json.dumps(OURS).encode()
    assert openai_error(content, 400) is content
    kept = json.loads(openai_error(json.dumps(LLAMA).encode(), 400))["error"]
    assert kept["n_ctx"] == 512 and kept["type"] == "exceed_context_size_error"
