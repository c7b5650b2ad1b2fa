"""What a request asks of the sampler, checked and independent of any wire format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["SamplingParams"]


@dataclass(frozen=True)
class SamplingParams:
    """Defaults change nothing: plain sampling from the model's distribution.

    Attributes:
        max_tokens: generate at most this many.
        temperature: 0 takes the likeliest token (greedy).
        top_p: smallest set of tokens with this much probability (nucleus sampling, arXiv 1904.09751).
        top_k: the k likeliest tokens; 0 for all.
        min_p: tokens at least this fraction as likely as the likeliest (arXiv 2407.01082).
        presence_penalty, frequency_penalty: subtracted from the logits of generated tokens, once or per occurrence.
        repetition_penalty: divides positive and multiplies negative logits of prompt and output tokens (CTRL, 1909.05858).
        logit_bias: added to the logits, by token id.
        seed: the same request with the same seed draws the same tokens, whatever else is in the batch.
        grammar: what the answer must look like (``guided_grammars.py`` writes it); None for anything.
        allowed_token_ids: only these may be drawn; empty for all.
        num_prompt_logprobs: also report log-probabilities of the prompt's tokens, with so many alternatives.
        min_characters: the answer does not end by itself before it has so many.
        bad_words: token ids of words that must not come; the last token of each is forbidden behind the others.
        logprob_token_ids: report the log-probabilities of these instead of the likeliest.
        cache_salt: the prompt's computation is shared only with requests of the same salt.
        num_top_logprobs: report log-probabilities of the unchanged distribution, with so many alternatives.
    """

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = None
    min_tokens: int = 0
    min_characters: int = 0
    bad_words: tuple[tuple[int, ...], ...] = ()
    logprob_token_ids: tuple[int, ...] = ()
    cache_salt: str | None = None
    stop_strings: tuple[str, ...] = ()
    stop_token_ids: frozenset[int] = frozenset()
    ignore_eos: bool = False
    include_stop: bool = False
    skip_special_tokens: bool = True
    num_top_logprobs: int | None = None
    num_prompt_logprobs: int | None = None
    allowed_token_ids: frozenset[int] = frozenset()
    grammar: str | None = None
