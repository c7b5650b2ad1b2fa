"""The part of Ollama's API that handles models: show, pull, create, copy, delete; no I/O.

Source: Ollama's ``api/types.go`` and ``server/routes.go`` (August 2026). Its program sends every field of a request, empty or
not; an empty one asks for nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from zhilu.errors import InputError, UnsupportedError
from zhilu.messages import T
from zhilu.wire.constraints import Refusal
from zhilu.wire.requests import Request

__all__ = [
    "OllamaCopyRequest",
    "OllamaCreateRequest",
    "OllamaNameRequest",
    "OllamaPullRequest",
    "check_digest",
    "digest_of",
    "human_number",
    "read_context",
    "write_context",
]

_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")


def check_digest(given: str) -> str:
    """The 64 hexadecimal digits of ``sha256:…``; InputError for anything else."""
    match = _DIGEST.fullmatch(given)
    if match is None:
        raise InputError(
            T(f"a digest is sha256: and 64 hexadecimal digits, given {given!r}",
              f"digest 应为 sha256: 加 64 位十六进制数，给出的是 {given!r}"),
            param="digest",
        )  # fmt: skip
    return match[1]


class OllamaNameRequest(Request):
    """``POST /api/show``, ``DELETE /api/delete``: ``name`` is the older word for ``model``."""

    model: str | None = None
    name: str | None = None
    system: str | None = None
    template: str | None = None
    verbose: bool | None = None
    options: dict[str, Any] | None = None

    @property
    def wanted(self) -> str:
        return self.model or self.name or ""

    @model_validator(mode="after")
    def _names_a_model(self) -> OllamaNameRequest:
        if not self.wanted:
            raise Refusal("model", T("is required", "不能缺少"))
        return self


class OllamaPullRequest(OllamaNameRequest):
    """``POST /api/pull`` and ``/api/push``. The registry's credentials and plain HTTP have no meaning here."""

    stream: bool | None = None
    insecure: bool | None = None
    username: str | None = None
    password: str | None = None


class OllamaCopyRequest(Request):
    """``POST /api/copy``."""

    source: Annotated[str, Field(min_length=1)]
    destination: Annotated[str, Field(min_length=1)]


def _digests(files: dict[str, str] | None) -> dict[str, str] | None:
    for digest in (files or {}).values():
        if not _DIGEST.fullmatch(digest):
            raise Refusal("", T(f"{digest!r} is no digest", f"{digest!r} 不是 digest"))
    return files


class OllamaCreateRequest(OllamaNameRequest):
    """``POST /api/create``: the files that were uploaded as blobs, or a model that is here.

    What a Modelfile says beside ``FROM`` would be kept with the model, which nothing here does: it is refused by name.
    """

    stream: bool | None = None
    files: Annotated[dict[str, str], AfterValidator(_digests)] | None = None
    from_: str | None = Field(None, alias="from")
    quantize: str | None = None
    draft_quantize: str | None = None
    draft_files: dict[str, str] | None = None
    adapters: dict[str, str] | None = None
    license: Any = None
    parameters: dict[str, Any] | None = None
    messages: list[Any] | None = None
    renderer: str | None = None
    parser: str | None = None
    requires: str | None = None
    remote_host: str | None = None
    info: dict[str, Any] | None = None

    def refuse_more(self) -> None:
        """UnsupportedError for the first wish beyond files and a source; InputError where there is neither."""
        for name in (
            *("template", "system", "parameters", "messages", "adapters", "quantize", "draft_files", "draft_quantize"),
            *("renderer", "parser", "remote_host", "info", "options"),
        ):
            if getattr(self, name):
                raise UnsupportedError(
                    T(f"{name}: a model is kept here as its files are; send it with each request instead",
                      f"{name}：这里按原样保存模型文件；请在每次请求中给出"),
                    param=name,
                )  # fmt: skip
        if not self.files and not self.from_:
            raise InputError(T("neither 'from' or 'files' was specified", "没有给出 from 或 files"), param="files")


def digest_of(name: str, files: Mapping[str, str]) -> str:
    """64 hexadecimal digits that change with a model's files: Ollama's is of a manifest, which does not exist here."""
    return hashlib.sha256(json.dumps([name, sorted(files.items())]).encode()).hexdigest()


def human_number(count: int) -> str:
    """``494.03M``, ``1.5B``: parameters as Ollama writes them (format/format.go)."""
    for unit, letter in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K")):
        if count >= unit:
            value = count / unit
            return f"{value:.0f}{letter}" if value == int(value) else f"{value:.{2 if unit == 10**6 else 1}f}{letter}"
    return str(count)


# ---------------------------------------------------------------- the memory of /api/generate
# Ollama's is the conversation's token ids. To its clients it is a list of numbers that they send back; here it is the
# conversation itself, so that it works with every engine: a mark, and compressed JSON, a byte a number.

_MARK = b"zh1"
_MAX_CONTEXT_BYTES = 8 * 2**20


def write_context(messages: Sequence[Mapping[str, Any]]) -> list[int]:
    return list(_MARK + zlib.compress(json.dumps(list(messages), ensure_ascii=False).encode()))


def read_context(context: Sequence[int]) -> list[dict[str, Any]]:
    """The conversation so far; InputError for a context that was not made here."""
    try:
        raw = bytes(context)
        if not raw.startswith(_MARK):
            raise ValueError
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(raw[len(_MARK) :], _MAX_CONTEXT_BYTES)
        if unpacker.unconsumed_tail or not unpacker.eof:
            raise ValueError
        messages = json.loads(text)
        if not all(isinstance(m["role"], str) and isinstance(m["content"], str) and len(m) == 2 for m in messages):
            raise ValueError
    except (ValueError, TypeError, KeyError, zlib.error):
        raise InputError(
            T("context: is not one that this server has answered with", "context：不是这个服务返回的 context"),
            param="context",
        ) from None
    return list(messages)
