"""``zhilu bench serve``."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj, table
from zhilu.context import Context
from zhilu.errors import InputError, NotFoundError, UnreachableError, ZhiluError
from zhilu.messages import T
from zhilu.models.chosen import default_model

if TYPE_CHECKING:
    from zhilu.client import ModelClient
    from zhilu.serving.bench.load import Load, Target
    from zhilu.serving.bench.report import Result

__all__ = ["bench"]


@click.group()
def bench() -> None:
    """Measurements that you can repeat on your own machine. 可以在自己机器上重复的测量。"""


@bench.command("serve")
@click.argument("targets", nargs=-1)
@click.option(
    "--concurrency",
    "-c",
    multiple=True,
    type=click.IntRange(1, 4096),
    help=T("requests at a time; repeatable", "同时的请求数；可重复给出").say(),
)
@click.option(
    "--rate",
    "-r",
    multiple=True,
    type=click.FloatRange(0, min_open=True),
    help=T("arrivals a second, at random; repeatable", "每秒随机到达的请求数；可重复给出").say(),
)
@click.option(
    "--requests",
    "-n",
    default=64,
    show_default=True,
    type=click.IntRange(1),
    help=T("requests of each load", "每种负载的请求数").say(),
)
@click.option(
    "--input-len",
    default=128,
    show_default=True,
    type=click.IntRange(1),
    help=T("tokens of a prompt, nearly", "提示的 token 数（近似）").say(),
)
@click.option(
    "--output-len",
    default=64,
    show_default=True,
    type=click.IntRange(1),
    help=T("tokens of an answer", "回答的 token 数").say(),
)
@click.option(
    "--spread",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 0.99),
    help=T("lengths vary by this part", "长度上下浮动的比例").say(),
)
@click.option("--endpoint", default="chat", show_default=True, type=click.Choice(["chat", "completions"]))
@click.option("--seed", default=0, show_default=True, type=int)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help=T("write the bars as a picture (.svg)", "把条形图写成图片（.svg）").say(),
)
@json_option
@pass_context_obj
def serve(
    context: Context,
    targets: tuple[str, ...],
    concurrency: tuple[int, ...],
    rate: tuple[float, ...],
    requests: int,
    input_len: int,
    output_len: int,
    spread: float,
    endpoint: Literal["chat", "completions"],
    seed: int,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Measure served models: time to first token, time per token, throughput, errors.
    测量模型服务：首个 token 耗时、每 token 耗时、吞吐与错误。

    A TARGET is a model here (zhilu-nano), a model with an engine (zhilu-nano@vllm), or the URL of any
    OpenAI-compatible server with its model (http://host:8000/v1#qwen3). Several are measured in turn and compared; the
    key of a foreign URL is read from OPENAI_API_KEY. Without a TARGET the default model is measured. Ctrl+C ends the
    run and reports what was measured. What two engines do with one model (MODEL@zhilu MODEL@llamacpp) is kept: from
    then on the engine auto goes by it.
    """
    from zhilu.serving.bench.load import Load

    if concurrency and rate:
        raise InputError(
            T("Give either --concurrency or --rate.", "--concurrency 与 --rate 只能给出一种。"),
            param="rate",
            fix="zhilu bench serve --concurrency 1 --concurrency 8",
        )
    shape: dict[str, Any] = {"input_len": input_len, "output_len": output_len, "spread": spread, "endpoint": endpoint}
    loads = [Load(requests, None, value, seed=seed, **shape) for value in rate]
    loads += [Load(requests, value, seed=seed, **shape) for value in (concurrency or (() if rate else (1, 8)))]
    results: list[Result] = []
    interrupted = False
    try:
        asyncio.run(_run(context, targets or (default_model(context).name,), loads, results))
    except KeyboardInterrupt:
        interrupted = True
        if results:
            results[-1].interrupted = len(results[-1].samples) < results[-1].load.requests
    _report(results, plot, as_json)
    if interrupted or not any(result.answered for result in results):
        raise SystemExit(1)


async def _run(context: Context, words: tuple[str, ...], loads: list[Load], results: list[Result]) -> None:
    from zhilu.client import connect
    from zhilu.serving.bench.measure import measure_load
    from zhilu.serving.bench.report import Result

    async with AsyncExitStack() as stack:
        here: ModelClient | None = None
        for word in words:
            if here is None and not word.startswith(("http://", "https://")):
                here = await stack.enter_async_context(connect(context))
            target = await _target(context, word, here)
            for load in loads:
                result = Result(target, load)
                results.append(result)
                progress = _Progress(f"{target.label} {load.label}", load.requests)
                try:
                    await measure_load(target, load, result.samples, progress.add)
                except ZhiluError as error:  # the others can still be measured
                    result.failure = error.message.say()
                finally:
                    progress.close()
            if here is not None and target.url == here.base_url:
                await _keep(context, here.base_url, [result for result in results if result.target is target])


async def _keep(context: Context, base_url: str, results: list[Result]) -> None:
    """Note how fast the engine was with the model: ``--engine auto`` goes by it (see ``speed.py``)."""
    from zhilu.serving.bench.report import speed_of
    from zhilu.serving.catalog import StoreCatalog
    from zhilu.serving.speed import Speed, keep_speed

    speed, name = speed_of(results), results[0].target.model
    running = next((row for row in await _running(base_url, context.settings.api_key) if row["model"] == name), None)
    if running is None or speed == Speed():
        return
    with suppress(ZhiluError):  # an adapter, or another server's model
        path = StoreCatalog(context).get(name).path
        if path is not None:
            keep_speed(context.home.path, path, running["engine"], speed)


async def _running(base_url: str, key: str | None) -> list[dict[str, Any]]:
    """The engines that the gateway keeps."""
    import httpx

    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with httpx.AsyncClient(headers=headers, timeout=30.0, trust_env=False) as http:
        reply = await http.get(f"{base_url.removesuffix('/v1')}/zhilu/v1/engines/running")
        return list(reply.json()) if reply.is_success else []


async def _target(context: Context, word: str, here: ModelClient | None) -> Target:
    """What a word on the command line means; a local model's engine is started where it does not run."""
    import os

    from zhilu.client import ModelClient
    from zhilu.serving.bench.load import Target

    if word.startswith(("http://", "https://")):
        url, _, model = word.partition("#")
        key = os.environ.get("OPENAI_API_KEY")
        async with ModelClient(url, api_key=key) as client:
            model = model or next((str(entry["id"]) for entry in await client.models()), "")
            if not model:
                raise NotFoundError(T(f"{url} lists no model.", f"{url} 没有列出任何模型。"), fix=f"{url}#MODEL")
            return Target(word, client.base_url, model, key)
    assert here is not None
    name, _, engine = word.partition("@")
    if engine:
        await _start(here.base_url, name, engine, context.settings.api_key)
    elif name not in [entry["id"] for entry in await here.models()]:
        raise NotFoundError(
            T(f"There is no model {name!r}.", f"没有模型 {name!r}。"), param="targets", fix="zhilu model list"
        )
    return Target(word, here.base_url, name, context.settings.api_key)


async def _start(base_url: str, name: str, engine: str, key: str | None) -> None:
    """Have the gateway serve ``name`` with ``engine``, and wait until it is ready."""
    import httpx

    root = base_url.removesuffix("/v1")
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with httpx.AsyncClient(base_url=root, headers=headers, timeout=600.0, trust_env=False) as http:
        reply = await http.post(f"/zhilu/v1/models/{name}/start", json={"engine": engine})
        while not reply.is_error:
            listed = (await http.get("/zhilu/v1/engines/running")).json()
            mine = next((row for row in listed if row["model"] == name), None)
            if mine is None or mine["state"] in ("failed", "stopped"):
                said = mine["detail"] if mine else "?"
                raise UnreachableError(
                    T(f"{name}@{engine}: {said}", f"{name}@{engine}：{said}"), fix=f"zhilu engine log {name}"
                )
            if mine["state"] == "ready":
                return
            await asyncio.sleep(0.2)
        words = reply.json()["error"].get("messages") or {}
        said = T(words.get("en") or reply.text, words.get("zh") or reply.text)
        raise UnreachableError(said, fix="zhilu engine list")


class _Progress:
    """One line on a terminal's standard error; nothing where nobody looks."""

    def __init__(self, label: str, total: int) -> None:
        self.label, self.total = label, total
        self.done = self.failed = 0
        self.shown = 0.0
        self.is_seen = sys.stderr.isatty()

    def add(self, sample: Any) -> None:
        self.done += 1
        self.failed += bool(sample.error)
        if self.is_seen and (time.monotonic() - self.shown > 0.2 or self.done == self.total):
            self.shown = time.monotonic()
            wrong = T(f", {self.failed} failed", f"，{self.failed} 个失败").say() if self.failed else ""
            click.echo(f"\r\033[K{self.label}: {self.done}/{self.total}{wrong}", nl=False, err=True)

    def close(self) -> None:
        if self.is_seen:
            click.echo("\r\033[K", nl=False, err=True)


def _report(results: list[Result], plot: Path | None, as_json: bool) -> None:
    from zhilu.serving.bench.report import bars, rows, svg

    if plot is not None and results:
        plot.write_text(svg(results), encoding="utf-8")
    if as_json:
        echo_json([result.data() for result in results])
        return
    table(
        [
            T("target", "对象"),
            T("load", "负载"),
            T("answered", "成功"),
            T("req/s", "请求/秒"),
            T("tok/s", "token/秒"),
            T("TTFT ms p50/90/99", "首字 ms p50/90/99"),
            T("TPOT ms p50/90/99", "每字 ms p50/90/99"),
            T("ITL ms p50/90/99", "间隔 ms p50/90/99"),
            T("", ""),
        ],
        rows(results),
    )
    for line in bars(results):
        click.echo(line)
    if plot is not None and results:
        click.echo(T(f"The picture is in {plot}.", f"图片在 {plot}。").say())
