"""Ollama's API (``/api``) for its own clients, in front of whichever engine serves the model.

Chat and generate are translated to OpenAI's requests (``wire.ollama``); this file has their routes and the lists.
``ollama_store_routes`` has what changes the store.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from zhilu import __version__, wire
from zhilu.errors import UnsupportedError, ZhiluError
from zhilu.messages import T
from zhilu.serving.gateway.gateway import Gateway
from zhilu.serving.gateway.ledger import Exchange
from zhilu.wire.ollama import (
    OllamaChat,
    OllamaEmbeddingsRequest,
    OllamaEmbedRequest,
    OllamaGenerate,
    ollama_error,
    plain_name,
)
from zhilu.wire.ollama.store import OllamaNameRequest, digest_of, human_number

__all__ = ["router"]

router = APIRouter(prefix="/api")
_TAG: list[str | Enum] = ["ollama"]
# What Ollama's clients compare with to know which fields they may send; its API is the one described here.
_OLLAMA_VERSION = "0.12.0"


def _gateway(request: Request) -> Gateway:
    gateway = request.app.state.gateway
    assert isinstance(gateway, Gateway)
    return gateway


def _body(title: str) -> dict[str, Any]:
    schema = {"type": "object", "title": title}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


@router.post("/chat", tags=_TAG, openapi_extra=_body("OllamaChat"))
async def chat(request: Request) -> Response:
    return await _gateway(request).translate(request, OllamaChat)


@router.post("/generate", tags=_TAG, openapi_extra=_body("OllamaGenerate"))
async def generate(request: Request) -> Response:
    return await _gateway(request).translate(request, OllamaGenerate)


@router.post("/embed", tags=_TAG, openapi_extra=_body("OllamaEmbed"))
async def embed(request: Request) -> Response:
    gateway = _gateway(request)

    async def work(body: OllamaEmbedRequest, exchange: Exchange) -> Response:
        started = time.monotonic_ns()
        if body.truncate:
            raise UnsupportedError(
                T("truncate=true: a text is never cut silently here", "truncate=true：这里不会悄悄截断文本"),
                param="truncate",
            )
        vectors, exchange.usage = await _vectors(gateway, body.model, body.input, body.options, body.dimensions)
        exchange.model = plain_name(body.model)
        return JSONResponse(
            {
                "model": body.model,
                "embeddings": vectors,
                "total_duration": time.monotonic_ns() - started,
                "load_duration": 0,
                "prompt_eval_count": exchange.usage["prompt_tokens"],
            }
        )

    return await gateway.answer(request, "/api/embed", OllamaEmbedRequest, work, ollama_error)


@router.post("/embeddings", tags=_TAG, openapi_extra=_body("OllamaEmbeddings"))
async def embeddings(request: Request) -> Response:
    gateway = _gateway(request)

    async def work(body: OllamaEmbeddingsRequest, exchange: Exchange) -> Response:
        vectors, exchange.usage = await _vectors(gateway, body.model, body.prompt, body.options, None)
        exchange.model = plain_name(body.model)
        return JSONResponse({"embedding": vectors[0]})

    return await gateway.answer(request, "/api/embeddings", OllamaEmbeddingsRequest, work, ollama_error)


async def _vectors(
    gateway: Gateway, model: str, texts: str | list[str], options: Mapping[str, Any] | None, dimensions: int | None
) -> tuple[list[list[float]], dict[str, Any]]:
    for name in options or ():
        raise UnsupportedError(T(f"unknown option {name!r}", f"未知选项 {name!r}"), param=f"options.{name}")
    name = gateway.embeddings.wanted(plain_name(model))
    if not texts:  # what a client sends to have the model loaded
        return [], {"prompt_tokens": 0, "total_tokens": 0}
    data: dict[str, Any] = {"model": name, "input": texts}
    if dimensions is not None:
        data["dimensions"] = dimensions
    reply = await gateway.embeddings.answer(name, wire.parse_request(wire.EmbeddingRequest, data))
    return [item["embedding"] for item in reply["data"]], reply["usage"]


@router.get("/tags", tags=_TAG)
async def tags(request: Request) -> dict[str, Any]:
    """Every model, as Ollama lists them."""
    gateway = _gateway(request)
    entries = await gateway.models()
    return {"models": await asyncio.to_thread(lambda: [_tag(gateway, entry) for entry in entries])}


@router.get("/ps", tags=_TAG)
async def running(request: Request) -> dict[str, Any]:
    """Those that run. They stay until another model needs the room, hence an end that is far away."""
    gateway = _gateway(request)
    entries = [entry for entry in await gateway.models() if entry["state"] == "ready"]
    found = await asyncio.to_thread(lambda: [_tag(gateway, entry) for entry in entries])
    served = gateway.supervisor.states()
    return {
        "models": [
            {
                **tag,
                "expires_at": "2318-01-01T00:00:00Z",
                "size_vram": 0,
                "context_length": served[tag["model"]].max_len or 0,
            }
            for tag in found
            if tag["model"] in served
        ]
    }


@router.post("/show", tags=_TAG, openapi_extra=_body("OllamaShow"))
async def show(request: Request) -> Response:
    gateway = _gateway(request)

    async def work(body: OllamaNameRequest, exchange: Exchange) -> Response:
        entry = await gateway.model(plain_name(body.wanted))
        exchange.model = str(entry["id"])
        tag = await asyncio.to_thread(_tag, gateway, entry)
        folder = await asyncio.to_thread(_folder, gateway, str(entry["id"]))
        is_embedder = entry["id"] in gateway.embeddings.names()
        family = tag["details"]["family"]
        info: dict[str, Any] = {"general.architecture": family, "general.basename": entry["id"]}
        if isinstance(entry.get("max_model_len"), int):
            info[f"{family}.context_length"] = entry["max_model_len"]
        return JSONResponse(
            {
                "modelfile": f"# served by Zhilu {__version__}\nFROM {entry['id']}\n",
                "parameters": "",
                "template": await asyncio.to_thread(_template, folder),
                "details": tag["details"],
                "model_info": info,
                "capabilities": ["embedding"] if is_embedder else ["completion", *_tools(gateway, str(entry["id"]))],
                "modified_at": tag["modified_at"],
            }
        )

    return await gateway.answer(request, "/api/show", OllamaNameRequest, work, ollama_error)


@router.get("/version", tags=_TAG)
async def version() -> dict[str, str]:
    """The version of Ollama's API that is spoken here; ours stands beside it."""
    return {"version": _OLLAMA_VERSION, "zhilu": __version__}


# ---------------------------------------------------------------- what is known of a model


def _folder(gateway: Gateway, name: str) -> Path | None:
    """The model's folder, or its one file; None for one behind a URL, an adapter, an embedder."""
    try:
        return gateway.supervisor.catalog.get(name).path
    except ZhiluError:
        return None


def _tag(gateway: Gateway, entry: Mapping[str, Any]) -> dict[str, Any]:
    name = str(entry["id"])
    path = _folder(gateway, name)
    folder = path.parent if path and path.is_file() else path
    files = sorted(folder.glob("*.safetensors")) + sorted(folder.glob("*.gguf")) if folder else []
    config = _config(folder)
    parameters, dtype, architecture = _anatomy(folder)
    family = str(
        config.get("model_type") or architecture or ("bert" if name in gateway.embeddings.names() else "unknown")
    )
    changed = max((file.stat().st_mtime for file in files), default=0.0)
    return {
        "name": name,
        "model": name,
        "modified_at": datetime.fromtimestamp(changed, timezone.utc).isoformat().replace("+00:00", "Z"),
        "size": sum(file.stat().st_size for file in files),
        "digest": digest_of(name, {file.name: f"{file.stat().st_size} {file.stat().st_mtime_ns}" for file in files}),
        "details": {
            "parent_model": str(entry.get("parent") or ""),
            "format": "gguf" if files and files[0].suffix == ".gguf" else "safetensors",
            "family": family,
            "families": [family],
            "parameter_size": human_number(parameters) if parameters else "",
            "quantization_level": (dtype or str(config.get("dtype") or config.get("torch_dtype") or "")).upper(),
        },
    }


def _anatomy(folder: Path | None) -> tuple[int, str | None, str | None]:
    """Parameters, type of most of them and architecture, as far as the files tell."""
    from zhilu.models.inspect import inspect_folder

    try:
        found = inspect_folder(folder) if folder else None
    except ZhiluError:
        found = None
    return (found.parameters, found.dtype, found.architecture) if found else (0, None, None)


def _config(folder: Path | None) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8")) if folder else {}
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def _template(folder: Path | None) -> str:
    """The chat template, from its own file or the tokenizer's configuration."""
    if folder is None:
        return ""
    try:
        if (folder / "chat_template.jinja").is_file():
            return (folder / "chat_template.jinja").read_text(encoding="utf-8")
        return str(
            json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8")).get("chat_template") or ""
        )
    except (OSError, ValueError):
        return ""


def _tools(gateway: Gateway, name: str) -> list[str]:
    """``tools`` where the model's template writes them."""
    return ["tools"] if "tools" in _template(_folder(gateway, name)) else []
