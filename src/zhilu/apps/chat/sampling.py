"""How a conversation's answers are sampled: what its page may set, and a file that is taken in may say."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["SamplingParams"]


class SamplingParams(BaseModel):
    model_config = ConfigDict(extra="forbid")
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=-1, le=2**31)
    max_tokens: int | None = Field(None, ge=1, le=2**31)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    repetition_penalty: float | None = Field(None, gt=0, le=100)
    think: bool | None = Field(None, description="for a model whose template knows ``enable_thinking``")
