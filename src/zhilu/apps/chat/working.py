"""An answer that is worked out with tools: an agent's run (``zhilu.agents``), followed into the conversation.

The run is a job with a journal of its own. So it waits for a person's approval as long as it takes, goes on when the page is
loaded again, and after a kill is taken up where it stopped, with no change made twice. Here it is only started and read.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from zhilu.agents.intent import only_asks
from zhilu.agents.runs import RunStore, RunWish, SaidBefore, start_run
from zhilu.apps.chat.arrived import Arrived
from zhilu.apps.chat.steps import steps_of
from zhilu.apps.chat.store import Conversation, Message
from zhilu.client import ModelClient
from zhilu.context import Context
from zhilu.errors import NotFoundError, UnsupportedError, UpstreamError
from zhilu.events import Event
from zhilu.jobs import ENDED, Job, JobStore
from zhilu.messages import T
from zhilu.models.apis.store import api_of
from zhilu.prompts import Message as PromptMessage
from zhilu.prompts import language_of, which_tool_messages
from zhilu.text.numbers import unfounded
from zhilu.tools.source import about, read_name

__all__ = ["TRIES", "begin", "cancel", "follow", "note_unfounded", "tools_for", "tools_of"]

_LOOK = 0.25  # seconds between looks at the journal
_AGAIN = 3.0  # seconds until a run is tried again that lost the gateway it asked
TRIES = 40  # the gateway that starts again may have to load a large model first
_STEPS, _TOKENS = 16, 120_000
_FILE = re.compile(r"\w\.(?:txt|md|csv|json|log|py|html?|ya?ml|toml|ini)\b")
_DOUBT = T(
    "No tool gave {numbers}: check it before you rely on it.",
    "{numbers} 不是工具给出的结果：使用前请核对。",
)
_OWN = T(
    "No tool was used for this answer: {numbers} comes from the model's own memory.",
    "这个回答没有使用工具：{numbers} 来自模型自身的记忆。",
)
_SHORT = 120  # characters
# A question that points back: "and how much is that a night?", 如果再加上打印机呢？
_POINTS_BACK = re.compile(
    r"^(?:and|but|or|what about|how about|then)\b.*\?|\b(?:it|its|that|those|these|them|they|the (?:same|others?))\b.*\?"
    r"|^(?:那|再|如果再|还有|其中|它|他|她|这|上面|刚才).*[？?]|呢[？?]?$",
    re.IGNORECASE,
)
_ASKS = re.compile(r"[^?？]{8}[?？]\s{0,3}$")
_READ = 2000  # characters of a message, to see what it needs


def tools_of(conversation: Conversation) -> list[str]:
    """Its tools; a knowledge base and the web are tools, too, where there are others."""
    more = [f"kb:{conversation.kb_id}"] if conversation.kb_id else []
    more += ["web"] if conversation.web else []
    return list(dict.fromkeys([*conversation.tools, *more]))


async def tools_for(
    context: Context, client: ModelClient, conversation: Conversation, history: Sequence[Message], model: str
) -> list[str]:
    """The tools to work on the last message of ``history`` with, likeliest first; none: just answer it.

    Asked for a plan a small model plans, whatever was said: it would look for Hamlet in the files. And of many tools it takes those
    that it reads first. A model of somebody's API decides for itself; where there is a knowledge base, it is always asked.

    Raises:
        ZhiluError: from the model's server.
    """
    names, question = tools_of(conversation), history[-1].content
    before = history[-3].content if len(history) > 2 and history[-2].steps else ""
    if before and len(question) <= _SHORT and _POINTS_BACK.search(question):
        return names  # what it points to came from a tool
    if only_asks(question):  # what is kept is told with the question: there is nothing to keep
        names = [name for name in names if name != "memory"]
    if not names or api_of(context.home, model) is not None or any(name.startswith("kb:") for name in names):
        return names
    if _FILE.search(question) and any(name.startswith("files:") for name in names):
        return sorted(names, key=lambda name: not name.startswith("files:"))
    lang = language_of(question)
    titles: dict[str, str] = {}
    for name in names:
        kind, _, source = read_name(name)
        held = await asyncio.to_thread(about, context, name)
        titles[kind] = "; ".join(part for part in (titles.get(kind) or source.title.say(lang), held) if part)
    # Whoever turned the web on wants facts from there and not from the model's memory, which has none of a small library's hours.
    choices = [*titles] if "web" in titles and _ASKS.search(question) else [*titles, "none"]
    if len(choices) == 1:
        return names
    schema = {
        "type": "object", "properties": {"tool": {"enum": choices}}, "required": ["tool"], "additionalProperties": False,
    }  # fmt: skip
    form = {"type": "json_schema", "json_schema": {"name": "tool", "schema": schema, "strict": True}}
    sent = which_tool_messages(question[:_READ], titles, lang, before[:_SHORT])
    try:
        reply = await client.chat(sent, model=model, response_format=form, temperature=0.0, max_tokens=40)
        chosen = json.loads(reply["choices"][0]["message"]["content"])["tool"]
    except (
        UnsupportedError,
        ValueError,
        LookupError,
        TypeError,
    ):  # a server that holds no schema: the loop asks as all do
        return names
    return [] if chosen == "none" else sorted(names, key=lambda name: name.partition(":")[0] != chosen)


def begin(
    context: Context,
    conversation: Conversation,
    tools: Sequence[str],
    messages: Sequence[PromptMessage],
    model: str,
    params: Mapping[str, Any],
) -> str:
    """Start a run for the last of ``messages``; its id.

    Raises:
        NotFoundError, InputError: as ``agents.runs.start_run``.
    """
    *before, last = messages
    system = [SaidBefore(role="system", content=conversation.system_prompt)] if conversation.system_prompt else []
    told = [SaidBefore(role=m["role"], content=m["content"] or "") for m in before]
    wish = RunWish(
        task=last["content"] or "", tools=list(tools), model=model, history=[*system, *told],
        params={name: value for name, value in params.items() if name != "think"},
        help=api_of(context.home, model) is None, max_steps=_STEPS, max_tokens=_TOKENS,
    )  # fmt: skip
    return start_run(context, wish).id


async def follow(context: Context, run_id: str, answer: Arrived, *, tries: int = 0) -> AsyncIterator[Event]:
    """``steps`` whenever they change, then the answer as one ``delta``. ``tries``: how often a run that lost its gateway is taken
    up again.

    Raises:
        ZhiluError: the run's.
    """
    answer.goes_on = True
    while True:
        steps, ending, job = await asyncio.to_thread(_look, context, run_id)
        if steps != answer.fields.get("steps"):
            answer.fields["steps"] = steps
            yield Event("steps", {"steps": steps, "run_id": run_id})
        if ending is not None:
            break
        if job is None or job.status in ENDED:
            if tries <= 0 or job is None or not _lost(job):
                answer.goes_on = False
                raise _why(job)
            tries -= 1
            await asyncio.sleep(_AGAIN)
            await asyncio.to_thread(JobStore(context).retry, job.id)
        await asyncio.sleep(_LOOK)
    answer.goes_on = False
    answer.text = str(ending["answer"])
    answer.fields["finish_reason"] = "stop" if ending["stop"] == "answered" else str(ending["stop"])
    answer.fields["usage"] = {"total_tokens": ending["tokens"]}
    if doubt := ", ".join(ending.get("unfounded") or ()):
        answer.note(_DOUBT.en.format(numbers=doubt), _DOUBT.zh.format(numbers=doubt))
        yield Event("note", {"notes": answer.fields["notes"]})
    if answer.text:
        yield Event("delta", {"text": answer.text})


def note_unfounded(answer: Arrived, said: Sequence[str]) -> bool:
    """Where tools are at hand and none was used, a number that nobody said is the model's own: the answer to a question (the last
    of ``said``) says so."""
    if not only_asks(said[-1]):
        return False  # a poem may count what it likes
    doubt = ", ".join(unfounded(answer.text, said))
    if doubt:
        answer.note(_OWN.en.format(numbers=doubt), _OWN.zh.format(numbers=doubt))
    return bool(doubt)


def cancel(context: Context, run_id: str) -> None:
    """End a run; nothing where it has ended."""
    try:
        job_id = RunStore(context).get(run_id).job_id
        if job_id and not (job := JobStore(context).get(job_id)).ended:
            JobStore(context).cancel(job.id)
    except NotFoundError:
        return


def _look(context: Context, run_id: str) -> tuple[list[dict[str, Any]], dict[str, Any] | None, Job | None]:
    store = RunStore(context)
    run, journal = store.get(run_id), store.journal(run_id)
    job = JobStore(context).get(run.job_id) if run.job_id else None  # before the ending: an ended job has written it
    ending = store.get(run_id).ending if job is None or job.ended else None
    waiting = {pending.id for pending in journal.pending()}
    steps = steps_of(journal.entries(), journal.told(), waiting, journal.decided(), journal.within())
    return [step.model_dump(mode="json") for step in steps], ending, job


def _lost(job: Job) -> bool:
    """Whether a run ended only because its gateway went away, or was stopped with it."""
    return job.status == "failed" and (job.error or {}).get("type") in ("unreachable", "upstream_error")


def _why(job: Job | None) -> UpstreamError:
    error = (job.error if job else None) or {}
    messages = error.get("messages") or {}
    said = T(messages["en"], messages["zh"]) if messages else T("The work was stopped.", "处理已被停止。")
    return UpstreamError(said, code=error.get("code"), param=error.get("param"), fix=error.get("fix"))
