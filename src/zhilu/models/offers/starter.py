"""The first model: which one fits this machine, fetching it as a job, and measuring it when it first runs.

Free memory decides the class before the download: 1.5-1.7 B from 6 GB on, else 0.5-0.6 B, because good answers matter more than
fast ones. The choice is tested afterwards: the model must read a prompt of 500 tokens in 10 seconds on this machine; otherwise
the small one is fetched too and answers. Within a class, the first model that a source has is taken.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from zhilu.client import running_gateway
from zhilu.errors import CancelledByUser, InputError, UnreachableError, ZhiluError, nearest
from zhilu.home import file_lock
from zhilu.jobs import Job, JobContext, JobKind, JobStore
from zhilu.messages import T
from zhilu.models.catalog import catalog
from zhilu.models.chosen import AUTO, first_model, note_first_model
from zhilu.models.pull import bring
from zhilu.models.sources.choose import choose_source
from zhilu.models.store import ModelStore
from zhilu.setup.base import PartState, newest_job

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = [
    "FETCH_FIRST_MODEL",
    "FIRST_MODEL",
    "FirstModel",
    "Wish",
    "choose_class",
    "fetch_any",
    "known_wish",
    "submit_first_model",
]

_FREE = 6_000_000_000  # bytes of memory from which on the larger class is right
_LEAST = 1_300_000_000  # below this not even the small one runs
_PROMPT_TOKENS, _SECONDS, _PATIENCE = 500, 10.0, 40.0
_GATEWAY_SECONDS = 5.0
# Plain prose, about 250 tokens in each of the two languages by any tokenizer; read and not answered.
_SENTENCE = "The river rises in the mountains, crosses the wide plain and reaches the sea after three hundred miles. "
_SENTENCE_ZH = "这条河发源于群山之间，穿过辽阔的平原，流经三座古城，最后在三百里之外汇入大海。"


class Wish(NamedTuple):
    """What is to be fetched first: catalogue names in order of preference, the class they are of, and why."""

    names: tuple[str, ...]
    group: str
    reason: T


def known_wish(wanted: str) -> bool:
    """Whether the setting ``starter`` means something: a class, a model of the catalogue, ``auto`` or ``none``."""
    return wanted in ("auto", "none", *catalog().starter) or catalog().find(wanted) is not None


def choose_class(wanted: str, free_memory: int) -> Wish:
    """
    Args:
        wanted: the setting ``starter``, not ``none``.
        free_memory: bytes.

    Raises:
        InputError: no such class or model; or with ``auto``, too little memory for any.
    """
    classes = catalog().starter
    shown = f"{free_memory / 1e9:.1f} GB"
    if wanted in classes:
        return Wish(classes[wanted], wanted, T("the setting starter says so", "由设置 starter 指定"))
    if wanted != "auto":
        if not known_wish(wanted):
            close = nearest(wanted, ["auto", "none", *classes, *(model.name for model in catalog().models)])
            raise InputError(
                T(
                    f"The setting starter is {wanted!r}, which is no class and no model of the catalogue."
                    + (f" Did you mean {close!r}?" if close else ""),
                    f"设置 starter 是 {wanted!r}，既不是类别也不是目录中的模型。"
                    + (f"是不是 {close!r}？" if close else ""),
                ),
                param="starter",
                fix="zhilu settings set starter auto",
            )
        return Wish((wanted,), "named", T("the setting starter names it", "由设置 starter 指定"))
    if free_memory >= _FREE:
        return Wish(
            classes["starter"],
            "starter",
            T(
                f"{shown} of memory are free, 6 GB are enough for the 1.5-1.7 B class",
                f"空闲内存 {shown}，6 GB 即可运行 1.5-1.7 B 的模型",
            ),
        )
    if free_memory >= _LEAST:
        return Wish(
            classes["small"],
            "small",
            T(
                f"{shown} of memory are free, the 1.5-1.7 B class wants 6 GB",
                f"空闲内存 {shown}，1.5-1.7 B 的模型需要 6 GB",
            ),
        )
    raise InputError(
        T(
            f"{shown} of memory are free: the smallest real model needs 1.3 GB. zhilu-nano answers until there is more.",
            f"空闲内存 {shown}：最小的真实模型需要 1.3 GB。在此之前由 zhilu-nano 回答。",
        ),
        code="out_of_memory",
        fix="zhilu settings set starter small",
    )


def submit_first_model(context: Context) -> Job:
    """Start the job that fetches the first model.

    Raises:
        InputError: the setting ``starter`` names nothing.
    """
    wanted = context.settings.starter
    wanted = "auto" if wanted == "none" else wanted  # asked for by hand: wanted
    if not known_wish(wanted):
        choose_class(wanted, 0)
    return JobStore(context).submit(FETCH_FIRST_MODEL, {"wanted": wanted}, T("Fetch the first model", "获取首个模型"))


def run_fetch(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    context = job.context
    wish = choose_class(params["wanted"], available_bytes())
    job.log(f"{wish.group}: {wish.reason.en}")
    name, came = fetch_any(job, wish, (0.0, 0.85))
    reason = T(f"{wish.reason.en}; {came.en}", f"{wish.reason.zh}；{came.zh}")
    measured = None
    if _start(job, name):
        note_first_model(context.home, name, reason, None)  # it answers while it is being measured
        measured = _measure(job, name)
        took = f"{measured['seconds']:.1f} s" if measured["read"] else f"> {_PATIENCE:.0f} s"
        said = f"{_PROMPT_TOKENS} tokens: {took}", f"{_PROMPT_TOKENS} 个 token：{took}"
        if params["wanted"] == "auto" and wish.group == "starter" and measured["seconds"] > _SECONDS:
            slow = T(
                f"{name} is slow to read here ({said[0]}, over 10 s)", f"{name} 在这里读得慢（{said[1]}，超过 10 秒）"
            )
            job.log(slow.en)
            name, came = fetch_any(job, Wish(catalog().starter["small"], "small", slow), (0.9, 0.98))
            _start(job, name)
            reason = T(f"{slow.en}: the small one answers", f"{slow.zh}：由小模型回答")
            measured = _measure(job, name)
        else:
            reason = T(f"{reason.en}; time to read {said[0]}", f"{reason.zh}；读完 {said[1]}")
    note_first_model(context.home, name, reason, measured)
    job.log(f"{name}: {reason.en}")
    return {"model": name, "reason": reason.data(), "measured": measured}


FETCH_FIRST_MODEL = JobKind(name="first-model", run=run_fetch, resumable=True, light=True)


def fetch_any(job: JobContext, wish: Wish, part: tuple[float, float]) -> tuple[str, T]:
    """The name in the store of the first model of the wish that is there or can be had, and where it came from."""
    context, store = job.context, ModelStore(job.context)
    there = {store.note(info.name).get("catalog", info.name): info.name for info in store.list() if not info.embedded}
    for name in wish.names:
        if name in there:
            return there[name], T("it is here already", "它已经在本机")
    refused: list[ZhiluError] = []
    for name in wish.names:
        incoming = store.incoming(name)
        try:
            if not incoming.exists():
                job.progress(part[0], T("Asking who has it", "查询来源"), name)
                choose_source(catalog().get(name), context.settings, job.log)
            with file_lock(context.home.run / f"model-{name}.lock"):
                if not (store.folder / name).is_dir():
                    done = bring(job, {"source": "auto", "repo": name, "revision": None, "name": name}, part)
                    return name, T.of(done["reason"])
            return name, T("it is here already", "它已经在本机")
        except CancelledByUser:
            raise
        except UnreachableError as error:
            job.log(f"{name}: {error.message.en}")
            refused.append(error)
    raise refused[-1]


def _start(job: JobContext, name: str) -> bool:
    """Start the model through the gateway that runs, and see that it answers; False where no gateway runs.

    Raises:
        ZhiluError: it does not start.
    """
    deadline = time.monotonic() + _GATEWAY_SECONDS  # ``zhilu up`` starts this job a moment before it answers itself
    while running_gateway(job.context.home.run) is None and time.monotonic() < deadline:
        job.check()
        time.sleep(0.1)
    if running_gateway(job.context.home.run) is None:
        job.log("no gateway runs: the model is neither started nor measured")
        return False
    job.progress(0.86, T("Starting it", "启动"), name)
    _ask(job, name, "1+1?", None)
    return True


def _measure(job: JobContext, name: str) -> dict[str, Any]:
    """Time how a model that runs reads a prompt of about 500 tokens; one that takes very long is not waited for."""
    job.progress(0.88, T("Measuring", "测速"), name)
    text = _SENTENCE * 12 + _SENTENCE_ZH * 10 + str(time.time_ns())  # never in a cache of prompts
    begun = time.monotonic()
    try:
        tokens = _ask(job, name, text, _PATIENCE)
        seconds = (time.monotonic() - begun) * _PROMPT_TOKENS / tokens
    except asyncio.TimeoutError:
        tokens, seconds = None, _PATIENCE
    return {"prompt_tokens": _PROMPT_TOKENS, "seconds": round(seconds, 2), "read": tokens}


def _ask(job: JobContext, name: str, text: str, seconds: float | None) -> int:
    """One token of an answer; the number of tokens that the prompt has."""
    from zhilu.client import ModelClient

    url = running_gateway(job.context.home.run)

    async def ask() -> dict[str, Any]:
        async with ModelClient(url or "", api_key=job.context.settings.api_key) as client:
            asked = client.chat([{"role": "user", "content": text}], model=name, max_tokens=1)
            return await asyncio.wait_for(asked, seconds)

    return int((asyncio.run(ask()).get("usage") or {}).get("prompt_tokens") or _PROMPT_TOKENS)


class FirstModel:
    """The part of the setup that the home page shows (see ``zhilu.setup.base``); ``zhilu up`` fetches it by itself."""

    name = "first-model"
    title = T("The first model", "首个模型")
    purpose = T(
        "A real language model that answers in chat and over your documents. Until it is here, zhilu-nano answers.",
        "真正的语言模型，用于对话和知识库问答。在它到来之前由 zhilu-nano 回答。",
    )

    def state(self, context: Context) -> PartState:
        noted = first_model(context.home)
        if noted is not None:
            return PartState("here", T.of(noted["reason"]))
        refused = _is_refused(context)
        if refused is not None:
            return PartState("declined", refused)
        try:
            wish = choose_class(context.settings.starter, available_bytes())
        except ZhiluError as error:
            return PartState("impossible", error.message)
        size = catalog().get(wish.names[0]).download_bytes
        return PartState("absent", wish.reason, is_automatic=True, size_bytes=size)

    def find_job(self, context: Context) -> Job | None:
        return newest_job(context, FETCH_FIRST_MODEL.name)

    def submit(self, context: Context, *, agreed: bool) -> Job:
        return submit_first_model(context)


FIRST_MODEL = FirstModel()


def available_bytes() -> int:
    import psutil

    return int(psutil.virtual_memory().available)


def _is_refused(context: Context) -> T | None:
    settings = context.settings
    if settings.starter == "none":
        return T("The setting starter is none.", "设置 starter 为 none。")
    if settings.model != AUTO:
        return T(f"The setting model is {settings.model!r}.", f"设置 model 为 {settings.model!r}。")
    if settings.base_url:
        return T("Answers come from base_url.", "由 base_url 处的服务回答。")
    return None
