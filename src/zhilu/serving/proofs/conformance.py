"""The conformance run behind gate 2.2: the official OpenAI Python client against a URL, one check after another.

Every check holds for any model, even a random one: it compares the server with itself (streamed against whole, twice with one
seed) and with what the protocol promises, never with expected words.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from zhilu.errors import ZhiluError
from zhilu.messages import T

if TYPE_CHECKING:
    import openai

__all__ = ["CHECKS", "Check", "Outcome", "measure_first_token", "run_conformance"]

_QUESTION = [{"role": "user", "content": "Count from one to twenty."}]


class _Wrong(Exception):
    """What the server did and what it should have done."""


@dataclass(frozen=True)
class Subject:
    """The server under test. ``embedder`` None: it has none, and says so itself."""

    client: openai.OpenAI
    model: str
    embedder: str | None

    def chat(self, **params: Any) -> Any:
        body = {"messages": _QUESTION, "max_tokens": 16, "temperature": 0, **params}
        return self.client.chat.completions.create(model=self.model, **body)

    def stream(self, **params: Any) -> list[Any]:
        return list(self.chat(stream=True, **params))

    def refused(self, call: Callable[[], Any], status: int) -> Any:
        """The client's own error of ``call``, which must be refused with ``status``."""
        import openai

        try:
            call()
        except openai.APIStatusError as error:
            _expect(error.status_code == status, f"refused with HTTP {error.status_code}, expected {status}")
            return error
        raise _Wrong("was answered instead of refused")


@dataclass(frozen=True)
class Check:
    """One promise of the protocol; ``run`` raises where it is broken."""

    name: str
    title: T
    run: Callable[[Subject], None]


@dataclass(frozen=True)
class Outcome:
    """What became of a check; ``why`` is empty when it passed."""

    check: Check
    passed: bool
    seconds: float
    why: str = ""


CHECKS: list[Check] = []


def _check(name: str, en: str, zh: str) -> Callable[[Callable[[Subject], None]], Callable[[Subject], None]]:
    def register(run: Callable[[Subject], None]) -> Callable[[Subject], None]:
        CHECKS.append(Check(name, T(en, zh), run))
        return run

    return register


def _expect(condition: object, otherwise: str) -> None:
    if not condition:
        raise _Wrong(otherwise)


def run_conformance(
    base_url: str, model: str, *, api_key: str | None = None, embedder: str | None = None, timeout: float = 120.0
) -> list[Outcome]:
    """Run every check, in order, and say what became of each. Checks for embeddings are left out without ``embedder``.

    Args:
        base_url: with ``/v1``.
        timeout: seconds a single call may take.
    """
    with connect_openai(base_url, api_key, timeout) as client:
        subject = Subject(client, model, embedder)
        return [_run(check, subject) for check in CHECKS if embedder or not check.name.startswith("embeddings")]


def measure_first_token(base_url: str, model: str, *, api_key: str | None = None, repeats: int = 5) -> float:
    """Median seconds from the request to the first piece of a streamed answer."""
    with connect_openai(base_url, api_key, 120.0) as client:
        return statistics.median(_first_token(Subject(client, model, None)) for _ in range(repeats))


def connect_openai(base_url: str, api_key: str | None, timeout: float) -> openai.OpenAI:
    """The official client; it does not repeat what failed, and a proxy never sees traffic of this machine's own."""
    import openai

    local = urlsplit(base_url).hostname in ("127.0.0.1", "localhost", "::1")
    http = openai.DefaultHttpxClient(trust_env=not local)
    return openai.OpenAI(base_url=base_url, api_key=api_key or "none", timeout=timeout, max_retries=0, http_client=http)


def _run(check: Check, subject: Subject) -> Outcome:
    import openai

    started = time.monotonic()
    try:
        check.run(subject)
        why = ""
    except (_Wrong, ZhiluError) as error:
        why = str(error)
    except openai.OpenAIError as error:
        why = f"{type(error).__name__}: {error}"
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        why = f"the answer has not the protocol's shape: {error}"
    return Outcome(check, not why, time.monotonic() - started, why)


def _first_token(subject: Subject) -> float:
    started = time.monotonic()
    with subject.chat(stream=True, max_tokens=2) as stream:
        for chunk in stream:
            if chunk.choices and (chunk.choices[0].delta.content or chunk.choices[0].finish_reason):
                return time.monotonic() - started
    raise _Wrong("the stream held no token")


# ---------------------------------------------------------------- models


@_check("models", "models are listed and shown", "列出并查看模型")
def _models(subject: Subject) -> None:
    listed = [model.id for model in subject.client.models.list()]
    _expect(subject.model in listed, f"{subject.model!r} is not among {listed}")
    _expect(subject.client.models.retrieve(subject.model).id == subject.model, "shows another model")
    subject.refused(lambda: subject.client.models.retrieve("no-such-model"), 404)


# ---------------------------------------------------------------- chat


@_check("chat", "a chat is answered, with true counts", "回答对话并给出真实用量")
def _chat(subject: Subject) -> None:
    reply = subject.chat(max_tokens=5)
    choice, used = reply.choices[0], reply.usage
    _expect(choice.message.role == "assistant", f"the role is {choice.message.role!r}")
    _expect(choice.finish_reason in ("stop", "length"), f"finish_reason is {choice.finish_reason!r}")
    _expect(used.total_tokens == used.prompt_tokens + used.completion_tokens, f"the counts do not add up: {used}")
    _expect(1 <= used.completion_tokens <= 5, f"{used.completion_tokens} tokens where at most 5 were asked for")
    if choice.finish_reason == "length":
        _expect(used.completion_tokens == 5, f"cut after {used.completion_tokens} of 5 tokens")


@_check("history", "system and earlier turns change the prompt", "系统提示与历史对话进入提示")
def _history(subject: Subject) -> None:
    long = [
        {"role": "system", "content": "Be brief."},
        *_QUESTION,
        {"role": "assistant", "content": "One."},
        *_QUESTION,
    ]
    short, longer = subject.chat(max_tokens=1), subject.chat(max_tokens=1, messages=long)
    _expect(longer.usage.prompt_tokens > short.usage.prompt_tokens, "a longer history has no more tokens")


@_check("stream", "a streamed answer equals the whole one", "流式回答与整段回答一致")
def _stream(subject: Subject) -> None:
    whole = subject.chat().choices[0]
    chunks = subject.stream()
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    reasons = [c.choices[0].finish_reason for c in chunks if c.choices]
    _expect(text == (whole.message.content or ""), f"streamed {text!r}, whole {whole.message.content!r}")
    _expect(reasons[-1] == whole.finish_reason, f"ended with {reasons[-1]!r}, whole {whole.finish_reason!r}")
    _expect(not any(reasons[:-1]), "a finish_reason came before the end")
    _expect(all(c.object == "chat.completion.chunk" for c in chunks), "chunks are of the wrong kind")
    _expect(len({c.id for c in chunks}) == 1, "the id changes within one answer")
    _expect(all(c.choices for c in chunks), "a chunk without choices, though no usage was asked for")


@_check("usage", "a stream ends with the counts of the whole answer", "流式结束时的用量与整段一致")
def _usage(subject: Subject) -> None:
    whole = subject.chat().usage
    *chunks, last = subject.stream(stream_options={"include_usage": True})
    _expect(not last.choices and last.usage, "the last chunk holds no usage")
    counts = (last.usage.prompt_tokens, last.usage.completion_tokens)
    _expect(counts == (whole.prompt_tokens, whole.completion_tokens), f"streamed {counts}, whole {whole}")
    _expect(all(c.usage is None for c in chunks), "usage came before the end")


@_check("stop", "a stop string ends the answer before it", "停止字符串生效且不出现在回答中")
def _stop(subject: Subject) -> None:
    text = subject.chat(max_tokens=32).choices[0].message.content or ""
    middle = text[len(text) // 2 : len(text) // 2 + 2]
    if not middle or "\ufffd" in middle:  # half a character cannot be asked for
        middle = next((char for char in text[1:] if char != "\ufffd"), "")
    _expect(middle, f"the model says nothing to stop at: {text!r}")
    for choice in (
        subject.chat(max_tokens=32, stop=[middle]).choices[0],
        subject.chat(max_tokens=32, stop=middle).choices[0],
    ):
        _expect(choice.finish_reason == "stop", f"finish_reason is {choice.finish_reason!r}")
        _expect(
            choice.message.content == text.split(middle)[0], f"{choice.message.content!r} of {text!r} at {middle!r}"
        )
    streamed = "".join(c.choices[0].delta.content or "" for c in subject.stream(max_tokens=32, stop=middle))
    _expect(streamed == text.split(middle)[0], f"streamed {streamed!r} of {text!r} at {middle!r}")


@_check("seed", "one seed gives one answer, others give others", "相同种子结果相同，不同种子结果不同")
def _seed(subject: Subject) -> None:
    def answer(seed: int) -> str:
        reply = subject.chat(seed=seed, temperature=1.9, top_p=1.0, max_tokens=24)
        return str(reply.choices[0].message.content)

    first = answer(7)
    _expect(first == answer(7), "two runs with the same seed differ")
    _expect(any(answer(seed) != first for seed in (8, 9, 10, 11)), "five seeds gave one and the same answer")


@_check("n", "n answers come back, numbered", "返回 n 个带编号的回答")
def _n(subject: Subject) -> None:
    choices = subject.chat(n=3, temperature=1.0, max_tokens=4).choices
    _expect([choice.index for choice in choices] == [0, 1, 2], f"the indexes are {[c.index for c in choices]}")


@_check("logprobs", "log-probabilities belong to the tokens of the answer", "对数概率与回答的 token 对应")
def _logprobs(subject: Subject) -> None:
    reply = subject.chat(logprobs=True, top_logprobs=2, max_tokens=6)
    content = reply.choices[0].logprobs.content
    _expect(content, "there are none")
    _expect(len(content) <= reply.usage.completion_tokens, "there are more than tokens")
    _expect(all(item.logprob <= 1e-6 and len(item.top_logprobs) == 2 for item in content), "out of range or incomplete")
    best = [max(alternative.logprob for alternative in item.top_logprobs) for item in content]
    _expect(
        all(abs(item.logprob - top) < 1e-4 for item, top in zip(content, best, strict=True)),
        "a greedy token is not the most likely one",
    )


@_check("leave", "who leaves a stream ends it at once", "客户端离开后立即停止生成")
def _leave(subject: Subject) -> None:
    with subject.chat(stream=True, max_tokens=512, extra_body={"ignore_eos": True}) as stream:
        next(iter(stream))
    _expect(subject.chat(max_tokens=1).choices, "does not answer the next request")


# ---------------------------------------------------------------- tools

_WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {"unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}, "rain": {"type": "boolean"}},
    "required": ["unit", "rain"],
    "additionalProperties": False,
}
_TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "get_weather", "description": "The weather.", "parameters": _WEATHER}},
    {
        "type": "function",
        "function": {"name": "get_time", "description": "The time.", "parameters": {**_WEATHER, "required": ["rain"]}},
    },
]
_ASKED = [{"role": "user", "content": "What is the weather like, in celsius, and does it rain?"}]


def _expect_call(call: Any, names: Sequence[str]) -> None:
    _expect(call.type == "function" and call.id, f"the call is {call!r}")
    _expect(call.function.name in names, f"calls {call.function.name!r}, not one of {list(names)}")
    _expect_weather(call.function.arguments)


def _expect_weather(text: str | None) -> None:
    """Written by a schema that leaves few words: so any model, held to it, must fit."""
    try:
        value = json.loads(text or "")
    except ValueError:
        raise _Wrong(f"not JSON: {text!r}") from None
    fits = (
        isinstance(value, dict)
        and isinstance(value.get("rain"), bool)
        and value.keys() <= _WEATHER["properties"].keys()
    )
    _expect(fits and value.get("unit", "celsius") in ("celsius", "fahrenheit"), f"does not fit the schema: {text!r}")


@_check(
    "tools-required",
    "a tool that must be called is called, with arguments that fit",
    "要求必须调用工具时调用，参数符合 schema",
)
def _tools_required(subject: Subject) -> None:
    params: dict[str, Any] = {"messages": _ASKED, "tools": _TOOLS, "max_tokens": 256, "temperature": 0}
    choice = subject.chat(**params, tool_choice="required").choices[0]
    _expect(choice.message.tool_calls, f"no call, but {choice.message.content!r}")
    _expect(choice.finish_reason in ("tool_calls", "stop"), f"finish_reason is {choice.finish_reason!r}")
    for call in choice.message.tool_calls:
        _expect_call(call, ["get_weather", "get_time"])
    ids = [call.id for call in choice.message.tool_calls]
    _expect(len(set(ids)) == len(ids), f"two calls have one id: {ids}")


@_check("tools-named", "the named tool is called, and no other", "指定工具时只调用该工具")
def _tools_named(subject: Subject) -> None:
    named = {"type": "function", "function": {"name": "get_time"}}
    choice = subject.chat(messages=_ASKED, tools=_TOOLS, tool_choice=named, max_tokens=256).choices[0]
    _expect(choice.message.tool_calls, f"no call, but {choice.message.content!r}")
    for call in choice.message.tool_calls:
        _expect_call(call, ["get_time"])


@_check("tools-stream", "a streamed call, put together, equals the whole one", "流式工具调用拼接后与整段一致")
def _tools_stream(subject: Subject) -> None:
    named = {"type": "function", "function": {"name": "get_weather"}}
    params: dict[str, Any] = {"messages": _ASKED, "tools": _TOOLS, "tool_choice": named, "max_tokens": 256}
    whole = subject.chat(**params).choices[0].message.tool_calls
    _expect(whole, "no call")
    pieces: dict[int, list[str]] = {}
    for chunk in subject.stream(**params):
        for delta in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
            name, arguments = pieces.setdefault(delta.index, ["", ""])
            function = delta.function
            pieces[delta.index] = [name + (function.name or ""), arguments + (function.arguments or "")]
    said = [pieces[index] for index in sorted(pieces)]
    _expect(said == [[c.function.name, c.function.arguments] for c in whole], f"streamed {said}, whole {whole}")


@_check("tools-none", "tools that must not be called are not called", "禁止调用工具时不调用")
def _tools_none(subject: Subject) -> None:
    message = subject.chat(messages=_ASKED, tools=_TOOLS, tool_choice="none").choices[0].message
    _expect(not message.tool_calls, f"calls {message.tool_calls!r}")


@_check("tools-history", "a call and its result belong to the conversation", "工具调用及其结果进入对话")
def _tools_history(subject: Subject) -> None:
    function = {"name": "get_weather", "arguments": '{"unit": "celsius", "rain": false}'}
    call = {"id": "call_1", "type": "function", "function": function}
    turns = [{"role": "assistant", "content": None, "tool_calls": [call]}]
    turns += [{"role": "tool", "tool_call_id": "call_1", "content": "21 degrees"}]
    short = subject.chat(messages=_ASKED, tools=_TOOLS, max_tokens=1)
    longer = subject.chat(messages=[*_ASKED, *turns], tools=_TOOLS, max_tokens=1)
    _expect(longer.usage.prompt_tokens > short.usage.prompt_tokens, "the result is not in the prompt")
    without = subject.chat(messages=_ASKED, max_tokens=1)
    _expect(short.usage.prompt_tokens > without.usage.prompt_tokens, "the tools are not in the prompt")


@_check("tools-refused", "a tool that does not exist cannot be chosen", "不能指定不存在的工具")
def _tools_refused(subject: Subject) -> None:
    named = {"type": "function", "function": {"name": "no_such_tool"}}
    error = subject.refused(lambda: subject.chat(messages=_ASKED, tools=_TOOLS, tool_choice=named), 400)
    _expect("no_such_tool" in error.message or "tool_choice" in error.message, f"does not name it: {error.message!r}")


# ---------------------------------------------------------------- JSON


def _json_format(strict: bool = True) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "weather", "schema": _WEATHER, "strict": strict}}


@_check(
    "json-schema", "an answer fits the JSON schema, streamed and whole alike", "回答符合 JSON schema，流式与整段一致"
)
def _json_schema(subject: Subject) -> None:
    params: dict[str, Any] = {"messages": _ASKED, "response_format": _json_format(), "max_tokens": 256}
    whole = subject.chat(**params).choices[0]
    _expect(whole.finish_reason == "stop", f"finish_reason is {whole.finish_reason!r}: {whole.message.content!r}")
    _expect_weather(whole.message.content)
    streamed = "".join(c.choices[0].delta.content or "" for c in subject.stream(**params) if c.choices)
    _expect(streamed == whole.message.content, f"streamed {streamed!r}, whole {whole.message.content!r}")
    for seed in (1, 2):  # a hot, random answer too
        _expect_weather(subject.chat(**params | {"temperature": 1.9, "seed": seed}).choices[0].message.content)


@_check("json-object", "an answer is a JSON object when asked for one", "要求 JSON 对象时返回 JSON 对象")
def _json_object(subject: Subject) -> None:
    asked = [{"role": "user", "content": 'Answer as JSON, such as {"a": 1}.'}]
    choice = subject.chat(messages=asked, response_format={"type": "json_object"}, max_tokens=128).choices[0]
    text = choice.message.content or ""
    _expect(text.lstrip().startswith("{"), f"does not begin as an object: {text!r}")
    if choice.finish_reason == "stop":  # cut by the limit, it is only the beginning of one
        try:
            _expect(isinstance(json.loads(text), dict), f"no object: {text!r}")
        except ValueError:
            raise _Wrong(f"not JSON: {text!r}") from None


@_check("json-refused", "a format that does not exist is refused by name", "未知的 response_format 按名字拒绝")
def _json_refused(subject: Subject) -> None:
    error = subject.refused(lambda: subject.chat(response_format={"type": "xml"}), 400)
    _expect("response_format" in f"{error.param} {error.message}", f"does not name it: {error.message!r}")


# ---------------------------------------------------------------- completions


@_check("completions", "a raw prompt is continued, streamed and whole alike", "续写原始提示，流式与整段一致")
def _completions(subject: Subject) -> None:
    params: dict[str, Any] = {"model": subject.model, "prompt": "One, two, three,", "max_tokens": 8, "temperature": 0}
    whole = subject.client.completions.create(**params)
    _expect(whole.choices[0].finish_reason in ("stop", "length"), f"finish_reason {whole.choices[0].finish_reason!r}")
    _expect(whole.usage and whole.usage.completion_tokens <= 8, f"usage is {whole.usage}")
    streamed = "".join(c.choices[0].text for c in subject.client.completions.create(**params, stream=True))
    _expect(streamed == whole.choices[0].text, f"streamed {streamed!r}, whole {whole.choices[0].text!r}")
    both = subject.client.completions.create(**{**params, "prompt": ["One", "Two"]})
    _expect([choice.index for choice in both.choices] == [0, 1], "two prompts did not give two choices")


# ---------------------------------------------------------------- embeddings


@_check("embeddings", "texts become vectors, as floats and in base64 alike", "文本向量：浮点与 base64 一致")
def _embeddings(subject: Subject) -> None:
    texts = ["The cat sits on the mat.", "A feline rests on a rug.", "Share prices fell on Monday."]
    assert subject.embedder is not None
    floats = subject.client.embeddings.create(model=subject.embedder, input=texts, encoding_format="float").data
    packed = subject.client.embeddings.create(model=subject.embedder, input=texts).data  # the client's own default
    vectors = [item.embedding for item in floats]
    _expect([item.index for item in floats] == [0, 1, 2], "the order is wrong")
    _expect(all(abs(_dot(v, v) - 1) < 1e-3 for v in vectors), "vectors are not of length 1")
    near = max(
        abs(a - b) for x, y in zip(floats, packed, strict=True) for a, b in zip(x.embedding, y.embedding, strict=True)
    )
    _expect(near < 0.02, f"float and base64 differ by {near}")
    same, other = _dot(vectors[0], vectors[1]), _dot(vectors[0], vectors[2])
    _expect(same > other, f"a paraphrase ({same:.2f}) is no nearer than a stranger ({other:.2f})")


@_check("embeddings-refused", "a dimension it has not is refused", "不支持的维度被拒绝")
def _embeddings_refused(subject: Subject) -> None:
    create = subject.client.embeddings.create
    assert subject.embedder is not None
    error = subject.refused(lambda: create(model=str(subject.embedder), input="x", dimensions=7), 400)
    _expect(error.param == "dimensions", f"names {error.param!r}")
    subject.refused(lambda: create(model=str(subject.embedder), input=[]), 400)


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


# ---------------------------------------------------------------- errors


@_check("unknown-model", "an unknown model is a 404 that says so", "未知模型返回 404 并说明")
def _unknown_model(subject: Subject) -> None:
    create = subject.client.chat.completions.create
    messages: Any = _QUESTION
    error = subject.refused(lambda: create(model="no-such-model", messages=messages), 404)
    _expect(error.code == "model_not_found", f"the code is {error.code!r}")
    _expect("no-such-model" in error.message, f"does not name it: {error.message!r}")


@_check("unknown-parameter", "an unknown parameter is refused by name", "未知参数按名字拒绝")
def _unknown_parameter(subject: Subject) -> None:
    error = subject.refused(lambda: subject.chat(extra_body={"temprature": 1}), 400)
    _expect("temprature" in error.message, f"does not name it: {error.message!r}")


@_check("out-of-range", "a value out of range is refused by name", "超出范围的取值按名字拒绝")
def _out_of_range(subject: Subject) -> None:
    error = subject.refused(lambda: subject.chat(temperature=9), 400)
    _expect(error.param == "temperature", f"names {error.param!r}")


@_check("over-long", "an input that is too long is refused, with by how much", "过长输入被拒绝并说明超出多少")
def _over_long(subject: Subject) -> None:
    limit = getattr(subject.client.models.retrieve(subject.model), "max_model_len", None) or 262_144
    create = subject.client.completions.create
    error = subject.refused(lambda: create(model=subject.model, prompt=[10] * (limit + 7), max_tokens=1), 400)
    _expect(any(char.isdigit() for char in error.message), f"says no number: {error.message!r}")
    _expect(subject.chat(max_tokens=1).choices, "does not answer afterwards")
