"""Any server that speaks the OpenAI protocol, reached by its URL: a cloud endpoint, or an engine someone else started."""

from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.serving.facts import EngineFacts, Launch, LaunchOptions, ServedModel

__all__ = ["ENGINE", "OpenAIEngine"]


class OpenAIEngine:
    facts = EngineFacts(
        name="openai",
        title=T("OpenAI-compatible URL", "OpenAI 兼容地址"),
        status="alive",
        description=T(
            "Passes requests on to a URL that speaks the OpenAI protocol, with its key.",
            "把请求转发给一个支持 OpenAI 协议的地址，并带上它的密钥。",
        ),
        source="https://platform.openai.com/docs/api-reference",
        checked="2026-11-23",
        can=frozenset({"chat", "completions", "stream"}),
        is_process=False,
        formats=frozenset(),
        takes=frozenset({"base_url", "remote_model"}),
    )

    def installed(self, home: Path | None = None) -> tuple[bool, T]:
        return True, T("nothing to install", "无需安装")

    def launch(self, model: ServedModel, options: LaunchOptions, port: int) -> Launch:
        if model.remote is not None:  # of an API that was added: its own key, and no variable's
            remote = model.remote
            return Launch(
                url=remote.root.removesuffix("/v1"),
                root=remote.root,
                ready_path="/v1/models",
                model=remote.model,
                headers={"Authorization": f"Bearer {remote.api_key}"} if remote.api_key else {},
            )
        base_url = (options.base_url or "").rstrip("/")
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(
                T(
                    f"The engine 'openai' needs the URL of a server, given {options.base_url!r}.",
                    f"引擎 'openai' 需要一个服务器地址，给出的是 {options.base_url!r}。",
                ),
                param="base_url",
                fix=f"zhilu serve {model.name} --engine openai --base-url https://HOST/v1",
            )
        key = options.api_key or os.environ.get("OPENAI_API_KEY")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if parts.username and not key:  # the URL's own user and password: sent, and no part of the URL that is shown
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers = {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
        return Launch(
            url=urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).removesuffix("/v1"),
            ready_path="/v1/models",
            model=options.remote_model or model.name,
            headers=headers,
        )


ENGINE = OpenAIEngine()
