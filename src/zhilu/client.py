"""The asking side of the OpenAI protocol: how RAG, applications and gates talk to a model.

A client speaks to a URL and does not know what answers there: our gateway, vLLM or a cloud endpoint. It is async only; a
command line wraps it in ``asyncio.run``.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import httpx

from zhilu.errors import (
    AuthError,
    BusyError,
    InputError,
    NotFoundError,
    UnreachableError,
    UnsupportedError,
    UpstreamError,
    ZhiluError,
)
from zhilu.messages import T
from zhilu.process import Birth

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["GATEWAY_FILE", "ModelClient", "connect", "gateway_model", "running_gateway"]

GATEWAY_FILE = "gateway.json"


class ModelClient:
    """A client of one OpenAI-compatible server.

    Args:
        base_url: with or without a trailing ``/v1``.
        api_key: sent as a bearer token when given.
        timeout: seconds of silence after which a call is given up; a stream may last longer.
        transport: an httpx transport, for tests that run the application in process.

    Raises (every method):
        UnreachableError: nothing answers at the URL.
        ZhiluError: of the class that fits the server's error, with the server's own words.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout: float = 600.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        root = base_url.rstrip("/")
        self.base_url = root if root.endswith("/v1") else f"{root}/v1"
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        headers["x-zhilu-image-ocr"] = "0"  # who asks here reads pictures itself, and says so to the person
        # trust_env=False for loopback: a proxy variable must not send local traffic away from the machine.
        local = httpx.URL(self.base_url).host in ("127.0.0.1", "localhost", "::1")
        self._http = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(timeout, connect=10.0),
            transport=transport,
            trust_env=not local,
        )

    async def __aenter__(self) -> ModelClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def models(self) -> list[dict[str, Any]]:
        """The ``data`` list of ``GET /models``."""
        return cast("list[dict[str, Any]]", (await self._call("GET", "models"))["data"])

    async def chat(self, messages: Sequence[Mapping[str, Any]], *, model: str, **params: Any) -> dict[str, Any]:
        """One chat completion; ``params`` go on the wire as given."""
        return await self._call("POST", "chat/completions", {"model": model, "messages": list(messages), **params})

    async def chat_stream(
        self, messages: Sequence[Mapping[str, Any]], *, model: str, **params: Any
    ) -> AsyncIterator[dict[str, Any]]:
        """Chunks of a streamed chat completion; the last one holds ``usage``. Closing the iterator stops the model."""
        body = {"stream": True, "stream_options": {"include_usage": True}, **params}
        async for chunk in self._stream("chat/completions", {"model": model, "messages": list(messages), **body}):
            yield chunk

    async def completions(self, prompt: str | Sequence[int], *, model: str, **params: Any) -> dict[str, Any]:
        """One completion of a raw prompt (text, or token ids)."""
        return await self._call("POST", "completions", {"model": model, "prompt": prompt, **params})

    async def worst_tie(
        self, prompt: Sequence[int], wanted: Sequence[int], *, model: str, ended: bool = False
    ) -> float | None:
        """How far the model's likeliest token is ahead of ``wanted``'s, at the worst place; 0 where each is the likeliest.

        The model is given another program's tokens behind ``prompt``, so that one different choice does not hide what follows.
        In natural logarithms. ``ended``: the other program ended its answer there.

        Returns:
            None where the engine does not tell what it thinks of tokens that it is given (no ``echo``), where more than one in
            ten is not its likeliest, and where it goes on behind an answer that ended.
        """
        try:
            done = await self.completions(
                [*prompt, *wanted],
                model=model,
                temperature=0,
                max_tokens=1,
                echo=True,
                logprobs=1,
                repetition_penalty=1.0,
            )
        except InputError:
            return None
        choice, here = done["choices"][0], slice(len(prompt), len(prompt) + len(wanted))
        told = choice["logprobs"]
        pairs = zip(told["token_logprobs"][here], told["top_logprobs"][here], strict=True)
        gaps = [max(max(top.values()) - value, 0.0) for value, top in pairs]
        if len(gaps) != len(wanted) or sum(gap > 0 for gap in gaps) > max(1, len(wanted) // 10):
            return None
        return None if ended and choice["finish_reason"] != "stop" else max(gaps, default=0.0)

    async def completions_stream(self, prompt: str, *, model: str, **params: Any) -> AsyncIterator[dict[str, Any]]:
        """Chunks of a streamed completion of a raw prompt. Closing the iterator stops the model."""
        async for chunk in self._stream("completions", {"model": model, "prompt": prompt, "stream": True, **params}):
            yield chunk

    async def embeddings(self, texts: Sequence[str], *, model: str, **params: Any) -> list[list[float]]:
        """One vector a text, in the order given."""
        body = {"model": model, "input": list(texts), "encoding_format": "float", **params}
        answer = await self._call("POST", "embeddings", body)
        return [item["embedding"] for item in sorted(answer["data"], key=lambda item: item["index"])]

    async def tokenize(self, *, model: str, **body: Any) -> dict[str, Any] | None:
        """vLLM's ``/tokenize`` (``prompt=`` or ``messages=``); None where the server has no such route."""
        with suppress(NotFoundError):
            return await self._call("POST", "../tokenize", {"model": model, **body})
        return None

    async def load_adapter(self, name: str, *, base: str) -> None:
        """Have an adapter of ``adapters/`` served beside its base; nothing changes where it is already.

        Raises:
            UpstreamError, NotFoundError: the server has no such adapter, or takes none.
        """
        body = {"lora_name": name, "lora_path": name, "model": base, "load_inplace": True}
        await self._send("POST", "load_lora_adapter", body)  # vLLM answers it with a sentence, not with JSON

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A route below the base URL that is not OpenAI's: the answer's JSON object."""
        return await self._call(method, path, body)

    async def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        try:
            response = await self._http.request(method, self._url(path), json=body)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if response.is_error:
            raise _error_of(response.status_code, response.content, response.headers)
        return response

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        response = await self._send(method, path, body)
        try:
            return cast("dict[str, Any]", response.json())
        except json.JSONDecodeError as error:
            raise _not_json(response.text) from error

    async def _stream(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        try:
            async with self._http.stream("POST", self._url(path), json=body) as response:
                if response.is_error:
                    raise _error_of(response.status_code, await response.aread(), response.headers)
                finished = False
                async for line in response.aiter_lines():
                    # SSE fields may come with or without the space (WHATWG HTML, 9.2.6); events here hold one line.
                    if not line.startswith("data:"):
                        continue
                    data = line[5:].strip()
                    if data == "[DONE]":
                        finished = True
                        break
                    chunk = json.loads(data)
                    if "error" in chunk:
                        raise _error_of(502, data.encode(), response.headers)
                    yield chunk
                if not finished:
                    raise UpstreamError(
                        T(
                            "The answer broke off: the server closed the stream without [DONE].",
                            "回答中断：服务器没有发送 [DONE] 就关闭了连接。",
                        ),
                        fix="zhilu engine list",
                    )
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        except json.JSONDecodeError as error:
            raise _not_json(error.doc) from error

    def _url(self, path: str) -> str:
        return f"{self.base_url[:-3]}/{path[3:]}" if path.startswith("../") else f"{self.base_url}/{path}"

    def _unreachable(self, error: httpx.HTTPError) -> UnreachableError:
        reason = str(error) or type(error).__name__
        return UnreachableError(
            T(f"No model answers at {self.base_url}: {reason}", f"{self.base_url} 没有模型应答：{reason}"),
            fix="zhilu up",
        )


def _not_json(text: str) -> UpstreamError:
    return UpstreamError(
        T(f"The server answered something that is not JSON: {text[:200]!r}", f"服务器的回答不是 JSON：{text[:200]!r}")
    )


_BY_STATUS: dict[int, type[ZhiluError]] = {400: InputError, 401: AuthError, 404: NotFoundError, 422: InputError}


def _error_of(status: int, content: bytes, headers: Mapping[str, str]) -> ZhiluError:
    """The error class that fits; the words are the server's own, in both languages where it sent both."""
    try:
        body = json.loads(content)["error"]
        body = body if isinstance(body, dict) else {"message": str(body)}
    except (ValueError, KeyError, TypeError):
        body = {"message": content.decode(errors="replace")[:500] or f"HTTP {status}"}
    message = T.of(body["messages"]) if body.get("messages") else T.of(str(body.get("message", "")))
    details = {"param": body.get("param"), "code": body.get("code"), "fix": body.get("fix")}
    if status == 429:
        after = headers.get("retry-after", "1")
        return BusyError(message, retry_after=int(after) if after.isdigit() else 1, **details)
    if status == 400 and body.get("code") == UnsupportedError.kind:
        return UnsupportedError(message, **details)
    cls = _BY_STATUS.get(status) or (UnreachableError if status == 503 else UpstreamError)
    return cls(message, **details)


def running_gateway(home_run: Path) -> str | None:
    """The URL of the gateway that runs on this data home, if its process is alive."""
    state = _gateway(home_run)
    return str(state["url"]) if state is not None else None


def gateway_model(home_run: Path) -> str | None:
    """The model that the gateway which runs here was started with (``zhilu up --model NAME``), if one was named."""
    state = _gateway(home_run)
    return str(state["model"]) if state is not None and state.get("model") else None


def _gateway(home_run: Path) -> dict[str, Any] | None:
    try:
        state: dict[str, Any] = json.loads((home_run / GATEWAY_FILE).read_text())
        return state if state["url"] and Birth.read(state).is_alive() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


@asynccontextmanager
async def connect(context: Context, *, start_timeout: float = 120.0) -> AsyncIterator[ModelClient]:
    """A client of the model server to use: the configured URL, else the running gateway, else one started for this call.

    Raises:
        UnreachableError: a gateway had to be started and did not become ready; the message holds the end of its log.
    """
    settings = context.settings
    if settings.base_url:
        async with ModelClient(settings.base_url, api_key=settings.api_key) as client:
            yield client
        return
    url = running_gateway(context.home.run)
    if url:
        async with ModelClient(url, api_key=settings.api_key) as client:
            yield client
        return
    process, url = await _start_ephemeral(context, start_timeout)
    try:
        async with ModelClient(url, api_key=settings.api_key) as client:
            yield client
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, 15)
        except subprocess.TimeoutExpired:
            process.kill()
        if process.stdin is not None:
            process.stdin.close()


async def _start_ephemeral(context: Context, timeout: float) -> tuple[subprocess.Popen[bytes], str]:
    """Start ``zhilu up --ephemeral``: a free port, and gone when this process is (its stdin reaches the end)."""
    log = context.home.logs / "ephemeral.log"
    ready = context.home.run / f"ephemeral-{os.getpid()}-{time.monotonic_ns()}.json"
    command = [sys.executable, "-m", "zhilu", "up", "--ephemeral", "--ready-file", str(ready)]
    env = {**os.environ, "ZHILU_HOME": str(context.home.path), "ZHILU_MODEL": context.settings.model}
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: ASYNC220 - Popen returns at once; the loop below waits without blocking
            command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, env=env
        )
    deadline = time.monotonic() + timeout
    try:
        while time.monotonic() < deadline and process.poll() is None:
            if ready.exists():
                return process, str(json.loads(ready.read_text())["url"])
            await asyncio.sleep(0.05)
    finally:
        ready.unlink(missing_ok=True)
    process.kill()
    tail = _last_lines(log.read_text(errors="replace").splitlines())
    raise UnreachableError(
        T(f"The model server did not start:\n{tail}", f"模型服务没有启动成功：\n{tail}"), fix="zhilu doctor"
    )


def _last_lines(lines: Iterable[str], count: int = 8) -> str:
    return "\n".join(list(lines)[-count:]) or "-"
