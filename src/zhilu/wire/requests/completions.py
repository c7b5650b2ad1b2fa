"""``POST /v1/completions``: a prompt that goes to the model as it is."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from zhilu.messages import T
from zhilu.wire.constraints import Refusal
from zhilu.wire.requests.sampled import Sampled

__all__ = ["CompletionRequest"]


class CompletionRequest(Sampled):
    """``POST /v1/completions``. The prompt is text, token ids, or a list of either."""

    prompt: str | list[int] | list[str] | list[list[int]] = ""
    prompt_embeds: Any = None  # known, refused by name
    max_tokens: Annotated[int, Field(ge=0)] | None = None  # 0 with echo: only the prompt's log-probabilities
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    suffix: str | None = None

    @model_validator(mode="after")
    def _has_a_prompt(self) -> CompletionRequest:
        if not self.prompt and not self.prompt_embeds:
            # The sentence that clients of vLLM know.
            words = "Either prompt or prompt_embeds must be provided and non-empty."
            raise Refusal("prompt", T(words, "必须给出非空的 prompt 或 prompt_embeds。"))
        if self.max_tokens == 0 and not self.echo:
            raise Refusal(
                "max_tokens", T("must be at least 1, or 0 with echo=true", "至少为 1；与 echo=true 一起可为 0")
            )
        return self

    @property
    def token_limit(self) -> int:
        return 16 if self.max_tokens is None else max(1, self.max_tokens)  # 16: the API's default here

    @property
    def num_top_logprobs(self) -> int | None:
        return self.logprobs

    @property
    def prompts(self) -> list[str | list[int]]:
        if isinstance(self.prompt, str) or (self.prompt and isinstance(self.prompt[0], int)):
            return [self.prompt]
        return list(self.prompt)  # type: ignore[arg-type]
