"""What went wrong at somebody else's API, told apart: the key, the URL, the model, the account, the network.

The words of the API are shown beside ours, without the key: some echo it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from zhilu.errors import BusyError, InputError, NotFoundError, UnreachableError, UpstreamError, ZhiluError, nearest
from zhilu.messages import T

__all__ = [
    "checked_key",
    "hide_key",
    "key_end",
    "name_no_such_model",
    "not_an_api",
    "said_by",
    "unreachable",
    "upstream_fault",
]

_SHOWN = 4  # of a key: enough to know which one it is


def key_end(key: str | None) -> str | None:
    """The last characters of a key, and of a short one none: ``…3f9a``."""
    return None if not key else f"…{key[-_SHOWN:]}" if len(key) >= 3 * _SHOWN else "…"


def hide_key(text: str, key: str | None) -> str:
    return text.replace(key, key_end(key) or "") if key else text


def upstream_fault(
    api: str,
    root: str,
    status: int,
    content: bytes,
    headers: Mapping[str, str],
    key: str | None,
    model: str | None = None,
) -> ZhiluError:
    """The error for an answer that is one: of the API ``api`` at ``root``, to a request about ``model``."""
    said = hide_key(said_by(content), key)
    words = f": {said}" if said else "."
    chinese = f"：{said}" if said else "。"
    if status in (401, 403):
        which = (
            T(f"the key {key_end(key)}", f"密钥 {key_end(key)}")
            if key
            else T("a request without a key", "没有密钥的请求")
        )
        return UpstreamError(  # not a 401 of ours: the workbench would ask for its own key
            T(
                f"The API {api!r} refuses {which.en} (HTTP {status}){words}",
                f"API {api!r} 拒绝了{which.zh}（HTTP {status}）{chinese}",
            ),
            param="api_key",
            code="api_key_refused",
            fix=f"zhilu model api add {api} --replace",
        )
    if status == 402:
        return UpstreamError(
            T(
                f"The account at the API {api!r} has no balance left (HTTP 402){words}",
                f"API {api!r} 的账户余额不足（HTTP 402）{chinese}",
            ),
            code="api_no_balance",
        )
    if model is not None and _is_about_the_model(status, content):
        return name_no_such_model(api, model, (), said)
    if status == 404 and model is not None:
        return NotFoundError(
            T(f"The API {api!r} has nothing there (HTTP 404){words}", f"API {api!r} 没有这个接口（HTTP 404）{chinese}"),
            code="not_found",
        )
    if status == 404:
        return not_an_api(root, T(f"HTTP 404{words}", f"HTTP 404{chinese}"))
    if status == 429:
        after = headers.get("retry-after", "")
        return BusyError(
            T(
                f"The API {api!r} takes no more requests just now (HTTP 429){words}",
                f"API {api!r} 暂时不接受更多请求（HTTP 429）{chinese}",
            ),
            retry_after=int(after) if after.isdigit() else 10,
            code="api_busy",
        )
    if 400 <= status < 500:
        return InputError(
            T(
                f"The API {api!r} refuses the request (HTTP {status}){words}",
                f"API {api!r} 拒绝了这个请求（HTTP {status}）{chinese}",
            ),
            param=_param(content),
            code="api_refused",
        )
    return UpstreamError(
        T(f"The API {api!r} failed (HTTP {status}){words}", f"API {api!r} 出错（HTTP {status}）{chinese}"),
        code="api_failed",
    )


def unreachable(api: str, root: str, error: Exception, key: str | None = None) -> UnreachableError:
    """Nothing answers at ``root``: a name that does not resolve, a closed port, a network that is down."""
    reason = hide_key(str(error), key) or type(error).__name__
    return UnreachableError(
        T(f"Nothing answers for the API {api!r} at {root}: {reason}", f"API {api!r} 的地址 {root} 没有应答：{reason}"),
        param="base_url",
        code="api_unreachable",
        fix=f"zhilu model api test {api}",
    )


def not_an_api(root: str, why: T) -> InputError:
    """Something answers there, and it is no API of the OpenAI kind: the URL is wrong."""
    return InputError(
        T(
            f"The URL {root!r} is not that of an OpenAI-compatible API: {why.en}",
            f"地址 {root!r} 不是 OpenAI 兼容 API 的地址：{why.zh}",
        ),
        param="base_url",
        code="api_wrong_url",
        fix="--base-url https://HOST/v1",
    )


def name_no_such_model(api: str, model: str, there: tuple[str, ...] | list[str], said: str = "") -> NotFoundError:
    close = nearest(model, there)
    shown = ", ".join(there[:12]) + (f" … ({len(there)})" if len(there) > 12 else "")
    hint = T(f" Did you mean {close!r}?", f"是不是 {close!r}？") if close else T("", "")
    listed = T(f" It has: {shown}.", f"它有：{shown}。") if there else T("", "")
    words = T(f" ({said})", f"（{said}）") if said else T("", "")
    return NotFoundError(
        T(
            f"The API {api!r} has no model {model!r}.{words.en}{hint.en}{listed.en}",
            f"API {api!r} 没有模型 {model!r}。{words.zh}{hint.zh}{listed.zh}",
        ),
        param="model",
        code="model_not_found",
        fix=f"zhilu model api test {api}",
    )


def checked_key(key: str | None) -> str | None:
    """A key as it can be sent: without the space around it; None for an empty one.

    Raises:
        InputError: it holds what no header may, such as a line break; the key itself is not shown.
    """
    key = (key or "").strip()
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise InputError(
            T(
                "The key holds characters that no key has (spaces, line breaks or letters beyond ASCII).",
                "密钥里含有不可能出现的字符（空格、换行或非 ASCII 字符）。",
            ),
            param="api_key",
            code="api_key_refused",
        )
    return key or None


def said_by(content: bytes) -> str:
    """The API's own words in an error, whatever dress they come in; empty for a page of HTML."""
    text = content.decode("utf-8", "replace").strip()
    try:
        body: Any = json.loads(text)
    except ValueError:
        return "" if text.startswith("<") else text[:300]
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail") or error.get("msg") or ""
    return str(error)[:500]


def _param(content: bytes) -> str | None:
    try:
        param = json.loads(content)["error"]["param"]
    except (ValueError, KeyError, TypeError):
        return None
    return param if isinstance(param, str) else None


def _is_about_the_model(status: int, content: bytes) -> bool:
    """APIs say "no such model" as 404, 400 or 422; the word for it is in the message or the code."""
    if status not in (400, 404, 422):
        return False
    text = content.decode("utf-8", "replace").lower()
    if text.lstrip().startswith("<"):
        return False
    about = "model" in text or "模型" in text
    missing = (
        "not found",
        "not exist",
        "not_found",
        "no such",
        "unknown",
        "not support",
        "invalid",
        "不存在",
        "未找到",
    )
    return about and any(word in text for word in missing) and (status == 404 or '"param": "messages' not in text)
