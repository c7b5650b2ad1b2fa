"""Ollama's requests that change the store of models: pull, create from uploaded files, copy, delete.

A pull is one of our jobs, with its progress reported as Ollama reports it; if the client disconnects, the job continues. What is
created or copied is linked, not copied, where the disk allows it. Only what this store made is deleted.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
from collections.abc import AsyncIterator
from enum import Enum
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from zhilu.context import Context, context_of
from zhilu.errors import ConflictError, InputError, NotFoundError, UnsupportedError, ZhiluError, error_body
from zhilu.jobs import Job, JobStore
from zhilu.messages import T
from zhilu.models import ModelStore
from zhilu.models.catalog import catalog
from zhilu.models.chosen import take_up
from zhilu.models.pull import submit_pull
from zhilu.serving.gateway.gateway import Gateway
from zhilu.serving.gateway.ledger import Exchange
from zhilu.wire.ollama import ollama_error, plain_name
from zhilu.wire.ollama.store import (
    OllamaCopyRequest,
    OllamaCreateRequest,
    OllamaNameRequest,
    OllamaPullRequest,
    check_digest,
)

__all__ = ["router"]

router = APIRouter(prefix="/api")
_TAG: list[str | Enum] = ["ollama"]
_POLL_SECONDS = 0.3
_HUBS = ("hf.co/", "huggingface.co/")


def _gateway(request: Request) -> Gateway:
    gateway = request.app.state.gateway
    assert isinstance(gateway, Gateway)
    return gateway


def _line(data: dict[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _told(steps: AsyncIterator[dict[str, Any]]) -> Response:
    """Progress as lines of JSON; an error after the first of them is a line, too."""

    async def lines() -> AsyncIterator[bytes]:
        try:
            async for step in steps:
                yield _line(step)
        except ZhiluError as error:
            yield _line(ollama_error(error_body(error)))

    return StreamingResponse(lines(), media_type="application/x-ndjson")


async def _answered(steps: AsyncIterator[dict[str, Any]], stream: bool | None) -> Response:
    """Streamed unless told otherwise; else the last step alone, once all is done."""
    if stream is not False:
        return _told(steps)
    last: dict[str, Any] = {}
    async for step in steps:
        last = step
    return Response(_line(last), media_type="application/json")


# ---------------------------------------------------------------- pull


@router.post("/pull", tags=_TAG)
async def pull(request: Request) -> Response:
    """A pull of ours: a model of the catalogue, or OWNER/NAME of a hub (``hf.co/OWNER/NAME``)."""
    gateway, context = _gateway(request), context_of(request)

    async def work(body: OllamaPullRequest, exchange: Exchange) -> Response:
        exchange.model = plain_name(body.wanted)
        job = await asyncio.to_thread(_pull_job, context, body.wanted)
        return await _answered(_progress(context, job), body.stream)

    return await gateway.answer(request, "/api/pull", OllamaPullRequest, work, ollama_error)


def _pull_job(context: Context, wanted: str) -> Job | None:
    """The job that brings the model; None where it is here already."""
    source, repo, name = _place(wanted)
    if name in {model.name for model in ModelStore(context).list()}:
        return None
    try:
        return submit_pull(context, source, repo, name=name)
    except ConflictError:  # a job is pulling it
        running = JobStore(context).list(status=("queued", "running"))
        return next((job for job in running if job.params.get("name") == name), None)


def _place(wanted: str) -> tuple[str, str, str]:
    """Source, place and name here of what Ollama's user calls a model."""
    hub = next((hub for hub in _HUBS if wanted.startswith(hub)), None)
    if hub:
        repo = wanted.removeprefix(hub).partition(":")[0]
        return "hf", repo, repo.rpartition("/")[2]
    name = plain_name(wanted)
    if catalog().find(name) is not None or "/" not in name:
        return "auto", name, name
    return "hf", name, name.rpartition("/")[2]


async def _progress(context: Context, job: Job | None) -> AsyncIterator[dict[str, Any]]:
    yield {"status": "pulling manifest"}
    if job is not None:
        jobs = JobStore(context)
        digest = "sha256:" + hashlib.sha256(str(job.params.get("name")).encode()).hexdigest()
        total: int | None = None
        told = -1.0
        while not job.ended:
            total = total or await asyncio.to_thread(_bytes_to_come, jobs, job)
            if total and job.progress > told:
                told = job.progress
                yield {
                    "status": f"pulling {digest[7:19]}",
                    "digest": digest,
                    "total": total,
                    "completed": int(total * job.progress),
                }
            await asyncio.sleep(_POLL_SECONDS)
            job = await asyncio.to_thread(jobs.get, job.id)
        if job.status != "done":
            yield {"error": str((job.error or {}).get("message") or job.status)}
            return
        yield {"status": "verifying sha256 digest"}
    yield {"status": "success"}


def _bytes_to_come(jobs: JobStore, job: Job) -> int | None:
    """As the job has logged it, once it has asked the source."""
    known = catalog().find(str(job.params.get("repo")))
    if known is not None and known.download_bytes:
        return known.download_bytes
    for event in jobs.events(job.id):
        found = re.search(r"(?<!\d)(\d+) files, (\d+) MB", str(event.data))
        if found:
            return int(found[2]) * 1_000_000
    return None


@router.post("/push", tags=_TAG, status_code=501)
async def push() -> Response:
    error = UnsupportedError(T("Models are not published from here.", "不能从这里发布模型。"), fix="zhilu model list")
    return Response(_line(ollama_error(error_body(error))), 501, media_type="application/json")


# ---------------------------------------------------------------- create, from uploaded files


def _blob(context: Context, digest: str) -> Path:
    return context.home.cache / "blobs" / f"sha256-{digest}"


@router.head("/blobs/{digest}", tags=_TAG)
async def has_blob(digest: str, request: Request) -> Response:
    path = _blob(context_of(request), check_digest(digest))
    return Response(status_code=200 if await asyncio.to_thread(path.is_file) else 404)


@router.post("/blobs/{digest}", tags=_TAG, status_code=201)
async def upload_blob(digest: str, request: Request) -> Response:
    """Keep the bytes that follow until a model is created of them; they must be those of the digest."""
    path = _blob(context_of(request), check_digest(digest))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.{id(request)}")
    seen = hashlib.sha256()
    try:
        with part.open("wb") as file:
            async for piece in request.stream():
                seen.update(piece)
                await asyncio.to_thread(file.write, piece)
        if seen.hexdigest() != check_digest(digest):
            problem = InputError(
                T(f"the bytes are of sha256:{seen.hexdigest()}, not of {digest}",
                  f"内容的摘要是 sha256:{seen.hexdigest()}，不是 {digest}"),
                param="digest",
            )  # fmt: skip
            return Response(_line(ollama_error(error_body(problem))), 400, media_type="application/json")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return Response(status_code=201)


@router.post("/create", tags=_TAG)
async def create(request: Request) -> Response:
    """A GGUF file or a safetensors folder that was uploaded, or a model that is here, under a name."""
    gateway, context = _gateway(request), context_of(request)

    async def work(body: OllamaCreateRequest, exchange: Exchange) -> Response:
        body.refuse_more()
        exchange.model = name = plain_name(body.wanted)
        if body.stream is not False:
            await asyncio.to_thread(ModelStore(context).refuse_taken, name)

        async def steps() -> AsyncIterator[dict[str, Any]]:
            if body.from_:
                yield {"status": "using existing layer"}
                await asyncio.to_thread(_copy, context, plain_name(body.from_), name)
            else:
                is_gguf = any(file.lower().endswith(".gguf") for file in body.files or {})
                yield {"status": "parsing GGUF" if is_gguf else "converting model"}
                await asyncio.to_thread(_make, context, name, dict(body.files or {}))
            yield {"status": "writing manifest"}
            yield {"status": "success"}

        return await _answered(steps(), body.stream)

    return await gateway.answer(request, "/api/create", OllamaCreateRequest, work, ollama_error)


def _make(context: Context, name: str, files: dict[str, str]) -> None:
    """Take uploaded blobs into the store. They are links of the same bytes there, so the blobs can go."""
    blobs = {file: _blob(context, check_digest(digest)) for file, digest in files.items()}
    for file, blob in blobs.items():
        if not blob.is_file():
            raise NotFoundError(T(f"{file}: its blob was not uploaded", f"{file}：没有上传对应的 blob"), param="files")
        if Path(file).name != file or file.startswith("."):
            raise InputError(T(f"{file!r} is no plain file name", f"{file!r} 不是普通文件名"), param="files")
    store = ModelStore(context)
    store.refuse_taken(name)
    folder = context.home.cache / "blobs" / f".{name}.{os.getpid()}"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for file, blob in blobs.items():
            (folder / file).unlink(missing_ok=True)
            os.link(blob, folder / file)
        ggufs = [file for file in blobs if file.lower().endswith(".gguf")]
        if ggufs:
            first = ggufs[0]
            made = store.link_files(name, {file: folder / file for file in ggufs}, source="ollama", origin=name,
                                    sha256=check_digest(files[first]))  # fmt: skip
        else:
            made = store.import_folder(folder, name)
    finally:
        for link in folder.iterdir():
            link.unlink()
        folder.rmdir()
    for blob in blobs.values():
        blob.unlink(missing_ok=True)
    take_up(context, made, T("it was created by ollama create", "它由 ollama create 建立"))


# ---------------------------------------------------------------- copy and delete


@router.post("/copy", tags=_TAG)
async def copy(request: Request) -> Response:
    gateway, context = _gateway(request), context_of(request)

    async def work(body: OllamaCopyRequest, exchange: Exchange) -> Response:
        exchange.model = plain_name(body.source)
        await asyncio.to_thread(_copy, context, plain_name(body.source), plain_name(body.destination))
        return Response(status_code=200)

    return await gateway.answer(request, "/api/copy", OllamaCopyRequest, work, ollama_error)


def _copy(context: Context, source: str, name: str) -> None:
    """A second name for the same files, linked where the disk allows it."""
    store = ModelStore(context)
    info = store.get(source)
    if info.format == "gguf":
        files = {path.name: path for path in store.files(source) if path.suffix.lower() == ".gguf"}
        store.link_files(name, files, source="copy", origin=source)
    else:
        store.import_folder(Path(info.path), name)


@router.delete("/delete", tags=_TAG)
async def delete(request: Request) -> Response:
    gateway, context = _gateway(request), context_of(request)

    async def work(body: OllamaNameRequest, exchange: Exchange) -> Response:
        exchange.model = name = plain_name(body.wanted)
        served = gateway.supervisor.states().get(name)
        await asyncio.to_thread(_refuse_not_ours, context, name)
        if served is not None and served.in_flight == 0 and served.state in ("starting", "ready"):
            await gateway.supervisor.stop(name)
        await asyncio.to_thread(ModelStore(context).remove, name)
        return Response(status_code=200)

    return await gateway.answer(request, "/api/delete", OllamaNameRequest, work, ollama_error)


def _refuse_not_ours(context: Context, name: str) -> None:
    store = ModelStore(context)
    if not store.get(name).embedded and not store.note(name):
        raise ConflictError(
            T(
                f"{name!r} was put into the models folder by hand, not by a pull or an import: it stays.",
                f"{name!r} 是手动放进模型目录的，不是拉取或导入得到的，因此保留。",
            ),
            param="model",
            fix=f"zhilu model remove {name}",
        )
