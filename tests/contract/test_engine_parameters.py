"""Parameters that vLLM's users send beside OpenAI's: each has its effect, or is refused by its name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from tests.contract.engine_server import run_engine

from zhilu.models.shipped import NANO

MODEL = "zhilu-nano"
USER: Any = [{"role": "system", "content": "you are helpful"}, {"role": "user", "content": "北京今天天气怎么样？"}]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with run_engine(NANO, MODEL) as url:
        yield url


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=180) as client:
        yield client


def chat(client: openai.OpenAI, **fields: Any) -> Any:
    wish = {"model": MODEL, "messages": USER, "max_tokens": 40, "temperature": 0, **fields}
    return client.chat.completions.create(**wish)


def complete(client: openai.OpenAI, **fields: Any) -> Any:
    return client.completions.create(
        **{"model": MODEL, "prompt": "北京是", "max_tokens": 12, "temperature": 0, **fields}
    )


def test_an_answer_has_so_many_characters_at_least(client: openai.OpenAI) -> None:
    plain = chat(client, max_tokens=400).choices[0]
    assert plain.finish_reason == "stop"
    wanted = len(plain.message.content) + 30
    longer = chat(client, max_tokens=400, extra_body={"min_characters": wanted}).choices[0].message.content
    assert len(longer) >= wanted and longer.startswith(plain.message.content)


def test_bad_words_do_not_come(client: openai.OpenAI, url: str) -> None:
    text = complete(client, extra_body={"ignore_eos": True}).choices[0].text
    single = [c for c in text if len(httpx.post(f"{url}/tokenize", json={"prompt": c}).json()["tokens"]) == 1]
    assert single, text
    without = complete(client, extra_body={"bad_words": single[:1], "ignore_eos": True}).choices[0].text
    assert single[0] not in without
    # Of a word of several tokens only the last is forbidden, and only behind the others.
    pair = text[:2]
    without = complete(client, extra_body={"bad_words": [pair], "ignore_eos": True}).choices[0].text
    assert pair not in without
    with pytest.raises(openai.BadRequestError, match="bad_words"):
        complete(client, extra_body={"bad_words": [" "]})


def test_log_probabilities_of_chosen_tokens(client: openai.OpenAI) -> None:
    ids = [100, 1000, 5000]
    body = {"logprob_token_ids": ids, "return_tokens_as_token_ids": True}
    (entry,) = chat(client, max_tokens=1, logprobs=True, top_logprobs=3, extra_body=body).choices[0].logprobs.content
    assert {top.token for top in entry.top_logprobs} == {*(f"token_id:{id}" for id in ids), entry.token}
    assert [top.logprob for top in entry.top_logprobs] == sorted((t.logprob for t in entry.top_logprobs), reverse=True)
    (likely,) = complete(client, max_tokens=1, logprobs=1, extra_body=body).choices[0].logprobs.top_logprobs
    assert {f"token_id:{id}" for id in ids} <= likely.keys()


@pytest.mark.parametrize("asks", [chat, complete])
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"logprobs": 1, "extra_body": {"logprob_token_ids": []}}, "must not be an empty list"),
        ({"extra_body": {"logprob_token_ids": [7]}}, "when using `logprob_token_ids`"),
        ({"logprobs": 1, "extra_body": {"logprob_token_ids": [10**7]}}, "out of vocabulary"),
        ({"logprobs": 1, "extra_body": {"logprob_token_ids": "123"}}, "logprob_token_ids"),
        ({"extra_body": {"cache_salt": ""}}, "cache_salt"),
        ({"extra_body": {"truncate_prompt_tokens": 0}}, "truncate_prompt_tokens"),
        ({"extra_body": {"truncate_prompt_tokens": -2}}, "truncate_prompt_tokens"),
        ({"extra_body": {"response_format": {"type": "json_schema"}}}, "json_schema: must be provided"),
        ({"extra_body": {"spaces_between_special_tokens": False}}, "spaces_between_special_tokens"),
        ({"extra_body": {"request_id": "a b"}}, "request_id"),
    ],
)
def test_what_cannot_be_is_refused(client: openai.OpenAI, asks: Any, fields: dict[str, Any], said: str) -> None:
    if asks is chat and fields.get("logprobs") == 1:
        fields = {**fields, "logprobs": True}
    with pytest.raises(openai.BadRequestError, match=said):
        asks(client, **fields)


@pytest.mark.parametrize(("prompt", "extra"), [(None, {"prompt_embeds": []}), ([], {}), ("", {}), (None, {})])
def test_a_completion_needs_a_prompt(client: openai.OpenAI, prompt: Any, extra: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError, match="Either prompt or prompt_embeds must be provided and non-empty"):
        complete(client, prompt=prompt, extra_body=extra)
    with pytest.raises(openai.BadRequestError, match="prompt_embeds"):
        complete(client, extra_body={"prompt_embeds": "AAAA"})


def test_a_conversation_as_token_ids(client: openai.OpenAI, url: str) -> None:
    ids = httpx.post(f"{url}/tokenize", json={"messages": USER}).json()["tokens"]
    body = {"prompt_token_ids": ids, "return_token_ids": True}
    reply = chat(client, messages=[], extra_body=body)
    assert reply.prompt_token_ids == ids
    assert reply.choices[0].message.content == chat(client).choices[0].message.content
    for wrong in ({"add_generation_prompt": True}, {"chat_template_kwargs": {}}):
        with pytest.raises(openai.BadRequestError, match="prompt_token_ids"):
            chat(client, messages=[], extra_body={**body, **wrong})
    with pytest.raises(openai.BadRequestError, match="prompt_token_ids"):
        chat(client, extra_body=body)
    with pytest.raises(openai.BadRequestError, match="messages"):
        chat(client, messages=[])


def test_a_prompt_is_cut_to_what_there_is_room_for(client: openai.OpenAI, url: str) -> None:
    limit = httpx.get(f"{url}/v1/models").json()["data"][0]["max_model_len"]
    reply = complete(client, prompt=[20] * (limit + 5), max_tokens=3, extra_body={"truncate_prompt_tokens": -1})
    assert reply.usage.prompt_tokens == limit - 3
    whole = complete(client, prompt=[20] * 5, max_tokens=3, extra_body={"truncate_prompt_tokens": -1})
    assert whole.usage.prompt_tokens == 5


def test_prompts_of_another_salt_share_nothing(client: openai.OpenAI) -> None:
    prompt = list(range(100, 180))

    def cached(salt: str | None) -> int:
        reply = complete(client, prompt=prompt, max_tokens=1, extra_body={"cache_salt": salt} if salt else {})
        return int(reply.usage.prompt_tokens_details.cached_tokens)

    assert [cached(None), cached("a"), cached("b")] == [0, 0, 0]
    assert min(cached(None), cached("a"), cached("b")) > 0


def test_an_answer_bears_the_id_of_its_request(client: openai.OpenAI) -> None:
    assert chat(client, max_tokens=1, extra_body={"request_id": "mine-1"}).id == "chatcmpl-mine-1"
    chunks = complete(client, max_tokens=2, stream=True, extra_body={"request_id": "mine-2"})
    assert {chunk.id for chunk in chunks} == {"cmpl-mine-2"}


def test_a_reply_has_the_fields_that_clients_expect(client: openai.OpenAI, url: str) -> None:
    """As the official library fills them in: a reply read as JSON and one read by it are the same."""
    raw = httpx.post(f"{url}/v1/chat/completions", json={"messages": USER, "max_tokens": 2, "temperature": 0}).json()
    assert raw["choices"] == chat(client, max_tokens=2).model_dump()["choices"]
