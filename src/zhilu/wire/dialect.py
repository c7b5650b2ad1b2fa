"""What it takes to offer another API on top of chat completions: translation in both directions, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from zhilu.errors import ZhiluError

__all__ = ["Dialect"]


class Dialect(Protocol):
    """One request in another API's words, and its answer. An object lives for one request.

    The constructor takes the request's JSON object and raises InputError (UnsupportedError where a known wish cannot be
    granted), as ``wire.parse_request`` does.

    Attributes:
        path: where the other API has it; ``endpoint``: where the engine has what it is put into.
        media_type: of a streamed answer.
        num_ctx: the context length that was asked for in tokens, None where nothing was said.
    """

    path: str
    endpoint: str
    media_type: ClassVar[str]
    model: str | None
    stream: bool
    num_ctx: int | None

    def body(self) -> dict[str, Any]:
        """The OpenAI request, without ``model``; a stream is asked for with its token counts."""
        ...

    def whole(self, reply: Mapping[str, Any]) -> dict[str, Any]:
        """The engine's whole reply in the other API's words."""
        ...

    def begin(self) -> bytes:
        """What a stream opens with."""
        ...

    def piece(self, chunk: Mapping[str, Any]) -> bytes:
        """One chunk of the engine's stream; often empty."""
        ...

    def end(self) -> bytes:
        """What a stream closes with once the engine has said ``[DONE]``."""
        ...

    def broken(self, error: ZhiluError) -> bytes:
        """The close of a stream that failed after it had begun."""
        ...

    @staticmethod
    def refusal(body: Mapping[str, Any]) -> dict[str, Any]:
        """An OpenAI-shaped error body as the other API has it."""
        ...

    def own_name(self, param: str) -> str:
        """What the other API calls a field of the OpenAI request, for the errors that name one."""
        ...
