"""Services: what the gateway answers itself, without an engine (vectors, reranking, speech).

A service is a path, a request type and an answer. It registers under ``zhilu.services`` and needs nothing of the gateway: the
gateway parses and refuses, counts, and gives errors the API's shape. ``host/testing.py`` has a fake and the rules for services.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple, Protocol

from zhilu import wire
from zhilu.context import Context
from zhilu.messages import T
from zhilu.registry import Registry

__all__ = ["FileSearch", "Reply", "Service", "file_search", "service_registry"]


class Reply(NamedTuple):
    """What a service says: the body as it is sent (an object as JSON, pieces as they come), and what the ledger counts."""

    model: str  # the one that answered, under the name that it has here
    body: dict[str, Any] | bytes | AsyncIterator[bytes]
    usage: dict[str, Any] | None = None
    media_type: str = "application/json"


class Service(Protocol):
    """One kind of request, answered here.

    Attributes:
        paths: where it is asked; the first is the one that it is counted under.
        tag: the API it belongs to in the OpenAPI document (``openai``, ``vllm``).
        request: refuses what it does not know (``wire.Request``; ``wire.FormRequest`` where a file is uploaded).
    """

    paths: tuple[str, ...]
    tag: str
    request: type[wire.Request]

    def models(self, context: Context) -> list[str]:
        """Names that a request may give as ``model``; they are listed at ``/v1/models``."""

    async def answer(self, context: Context, body: Any) -> Reply:
        """Answer a request of type ``request``. Slow work belongs into a thread. Raises a ZhiluError that says why not."""


def service_registry() -> Registry[Service]:
    return Registry.from_entry_points("zhilu.services", T("service", "服务"))


class FileSearch(Protocol):
    """Passages from vector stores: what the Responses API's tool ``file_search`` is answered with. Registers under
    ``zhilu.file_search``; there is one."""

    def find(self, context: Context, wish: Mapping[str, Any], question: str) -> list[dict[str, Any]]:
        """The passages that fit best, each ``file_id``, ``filename``, ``text``, ``score`` and ``attributes``.

        ``wish``: the tool as the request has it. Blocks.

        Raises:
            InputError and below: ``wish`` asks for what there is not. NotFoundError: no such vector store.
        """


def file_search() -> FileSearch:
    registry: Registry[FileSearch] = Registry.from_entry_points("zhilu.file_search", T("file search", "文件检索"))
    return registry.get(registry.names()[0])
