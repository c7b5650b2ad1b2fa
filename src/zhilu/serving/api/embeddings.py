"""The service ``/v1/embeddings``, with the embedders of ``zhilu.models``.

They run in a thread of this process, because they are small and start fast.
"""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from zhilu import wire
from zhilu.context import Context
from zhilu.errors import InputError, UnsupportedError
from zhilu.host.services import Reply
from zhilu.messages import T
from zhilu.serving.catalog import no_such_model

if TYPE_CHECKING:
    from zhilu.models.embedders import Embedder

__all__ = ["EMBEDDINGS", "MAX_INPUTS", "Embeddings", "cut", "refuse_long"]

MAX_INPUTS = 2048  # OpenAI's own bound
_CUT = "truncate_prompt_tokens"
# Names of the product's embedders that are not those of the registry.
_DEFAULT_NAMES = ("zhilu-embed", "default")


@runtime_checkable
class _CountsTokens(Protocol):
    def count_tokens(self, texts: list[str]) -> list[int]: ...


@runtime_checkable
class _Cuts(Protocol):
    def truncate(self, texts: list[str], num_tokens: int) -> list[str]: ...


class Embeddings:
    """Answers embedding requests. Embedders are loaded when first used."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def names(self) -> list[str]:
        from zhilu.models.embedders import embedder_names

        return embedder_names()

    def find(self, name: str | None) -> str | None:
        """The embedder's own name for what a request calls it; no name, or ours for the default, is the setting's."""
        if name is None or name in _DEFAULT_NAMES:
            return self._default()
        return name if name in self.names() else None

    def wanted(self, name: str | None) -> str:
        """The same; NotFoundError with the names there are, UnsupportedError for a model that answers."""
        from zhilu.models import ModelStore

        found = self.find(name)
        if found is None and name in {model.name for model in ModelStore(self.context).list()}:
            there = ", ".join(self.names())
            raise UnsupportedError(
                T(
                    f"{name!r} answers in words; it does not turn text into vectors. These do: {there}.",
                    f"{name!r} 是对话模型，不能把文本变成向量。可用的有：{there}。",
                ),
                param="model",
            )
        if found is None:
            raise no_such_model(name or "", self.names())
        return found

    def _default(self) -> str:
        from zhilu.models.embedders import DEFAULT

        chosen = self.context.settings.embedder
        return DEFAULT if chosen == "auto" else chosen

    async def answer(self, name: str, body: wire.EmbeddingRequest) -> dict[str, Any]:
        """The reply.

        Raises:
            InputError: nothing to embed, too many inputs, or a text longer than the embedder reads (by how much).
            UnsupportedError: another dimension than the embedder has, or token ids instead of text.
        """
        return await asyncio.to_thread(self._answer, name, body)

    def load(self, name: str) -> Embedder:
        """The embedder itself; loaded once. Blocks: call it in a thread."""
        from zhilu.models.embedders import load_embedder

        return load_embedder(name, self.context)

    def _answer(self, name: str, body: wire.EmbeddingRequest) -> dict[str, Any]:
        import numpy as np

        texts = _texts(body)
        embedder = self.load(name)
        dim = _dimensions(embedder, name, body.dimensions)
        texts = cut(embedder, name, texts, body.truncate_prompt_tokens)
        num_tokens = refuse_long(embedder, name, texts, "input")
        vectors = np.asarray(embedder.embed(texts, kind=body.input_type), dtype=np.float32)[:, :dim]
        if dim < embedder.dim:  # the first dimensions of a vector trained to be cut are a shorter one, once scaled
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        data: list[Any] = cast("list[Any]", vectors.tolist())
        if body.encoding_format == "base64":
            order, size = (">" if body.endianness == "big" else "<"), (2 if body.embed_dtype == "float16" else 4)
            data = [base64.b64encode(vector.astype(f"{order}f{size}").tobytes()).decode() for vector in vectors]
        return wire.embedding_list(name, data, num_tokens)


class EmbeddingService:
    """Texts to vectors."""

    paths = ("/v1/embeddings",)
    tag = "openai"
    request = wire.EmbeddingRequest

    def models(self, context: Context) -> list[str]:
        return Embeddings(context).names()

    async def answer(self, context: Context, body: wire.EmbeddingRequest) -> Reply:
        embeddings = Embeddings(context)
        name = embeddings.wanted(body.model)
        reply = await embeddings.answer(name, body)
        return Reply(name, reply, reply["usage"])


EMBEDDINGS = EmbeddingService()


def _dimensions(embedder: Embedder, name: str, wanted: int | None) -> int:
    """How many numbers a vector gets; fewer than it has only where the embedder says which (``dims``)."""
    possible = sorted({*getattr(embedder, "dims", ()), embedder.dim})
    if wanted is not None and wanted not in possible:
        listed = ", ".join(map(str, possible))
        raise UnsupportedError(
            T(
                f"{name!r} has {listed} dimensions and cannot be cut to {wanted}.",
                f"{name!r} 的维度是 {listed}，不能改为 {wanted}。",
            ),
            param="dimensions",
        )
    return wanted or embedder.dim


def cut(embedder: Embedder, name: str, texts: list[str], num_tokens: int | None, param: str = _CUT) -> list[str]:
    """The beginnings of ``texts``, for those who asked for that; -1 stands for all that the embedder reads.

    Raises:
        InputError: it does not read so much. UnsupportedError: it cannot cut.
    """
    if num_tokens is None:
        return texts
    if num_tokens > embedder.max_tokens:
        raise InputError(
            T(
                f"{param} {num_tokens} is more than the {embedder.max_tokens} tokens that {name!r} reads. "
                "Please request a smaller truncation size.",
                f"{param} {num_tokens} 大于 {name!r} 能读的 {embedder.max_tokens} 个 token，请改小。",
            ),
            param=param,
        )
    if not isinstance(embedder, _Cuts):
        raise UnsupportedError(T(f"{name!r} cannot cut texts.", f"{name!r} 不能截断文本。"), param=param)
    return embedder.truncate(texts, embedder.max_tokens if num_tokens < 0 else num_tokens)


def refuse_long(embedder: Embedder, name: str, texts: list[str], param: str) -> int:
    """The number of tokens, 0 where the embedder does not count; InputError for a text that it would have to cut."""
    counts = embedder.count_tokens(texts) if isinstance(embedder, _CountsTokens) else [0] * len(texts)
    for index, count in enumerate(counts):
        if count > embedder.max_tokens:
            over = count - embedder.max_tokens
            raise InputError(
                T(
                    f"{param} {index} has {count} tokens, {over} more than the {embedder.max_tokens} {name!r} reads. "
                    "Please reduce the length of the input prompt, or have it cut by truncate_prompt_tokens.",
                    f"{param} {index} 有 {count} 个 token，比 {name!r} 能读的 {embedder.max_tokens} 多 {over} 个。"
                    "请缩短输入，或用 truncate_prompt_tokens 截断。",
                ),
                param=param,
                code="context_length_exceeded",
            )
    return sum(counts)


def _texts(body: wire.EmbeddingRequest) -> list[str]:
    texts = [body.input] if isinstance(body.input, str) else list(body.input)
    if not texts or not all(texts):
        raise InputError(T("An input must not be empty.", "输入不能为空。"), param="input")
    if any(not isinstance(text, str) for text in texts):
        raise UnsupportedError(
            T("Give text: token ids are not supported here.", "请给出文本：这里不支持 token id。"), param="input"
        )
    if len(texts) > MAX_INPUTS:
        raise InputError(
            T(
                f"{len(texts)} inputs; at most {MAX_INPUTS} at once.",
                f"有 {len(texts)} 个输入；一次最多 {MAX_INPUTS} 个。",
            ),
            param="input",
        )
    return cast("list[str]", texts)
