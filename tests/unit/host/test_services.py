"""Services: the rules that each keeps, and one of somebody else's beside ours."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from zhilu.context import Context, open_context
from zhilu.host.services import service_registry
from zhilu.host.testing import Echo, check_service


@pytest.fixture
def context(own_home: Path) -> Iterator[Context]:
    opened = open_context()
    yield opened
    opened.close()


TEXTS = ["a cat", "a dog"]
BODIES: dict[str, dict[str, Any]] = {
    "embeddings": {"model": "zhilu-embed", "input": TEXTS},
    "rerank": {"model": "zhilu-embed", "query": "cat", "documents": TEXTS},
    "score": {"model": "zhilu-embed", "queries": "cat", "documents": TEXTS},
}

SPEECH = {"speech", "transcriptions"}  # need models: see tests/contract/test_speech_api.py


def test_every_service_has_a_body_here() -> None:
    assert set(service_registry().names()) == set(BODIES) | SPEECH


@pytest.mark.parametrize("name", sorted(BODIES))
def test_a_service_keeps_the_rules(name: str, context: Context) -> None:
    reply = asyncio.run(check_service(service_registry().get(name), context, BODIES[name]))
    assert reply.usage is not None and reply.usage["total_tokens"] > 0


def test_the_fake_keeps_them_too(context: Context) -> None:
    assert asyncio.run(check_service(Echo(), context, {"text": "hi"})).body == {"text": "hi"}
