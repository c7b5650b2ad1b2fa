"""Behind gate 2.3: every sampling parameter, moved alone, must change the output or bound it, or be refused by name.

A server that ignores a parameter answers as if it were not there; each check looks for that. The checks hold for any model, even
a random one, and for any server that speaks the protocol, because they look only at its answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from zhilu.messages import T
from zhilu.serving.proofs.conformance import connect_openai

if TYPE_CHECKING:
    import openai

__all__ = ["PARAMETERS", "Parameter", "Proof", "prove_sampling"]

_PROMPTS = (
    "1, 2, 3, 4,",
    "The cat sat on the mat. The cat",
    "春天来了，春天",
    "a b a b a b",
    "List three fruits:",
    "def f(x):",
)
_HOT = 1.9  # a temperature at which hardly two answers are equal


class _Ignored(Exception):
    """What the server answered, though the parameter should have made it another answer."""


@dataclass(frozen=True)
class Parameter:
    """``is_core``: in OpenAI's own API, where a refusal counts as a failure; the others may be refused by name."""

    name: str
    does: T
    is_core: bool
    prove: Callable[[Asker], None]


@dataclass(frozen=True)
class Proof:
    """What became of a parameter; ``why`` says what was wrong, or how it was refused."""

    parameter: Parameter
    outcome: Literal["proven", "refused", "ignored"]
    seconds: float
    why: str = ""


@dataclass(frozen=True)
class Asker:
    """Completions of one model."""

    client: openai.OpenAI
    model: str

    def ask(self, prompt: str = _PROMPTS[0], *, max_tokens: int = 24, temperature: float = 0, **params: Any) -> Any:
        known = {"top_p", "seed", "stop", "n", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs"}
        extra = {name: params.pop(name) for name in list(params) if name not in known}
        return self.client.completions.create(
            model=self.model, prompt=prompt, max_tokens=max_tokens, temperature=temperature, extra_body=extra or None, **params
        )  # fmt: skip

    def text(self, prompt: str = _PROMPTS[0], **params: Any) -> str:
        return str(self.ask(prompt, **params).choices[0].text)

    def expect_greedy(self, **params: Any) -> None:
        """``params`` leave one candidate at every step, so that even a hot answer is the greedy one."""
        plain = [self.text(prompt, temperature=_HOT, seed=seed) for seed, prompt in enumerate(_PROMPTS[:3])]
        _expect(plain != [self.text(prompt) for prompt in _PROMPTS[:3]], "hot answers are the greedy ones anyway")
        for seed, prompt in enumerate(_PROMPTS[:3]):
            greedy, hot = self.text(prompt), self.text(prompt, temperature=_HOT, seed=seed, **params)
            _expect(hot == greedy, f"{params} at temperature {_HOT} gave {hot!r}, the only candidates are {greedy!r}")

    def expect_change(self, **params: Any) -> None:
        """Moves at least one greedy answer: over this many tokens every model repeats some of them."""
        for prompt in _PROMPTS:
            if self.text(prompt, max_tokens=64) != self.text(prompt, max_tokens=64, **params):
                return
        raise _Ignored(f"{params} changed none of {len(_PROMPTS)} answers")


PARAMETERS: list[Parameter] = []


def _parameter(
    name: str, en: str, zh: str, *, is_core: bool = True
) -> Callable[[Callable[[Asker], None]], Callable[[Asker], None]]:
    def register(prove: Callable[[Asker], None]) -> Callable[[Asker], None]:
        PARAMETERS.append(Parameter(name, T(en, zh), is_core, prove))
        return prove

    return register


def _expect(condition: object, otherwise: str) -> None:
    if not condition:
        raise _Ignored(otherwise)


def prove_sampling(base_url: str, model: str, *, api_key: str | None = None, timeout: float = 120.0) -> list[Proof]:
    """Prove every parameter, in order. ``base_url`` with ``/v1``; ``timeout``: seconds for a single call."""
    with connect_openai(base_url, api_key, timeout) as client:
        asker = Asker(client, model)
        return [_prove(parameter, asker) for parameter in PARAMETERS]


def _prove(parameter: Parameter, asker: Asker) -> Proof:
    import openai

    started = time.monotonic()
    outcome: Literal["proven", "refused", "ignored"] = "proven"
    why = ""
    try:
        parameter.prove(asker)
    except _Ignored as error:
        outcome, why = "ignored", str(error)
    except openai.BadRequestError as error:
        is_named = parameter.name in f"{error.param} {error.message}"
        outcome, why = "refused" if is_named else "ignored", error.message
    except openai.OpenAIError as error:
        outcome, why = "ignored", f"{type(error).__name__}: {error}"
    return Proof(parameter, outcome, time.monotonic() - started, why)


# ---------------------------------------------------------------- bounds


@_parameter("max_tokens", "bounds the length", "限制长度")
def _max_tokens(asker: Asker) -> None:
    for limit in (1, 5):
        used = asker.ask(max_tokens=limit).usage.completion_tokens
        _expect(used <= limit, f"max_tokens={limit} gave {used} tokens")
    longer = max(asker.ask(prompt, max_tokens=24).usage.completion_tokens for prompt in _PROMPTS)
    _expect(longer > 5, "no answer is longer than five tokens, so that the limit could not be seen")


@_parameter("min_tokens", "bounds the length from below", "限制最短长度", is_core=False)
def _min_tokens(asker: Asker) -> None:
    shortest = min(asker.ask(prompt, max_tokens=32, min_tokens=32).usage.completion_tokens for prompt in _PROMPTS)
    _expect(shortest == 32, f"min_tokens=32 gave {shortest} tokens")


@_parameter("ignore_eos", "goes on to the limit", "一直写到上限", is_core=False)
def _ignore_eos(asker: Asker) -> None:
    for prompt in _PROMPTS:
        choice = asker.ask(prompt, max_tokens=32, ignore_eos=True).choices[0]
        _expect(choice.finish_reason == "length", f"ignore_eos ended with {choice.finish_reason!r}")


@_parameter("stop", "ends the answer before its string", "在该字符串之前结束回答")
def _stop(asker: Asker) -> None:
    for prompt in _PROMPTS:
        text = asker.text(prompt)
        middle = next((char for char in text[1:] if char != "\ufffd"), "")
        if middle:
            short = asker.text(prompt, stop=[middle])
            _expect(short == text.split(middle)[0], f"stop={middle!r} gave {short!r} of {text!r}")
            return
    raise _Ignored("no answer holds anything to stop at")


@_parameter("n", "gives so many answers", "返回这么多个回答")
def _n(asker: Asker) -> None:
    choices = asker.ask(n=3, temperature=_HOT, seed=1).choices
    _expect(len(choices) == 3, f"n=3 gave {len(choices)}")
    _expect(len({choice.text for choice in choices}) > 1, "three hot answers are one and the same")


@_parameter("logprobs", "reports probabilities", "给出概率")
def _logprobs(asker: Asker) -> None:
    told = asker.ask(logprobs=2, max_tokens=4).choices[0].logprobs
    _expect(told and told.token_logprobs and all(value <= 1e-6 for value in told.token_logprobs), f"told {told!r}")
    _expect(asker.ask(max_tokens=4).choices[0].logprobs is None, "they come unasked")


# ---------------------------------------------------------------- candidates


@_parameter("temperature", "spreads the choice", "控制随机程度")
def _temperature(asker: Asker) -> None:
    _expect(asker.text() == asker.text(), "two answers at temperature 0 differ")
    hot = {asker.text(temperature=_HOT, seed=seed) for seed in range(4)}
    _expect(len(hot) > 1, f"four answers at temperature {_HOT} are one and the same")


@_parameter("seed", "repeats a random answer", "重现随机回答")
def _seed(asker: Asker) -> None:
    first = asker.text(temperature=_HOT, seed=7)
    _expect(asker.text(temperature=_HOT, seed=7) == first, "one seed gave two answers")
    _expect(any(asker.text(temperature=_HOT, seed=seed) != first for seed in (8, 9, 10)), "four seeds gave one answer")


@_parameter("top_p", "leaves the likeliest", "只保留最可能的候选")
def _top_p(asker: Asker) -> None:
    asker.expect_greedy(top_p=1e-6)


@_parameter("top_k", "leaves the k likeliest", "只保留前 k 个候选", is_core=False)
def _top_k(asker: Asker) -> None:
    asker.expect_greedy(top_k=1)


@_parameter("min_p", "leaves those near the likeliest", "只保留接近最高概率的候选", is_core=False)
def _min_p(asker: Asker) -> None:
    asker.expect_greedy(min_p=1.0)


@_parameter("logit_bias", "raises or bars tokens by id", "按编号提高或禁止 token")
def _logit_bias(asker: Asker) -> None:
    said = {asker.text(logit_bias={str(id): 100}, max_tokens=4) for id in (40, 41, 42)}
    _expect(len(said) == 3, f"three tokens, each raised by 100, gave {sorted(said)}")


# ---------------------------------------------------------------- penalties


@_parameter("presence_penalty", "makes a token that was said less likely", "降低已出现 token 的概率")
def _presence(asker: Asker) -> None:
    asker.expect_change(presence_penalty=2.0)


@_parameter("frequency_penalty", "the more, the more often it was said", "出现越多概率越低")
def _frequency(asker: Asker) -> None:
    asker.expect_change(frequency_penalty=2.0)


@_parameter("repetition_penalty", "divides the logits of what was said", "缩小已出现 token 的 logit", is_core=False)
def _repetition(asker: Asker) -> None:
    asker.expect_change(repetition_penalty=1.8)


@_parameter("stop_token_ids", "ends at a token", "遇到该 token 结束", is_core=False)
def _stop_token_ids(asker: Asker) -> None:
    bias = {"40": 100}
    choice = asker.ask(logit_bias=bias, stop_token_ids=[40], max_tokens=6).choices[0]
    _expect(choice.finish_reason == "stop", f"went on past its stop token: {choice.text!r}")
    _expect(asker.ask(logit_bias=bias, max_tokens=6).choices[0].finish_reason == "length", "it stops there anyway")


# ---------------------------------------------------------------- refusals


@_parameter("temprature", "is no parameter, and refused", "不是参数，应被拒绝", is_core=False)
def _unknown(asker: Asker) -> None:
    asker.ask(temprature=0.5)
    raise _Ignored("an unknown parameter was ignored")
