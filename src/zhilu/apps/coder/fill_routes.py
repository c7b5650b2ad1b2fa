"""``/zhilu/v1/coder/repos/{repo}/…``: completions for editors, with what the repository defines."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from zhilu import wire
from zhilu.apps.coder.fill.complete import CodeCompletion, complete
from zhilu.apps.coder.fill.requests import FillIn, InfillIn, completion_body, infill_body, parts_of_prompt
from zhilu.apps.coder.repos import Repos
from zhilu.client import connect
from zhilu.context import context_of
from zhilu.events import HEADERS, MEDIA_TYPE, frame
from zhilu.models.chosen import named_model

__all__ = ["router"]

router = APIRouter(prefix="/zhilu/v1/coder/repos/{repo}", tags=["coder"])


@router.post("/v1/completions")
async def complete_code(repo: str, body: FillIn, request: Request) -> Response:
    """OpenAI's completions with ``suffix``; the base URL of an editor's extension ends in ``/repos/{repo}/v1``."""
    prefix, suffix = parts_of_prompt(body.prompt, body.suffix)
    sampling = {"max_tokens": body.max_tokens, "temperature": body.temperature, "stop": body.stop}
    told = completion_body(await _made(request, repo, body.model, prefix, suffix, **sampling))
    if not body.stream:
        return JSONResponse(told)
    return Response(frame(told) + wire.SSE_DONE, media_type=MEDIA_TYPE, headers=HEADERS)


@router.post("/infill")
async def infill_code(repo: str, body: InfillIn, request: Request) -> Response:
    """llama.cpp's ``/infill``; the endpoint of llama.vscode ends in ``/repos/{repo}``."""
    extra = [(one.filename, one.text) for one in body.input_extra]
    sampling = {
        "max_tokens": body.n_predict if body.n_predict > 0 else 128,
        "temperature": body.temperature,
        "stop": body.stop,
    }
    made = await _made(
        request, repo, body.model, body.input_prefix + body.prompt, body.input_suffix, extra=extra, **sampling
    )
    return JSONResponse(infill_body(made))


async def _made(
    request: Request, repo: str, model: str | None, prefix: str, suffix: str, **rest: Any
) -> CodeCompletion:
    context = context_of(request)
    repos = Repos(context)
    found = await asyncio.to_thread(repos.get, repo)
    async with connect(context) as client:
        return await complete(
            client, named_model(context, model), prefix, suffix, store=repos.index(found), repo=found.name, **rest
        )
