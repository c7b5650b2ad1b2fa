"""Is this URL an API, is the key good, is the model there? One list of models and one request of one token tell."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx

from zhilu.errors import InputError, NotFoundError, UpstreamError, ZhiluError
from zhilu.messages import T
from zhilu.models.apis.faults import name_no_such_model, not_an_api, unreachable, upstream_fault
from zhilu.models.apis.presets import first_of

__all__ = ["Probe", "probe", "roots_of"]

_SECONDS = 30.0
_TRIED = 3  # of the models listed, where none was named: some of a list embed or draw


@dataclass(frozen=True)
class Probe:
    """What a test found: the root that answers, all models it lists (none where it keeps no list), the model that
    answered, and how long that took."""

    root: str
    models: tuple[str, ...]
    model: str
    seconds: float


def probe(
    name: str,
    base_url: str,
    key: str | None,
    models: Sequence[str] = (),
    first: Sequence[str] = (),
    transport: httpx.BaseTransport | None = None,
) -> Probe:
    """Test an API as it will be used.

    Args:
        name: what a person calls it, for messages. models: to be there; the first is asked. first: patterns to choose by.

    Raises:
        InputError: the URL is no URL, or no API answers there (``api_wrong_url``).
        UpstreamError: the key is refused, the account is empty, it fails. NotFoundError: no such model.
        UnreachableError: nothing answers. BusyError: too many requests.
    """
    roots = roots_of(base_url)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    # A proxy variable must not send local traffic away from the machine.
    proxied = httpx.URL(roots[0]).host not in ("127.0.0.1", "localhost", "::1")
    with httpx.Client(headers=headers, timeout=_SECONDS, trust_env=proxied, transport=transport) as client:
        root, listed = _find_root(client, name, roots, key)
        missing = [model for model in models if listed and model not in listed]
        if missing:
            raise name_no_such_model(name, missing[0], listed)
        return _first_answer(client, name, root, key, listed, models, first)


def roots_of(base_url: str) -> list[str]:
    """Where the API may be: the URL as it is, else with ``/v1``; pasted endpoints are cut off."""
    try:
        parts = urlsplit(base_url.strip())
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_url = False
    if not is_url:
        raise InputError(
            T(
                f"The address {base_url!r} is no URL: it begins with http:// or https://.",
                f"地址 {base_url!r} 不是 URL：应当以 http:// 或 https:// 开头。",
            ),
            param="base_url",
            code="api_wrong_url",
            fix="--base-url https://HOST/v1",
        )
    if parts.username or parts.password:
        raise InputError(
            T("The URL holds a password: give it as the key.", "URL 里带有密码：请把它作为密钥填写。"),
            param="base_url",
            code="api_wrong_url",
        )
    path = parts.path.rstrip("/")
    for end in ("/chat/completions", "/models", "/completions"):
        path = path.removesuffix(end)
    given = urlunsplit((parts.scheme, parts.netloc, path, "", ""))
    return [given, f"{given}/v1"] if path else [f"{given}/v1", given]


def _find_root(client: httpx.Client, name: str, roots: list[str], key: str | None) -> tuple[str, list[str]]:
    """The root that lists models. One that has no list is found by its refusal of an empty chat."""
    fault: ZhiluError | None = None
    for root in roots:
        response = _send(client, name, root, "GET", "/models", key)
        if response.is_success and (listed := _listed(response)) is not None:
            return root, listed
        if response.status_code in (401, 402, 403, 429):
            raise upstream_fault(name, root, response.status_code, response.content, response.headers, key)
        if response.is_success:
            fault = fault or not_an_api(root, T("its answer is no list of models", "它的回答不是模型列表"))
        else:
            fault = fault or upstream_fault(name, root, response.status_code, response.content, response.headers, key)
    for root in roots:
        response = _send(client, name, root, "POST", "/chat/completions", key, {"model": "", "messages": []})
        if response.status_code in (400, 401, 403, 422) and isinstance(_json(response), dict):
            return root, []
    assert fault is not None
    raise fault


def _first_answer(
    client: httpx.Client, name: str, root: str, key: str | None, listed: list[str], models: Sequence[str],
    first: Sequence[str],
) -> Probe:  # fmt: skip
    wanted = list(models[:1]) or first_of(listed, first)[:_TRIED]
    if not wanted:
        raise NotFoundError(
            T(
                f"The API {name!r} lists no model: say which one to use.",
                f"API {name!r} 没有列出模型：请说明要用哪一个。",
            ),
            param="model",
            code="model_not_found",
            fix=f"zhilu model api add {name} --model MODEL",
        )
    fault: ZhiluError | None = None
    for model in wanted:
        began = time.monotonic()
        response = _ask(client, name, root, key, model)
        reply = _json(response)
        if response.is_success and isinstance(reply, dict) and reply.get("choices"):
            return Probe(root, tuple(listed), model, time.monotonic() - began)
        if response.is_success:
            fault = fault or not_an_api(root, T("its answer to a chat has no choices", "它对对话的回答没有 choices"))
            continue
        problem = upstream_fault(name, root, response.status_code, response.content, response.headers, key, model)
        if isinstance(problem, UpstreamError):
            raise problem  # the key or the account: another model would not help
        fault = fault or problem
    assert fault is not None
    raise fault


def _ask(client: httpx.Client, name: str, root: str, key: str | None, model: str) -> httpx.Response:
    """One token; an API that has renamed the limit (OpenAI's newer models) is asked by the new name."""
    messages = [{"role": "user", "content": "Hi"}]
    for limit in ("max_tokens", "max_completion_tokens"):
        response = _send(
            client, name, root, "POST", "/chat/completions", key, {"model": model, "messages": messages, limit: 16}
        )
        if response.status_code != 400 or b"max_completion_tokens" not in response.content:
            break
    return response


def _send(
    client: httpx.Client, name: str, root: str, method: str, path: str, key: str | None, body: Any = None
) -> httpx.Response:
    try:
        return client.request(method, f"{root}{path}", json=body)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise unreachable(name, root, error, key) from None


def _listed(response: httpx.Response) -> list[str] | None:
    """The ids of ``GET /models``, without Google's prefix; None where it is no such list."""
    body = _json(response)
    rows = body.get("data") if isinstance(body, dict) else None
    if not isinstance(rows, list):
        return None
    return [
        row["id"].removeprefix("models/") for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)
    ]


def _json(response: httpx.Response) -> Any:
    try:
        return json.loads(response.content)
    except ValueError:
        return None
