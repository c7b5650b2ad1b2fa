"""``POST /v1/embeddings``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from zhilu.messages import T
from zhilu.wire.constraints import Refusal
from zhilu.wire.requests.base import Request, Truncation

__all__ = ["EmbeddingRequest"]


class EmbeddingRequest(Request):
    """``POST /v1/embeddings``. The official Python client asks for base64 unless told otherwise."""

    input: str | list[int] | list[str] | list[list[int]]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1)] | None = None
    input_type: Literal["query", "passage"] = "passage"
    truncate_prompt_tokens: Truncation = None
    embed_dtype: Literal["float32", "float16"] = "float32"  # of what base64 encodes
    endianness: Literal["native", "little", "big"] = "native"  # little on every machine this runs on

    @model_validator(mode="after")
    def _bytes_are_for_base64(self) -> EmbeddingRequest:
        for name in ("embed_dtype", "endianness"):
            if name in self.model_fields_set and self.encoding_format != "base64":
                raise Refusal(name, T("only with encoding_format='base64'", "只能与 encoding_format='base64' 一起使用"))
        return self
