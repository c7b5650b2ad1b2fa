"""Beam search over HTTP: the likeliest answers, the same each time, and refused with what would do nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from tests.contract.engine_server import run_engine

from zhilu.models.shipped import NANO

MODEL = "zhilu-nano"
USER: Any = [{"role": "user", "content": "北京今天天气怎么样？"}]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with run_engine(NANO, MODEL) as url:
        yield url


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=180) as client:
        yield client


def complete(client: openai.OpenAI, prompt: Any = "北京是", **fields: Any) -> Any:
    body = {"return_token_ids": True, "return_tokens_as_token_ids": True, **fields.pop("extra", {})}
    wish = {"model": MODEL, "prompt": prompt, "max_tokens": 5, "temperature": 0, **fields}
    return client.completions.create(**wish, extra_body=body)


def beams(client: openai.OpenAI, n: int, prompt: Any = "北京是", **fields: Any) -> Any:
    extra = {"use_beam_search": True, **fields.pop("extra", {})}
    return complete(client, prompt, n=n, extra=extra, **fields)


def test_it_finds_what_following_the_best_beginnings_finds(client: openai.OpenAI) -> None:
    """Recomputed from the log-probabilities that the engine reports of the next token."""
    width, length = 3, 3
    prompt = complete(client, max_tokens=1).choices[0].prompt_token_ids
    live: list[tuple[float, list[int]]] = [(0.0, [])]
    for _ in range(length):
        grown = []
        for total, ids in live:
            top = (
                complete(client, [*prompt, *ids], max_tokens=1, logprobs=2 * width).choices[0].logprobs.top_logprobs[0]
            )
            grown += [(total + value, [*ids, int(name.removeprefix("token_id:"))]) for name, value in top.items()]
        live = sorted(grown, reverse=True)[:width]
    reply = beams(client, width, max_tokens=length, logprobs=2, extra={"ignore_eos": True})
    assert [choice.token_ids for choice in reply.choices] == [ids for _, ids in live]
    for choice, (total, _) in zip(reply.choices, live, strict=True):
        assert sum(choice.logprobs.token_logprobs) == pytest.approx(total, abs=0.05)
    assert {choice.finish_reason for choice in reply.choices} == {"length"}


@pytest.mark.parametrize("prompts", [["你好，我叫"] * 2, [[50, 51, 52]] * 2])
def test_answers_differ_and_equal_prompts_have_equal_ones(client: openai.OpenAI, prompts: Any) -> None:
    texts = [choice.text for choice in beams(client, 2, prompts).choices]
    assert len(texts) == 4
    assert texts[0] != texts[1] and texts[:2] == texts[2:]


def test_one_beam_is_the_greedy_answer(client: openai.OpenAI) -> None:
    assert beams(client, 1, max_tokens=12).choices[0].text == complete(client, max_tokens=12).choices[0].text


def test_a_chat_ends_where_the_model_ends_it(client: openai.OpenAI) -> None:
    wish: dict[str, Any] = {"model": MODEL, "messages": USER, "max_tokens": 60, "n": 2}
    short, long = (
        client.chat.completions.create(**wish, extra_body={"use_beam_search": True, "length_penalty": penalty})
        for penalty in (0.0, 3.0)
    )
    for reply in (short, long):
        assert len(reply.choices) == 2 and reply.choices[0].message.content != reply.choices[1].message.content
    assert short.choices[0].finish_reason == "stop"
    assert "<|im_end|>" not in short.choices[0].message.content
    assert long.usage.completion_tokens >= short.usage.completion_tokens


def test_the_prompt_is_told_as_always(client: openai.OpenAI) -> None:
    reply = beams(client, 2, echo=True, logprobs=1, extra={"prompt_logprobs": 1})
    plain = complete(client, echo=True, logprobs=1, extra={"prompt_logprobs": 1})
    for choice in reply.choices:
        assert choice.text.startswith("北京是") and choice.prompt_logprobs == plain.choices[0].prompt_logprobs
        assert choice.logprobs.token_logprobs[0] is None and len(choice.logprobs.tokens) > 5


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stream": True}, "stream"),
        ({"temperature": 0.7}, "temperature"),
        ({"stop": ["。"]}, "stop"),
        ({"extra": {"top_k": 5}}, "top_k"),
        ({"extra": {"structured_outputs": {"regex": "a+"}}}, "structured_outputs.regex"),
        ({"extra": {"use_beam_search": False, "length_penalty": 2.0}}, "length_penalty"),
        ({"prompt": [1] * 100_000}, "prompt"),
    ],
)
def test_what_it_cannot_take_is_refused_by_name(client: openai.OpenAI, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        beams(client, 2, **fields)
    assert caught.value.param == param


def test_a_client_that_leaves_ends_it(url: str) -> None:
    body = {"prompt": "x", "max_tokens": 1500, "n": 8, "use_beam_search": True, "ignore_eos": True}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}/v1/completions", json=body, timeout=0.5)
    deadline = time.monotonic() + 60
    quiet = 0
    while quiet < 5:  # between two steps nothing runs either
        assert time.monotonic() < deadline, "it goes on for nobody"
        state = httpx.get(f"{url}/state").json()
        quiet = 0 if state["running"] or state["waiting"] else quiet + 1
        time.sleep(0.02)
