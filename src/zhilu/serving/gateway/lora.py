"""LoRA adapters as models: loaded and unloaded by vLLM's two requests, routed to the engine of the model they change.

A restarted engine has no adapters any more; the first request that names an adapter loads it again. ``zhilu serve --lora`` is
another way in: the engine is started with these adapters and reports them itself.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from zhilu import wire
from zhilu.errors import InputError, NotFoundError, UnreachableError, UpstreamError
from zhilu.home import Home
from zhilu.messages import T
from zhilu.serving.gateway.remembered import Remembered, RememberedAdapter
from zhilu.serving.supervise.adapter_check import KnowsAdapters, adapter_config, adapter_folder

if TYPE_CHECKING:
    from zhilu.serving.gateway.upstream import Upstream
    from zhilu.serving.served import Served

__all__ = ["Adapters", "LoadLoraRequest", "LoraLine", "UnloadLoraRequest"]

_LOAD = "/v1/load_lora_adapter"
_UNLOAD = "/v1/unload_lora_adapter"


AdapterName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$")]


class LoadLoraRequest(wire.Request):
    """vLLM's ``POST /v1/load_lora_adapter``; ``model`` (ours) says which model it changes where several run."""

    lora_name: AdapterName
    lora_path: Annotated[str, Field(min_length=1)]
    load_inplace: bool = False


class LoraLine(BaseModel):
    """An adapter to start a model with: its name as a model, and its folder, or its name in ``adapters/``."""

    model_config = ConfigDict(extra="forbid")
    name: AdapterName
    path: Annotated[str, Field(min_length=1)]


class UnloadLoraRequest(wire.Request):
    """vLLM's ``POST /v1/unload_lora_adapter``."""

    lora_name: Annotated[str, Field(min_length=1)]
    lora_int_id: int | None = None


class Adapters:
    """The adapters of one gateway, those of an earlier one included."""

    def __init__(self, home: Home, remembered: Remembered) -> None:
        self._home = home
        self._remembered = remembered
        self._told: dict[str, object] = {}  # adapter -> the engine process that was last told of it
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def get(self, name: str) -> RememberedAdapter | None:
        return self._remembered.adapters.get(name)

    def list(self) -> list[RememberedAdapter]:
        return list(self._remembered.adapters.values())

    async def load(self, upstream: Upstream, request: LoadLoraRequest) -> str:
        """Load an adapter and remember it; returns vLLM's sentence.

        Raises:
            InputError: the name is taken, or it is not clear which model is meant.
            NotFoundError: the folder is no adapter. UnsupportedError: the engine takes none. Neither starts nor stops anything.
            UpstreamError: the engine refuses it, with its own words.
        """
        name = request.lora_name
        folder = adapter_folder(self._home.adapters, request.lora_path)
        config = await asyncio.to_thread(_config_of, request, folder)
        taken = [entry["id"] for entry in await upstream.models()]
        if name in taken and not (request.load_inplace and self.get(name)):
            raise InputError(
                T(
                    f"The name {name!r} is taken: a model, or an adapter that has already been loaded.",
                    f"名字 {name!r} 已被占用：是一个模型，或已经加载的适配器。",
                ),
                param="lora_name",
                fix=f'POST /v1/unload_lora_adapter {{"lora_name": "{name}"}}',
            )
        parent = await self._parent(upstream, request.model, str(config.get("base_model_name_or_path") or ""))
        adapter = RememberedAdapter(name, str(folder), parent)
        # Leasing its model may start it, and stop another to make room: not for an adapter that cannot be loaded.
        planned = await upstream.plan(parent)
        planned.facts.refuse_beyond(_LOAD)
        await asyncio.to_thread(_refuse_misfit, planned, request, folder)
        async with upstream.lease(parent) as served, self._locks[name]:
            served.facts.refuse_beyond(_LOAD)
            await self._tell(upstream, served, adapter, inplace=request.load_inplace)
        await asyncio.to_thread(self._remembered.keep, adapter)
        return f"Success: LoRA adapter '{name}' added successfully."

    async def to_start_with(
        self, upstream: Upstream, model: str, lines: Sequence[LoraLine]
    ) -> tuple[tuple[str, Path], ...]:
        """The adapters that a start of ``model`` is asked for, as names and folders; whether they fit is ``preflight``'s.

        Raises:
            InputError: a name is given twice, or is that of a model or of another model's adapter.
        """
        taken = {str(entry["id"]) for entry in await upstream.models() if entry.get("parent") != model} - {model}
        pairs: dict[str, Path] = {}
        for line in lines:
            if line.name in taken or line.name in pairs:
                raise InputError(
                    T(f"The name {line.name!r} is taken.", f"名字 {line.name!r} 已被占用。"),
                    param="loras",
                    fix=f'POST {_UNLOAD} {{"lora_name": "{line.name}"}}',
                )
            pairs[line.name] = adapter_folder(self._home.adapters, line.path)
        return tuple(pairs.items())

    async def note_start(self, served: Served) -> None:
        """Remember what a model was started with: the next start of the gateway knows nothing of this one's options."""
        for name, folder in served.options.loras:
            await asyncio.to_thread(self._remembered.keep, RememberedAdapter(name, str(folder), served.model.name))

    async def unload(self, upstream: Upstream, name: str) -> str:
        """Forget an adapter, here and at its engine; returns vLLM's sentence. NotFoundError where there is none."""
        adapter = self.get(name)
        started_with = [s for s in upstream.supervisor.states().values() if name in s.adapters]
        if adapter is None and not started_with:
            raise NotFoundError(
                T(f"The adapter {name!r} is not loaded.", f"适配器 {name!r} 没有加载。"), param="lora_name"
            )
        async with self._locks[name]:
            served = started_with[0] if started_with else upstream.supervisor.states().get(adapter.parent)  # type: ignore[union-attr]
            if (
                served is not None
                and served.state == "ready"
                and (started_with or self._told.get(name) is _engine_of(served))
            ):
                response = await upstream.post(served, _UNLOAD, json.dumps({"lora_name": name}).encode())
                content = await response.aread()
                if response.is_error and response.status_code != 404:  # 404: it does not know it any more
                    raise _refused(content, response.status_code)
                served.adapters.pop(name, None)
                left = tuple(pair for pair in served.options.loras if pair[0] != name)
                served.options = replace(served.options, loras=left)  # else a restart would bring it back
            self._told.pop(name, None)
            await asyncio.to_thread(self._remembered.forget, name)
        return f"Success: LoRA adapter '{name}' removed successfully."

    async def refuse_gone(self, upstream: Upstream, adapter: RememberedAdapter) -> None:
        """Raise InputError where its folder is no adapter any more, before its model is started for it."""
        served = upstream.supervisor.states().get(adapter.parent)
        if served is not None and served.state == "ready" and self._told.get(adapter.name) is _engine_of(served):
            return  # the engine has it in memory
        try:
            await asyncio.to_thread(adapter_config, adapter.name, Path(adapter.path))
        except InputError as error:
            error.param, error.fix = "model", f'POST {_UNLOAD} {{"lora_name": "{adapter.name}"}}'
            raise

    async def ensure(self, upstream: Upstream, served: Served, adapter: RememberedAdapter) -> None:
        """Load it into an engine that was started since; what ``load`` raises."""
        if self._told.get(adapter.name) is _engine_of(served):
            return
        async with self._locks[adapter.name]:
            if self._told.get(adapter.name) is not _engine_of(served):
                served.facts.refuse_beyond(_LOAD)
                await self._tell(upstream, served, adapter)

    async def _tell(
        self, upstream: Upstream, served: Served, adapter: RememberedAdapter, inplace: bool = False
    ) -> None:
        asked: dict[str, Any] = {"lora_name": adapter.name, "lora_path": adapter.path}
        if inplace:
            asked["load_inplace"] = True
        engine = _engine_of(served)
        response = await upstream.post(served, _LOAD, json.dumps(asked).encode())
        content = await response.aread()
        # It knows the adapter already where this gateway was restarted and the engine, reached by its URL, was not.
        if response.is_error and b"already" not in content:
            raise _refused(content, response.status_code)
        self._told[adapter.name] = engine

    async def _parent(self, upstream: Upstream, named: str | None, base: str) -> str:
        """The model an adapter changes: the one named, the only one that runs, or the one it was trained on."""
        if named:
            return named
        running = [name for name, s in upstream.supervisor.states().items() if s.state in ("starting", "ready")]
        if len(running) == 1:
            return running[0]
        known = running or [entry["id"] for entry in await asyncio.to_thread(upstream.supervisor.catalog.list)]
        trained_on = [name for name in known if name in (base, Path(base).name)]
        if len(trained_on) == 1:
            return trained_on[0]
        if len(known) == 1:
            return known[0]
        raise InputError(
            T(
                f"Say which model the adapter changes: {', '.join(known) or '-'}.",
                f"请用 model 指明适配器属于哪个模型：{', '.join(known) or '-'}。",
            ),
            param="model",
        )


def _config_of(request: LoadLoraRequest, folder: Path) -> dict[str, Any]:
    try:
        return adapter_config(request.lora_name, folder)
    except InputError as error:
        error.fix = _again(request)
        raise


def _refuse_misfit(planned: Served, request: LoadLoraRequest, folder: Path) -> None:
    """Raise what the engine would say of the adapter, where that can be told without it."""
    if not isinstance(planned.kind, KnowsAdapters):
        return
    try:
        planned.kind.check_adapter(planned.model, request.lora_name, folder)
    except InputError as error:
        error.param, error.fix = "lora_path", error.fix or _again(request)
        raise


def _again(request: LoadLoraRequest) -> str:
    return f'POST {_LOAD} {{"lora_name": "{request.lora_name}", "lora_path": "FOLDER"}}'


def _engine_of(served: Served) -> object:
    """What forgets an adapter when it ends: the process, or the served model itself where that is behind a URL."""
    return served.process or served


def _refused(content: bytes, status: int) -> InputError | UpstreamError:
    """The engine's own words about an adapter it does not take."""
    try:
        error = json.loads(content)["error"]
        message = error["message"] if isinstance(error, dict) else str(error)
        words = error.get("messages") or {} if isinstance(error, dict) else {}
    except (ValueError, KeyError, TypeError):
        message, words = content.decode(errors="replace")[:300] or f"HTTP {status}", {}
    said = T(words.get("en") or message, words.get("zh") or message)
    if status == 404:
        return NotFoundError(said, param="lora_name")
    if status < 500:
        return InputError(said, param="lora_name")
    return UnreachableError(said) if status == 503 else UpstreamError(said)
