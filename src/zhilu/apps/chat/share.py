"""A conversation as a file: JSON that can be taken in again, Markdown, or a page of HTML that needs nothing else."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zhilu import wire
from zhilu.apps.chat.sampling import SamplingParams
from zhilu.apps.chat.steps import ChatStep
from zhilu.apps.chat.store import Conversation, ConversationStore, Message, Summary, branch
from zhilu.errors import InputError
from zhilu.messages import T

__all__ = ["FORMATS", "LARGEST_MB", "Format", "export", "import_conversations"]

Format = Literal["json", "md", "html"]
FORMATS: dict[Format, str] = {
    "json": "application/json",
    "md": "text/markdown; charset=utf-8",
    "html": "text/html; charset=utf-8",
}
_KIND = "zhilu-conversations/1"
LARGEST_MB = 32  # of an import: JSON is read in one go, and others wait for it
_MOST = 5_000  # conversations of one file
_YOU = T("You", "你")


class _SharedMessage(BaseModel):
    model_config = ConfigDict(extra="ignore")
    id: str = Field(min_length=1, max_length=64)
    parent_id: str | None = None
    role: Literal["user", "assistant"]
    content: str = Field(max_length=2_000_000)
    thought: str = ""
    model: str | None = Field(None, max_length=200)
    citations: list[dict[str, Any]] = []
    usage: dict[str, Any] | None = None
    steps: list[ChatStep] = Field([], max_length=500)
    notes: list[dict[str, str]] = Field([], max_length=20)


class _SharedConversation(BaseModel):
    model_config = ConfigDict(extra="ignore")
    title: str = Field("", max_length=300)
    model: str | None = Field(None, max_length=200)
    system_prompt: str = Field("", max_length=20_000)
    params: SamplingParams = SamplingParams()
    head_id: str | None = None
    messages: list[_SharedMessage] = Field(max_length=20_000)


def export(conversations: Sequence[Conversation], form: Format) -> bytes:
    """All branches as JSON; the branch that is shown as Markdown or HTML."""
    if form == "json":
        told = [one.model_dump(mode="json") for one in conversations]
        return json.dumps({"kind": _KIND, "conversations": told}, ensure_ascii=False, indent=1).encode()
    if form == "md":
        return "\n\n---\n\n".join(_markdown(one) for one in conversations).encode()
    return _page(conversations).encode()


def import_conversations(store: ConversationStore, content: bytes) -> list[Summary]:
    """Take in what ``export`` wrote as JSON, or a list of OpenAI's messages; all of it or nothing. Files are not in it.

    Raises:
        InputError: it is neither; what is wrong, and where.
    """
    try:
        value = json.loads(content)
        wire.refuse_unkeepable(content, value)
    except (ValueError, RecursionError) as error:
        raise _refused(f"no JSON: {error}", f"不是 JSON：{error}") from error
    given = _conversations_in(value)
    try:
        read = [_SharedConversation.model_validate(one) for one in given]
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise _refused(f"{place}: {first['msg']}", f"{place}：{first['msg']}") from error
    for number, one in enumerate(read):
        _check_tree(number, one)
    return [store.take_in({**one.model_dump(), "params": one.params.model_dump(exclude_none=True)}) for one in read]


def _conversations_in(value: Any) -> list[Any]:
    if isinstance(value, dict) and value.get("kind") == _KIND and isinstance(value.get("conversations"), list):
        found = value["conversations"]
    elif isinstance(value, dict) and isinstance(value.get("messages"), list):
        found = [_from_openai(value["messages"])]
    elif isinstance(value, list) and value and all(isinstance(m, dict) and "role" in m for m in value):
        found = [_from_openai(value)]
    else:
        raise _refused(
            "neither an export of conversations nor a list of messages", "既不是对话导出文件，也不是消息列表"
        )
    if len(found) > _MOST:
        raise _refused(f"{len(found)} conversations; at most {_MOST}", f"有 {len(found)} 段对话，最多 {_MOST} 段")
    return found


def _from_openai(messages: Sequence[Any]) -> dict[str, Any]:
    """OpenAI's messages as one branch; a system message becomes the conversation's."""
    system = " ".join(
        str(m.get("content") or "") for m in messages if isinstance(m, dict) and m.get("role") == "system"
    )
    told = [m for m in messages if isinstance(m, dict) and m.get("role") in ("user", "assistant")]
    rows = [
        {"id": str(n), "parent_id": str(n - 1) if n else None, "role": m["role"], "content": m.get("content") or ""}
        for n, m in enumerate(told)
    ]
    title = next((str(row["content"])[:60] for row in rows if row["role"] == "user"), "")
    head = rows[-1]["id"] if rows else None
    return {"title": title, "system_prompt": system, "head_id": head, "messages": rows}


def _check_tree(number: int, one: _SharedConversation) -> None:
    seen: set[str] = set()
    for message in one.messages:  # a parent stands before its children, so there is no circle
        if message.id in seen or (message.parent_id is not None and message.parent_id not in seen):
            where = f"conversations.{number}: message {message.id[:40]!r}"
            raise _refused(f"{where} has no place in the tree", f"{where} 在对话树中没有位置")
        seen.add(message.id)


def _refused(en: str, zh: str) -> InputError:
    return InputError(T(f"This cannot be taken in: {en}.", f"无法导入：{zh}。"), param="file", code="bad_import")


def _shown(one: Conversation) -> list[Message]:
    return [message for message in branch(one.messages, one.head_id) if message.content or message.steps]


def _worked(message: Message) -> list[tuple[str, str]]:
    """What was done for an answer: a line for each call, and what came of it."""
    told = []
    for step in message.steps:
        if step.kind == "call":
            given = json.dumps(step.changed or step.arguments, ensure_ascii=False)
            told.append((f"{step.name} {given} [{step.state}]", step.result))
    return told


def _markdown(one: Conversation) -> str:
    parts = [f"# {' '.join(one.title.split()) or '-'}"]
    for message in _shown(one):
        who = _YOU.say() if message.role == "user" else message.model or "Zhilu"
        steps = [f"- `{' '.join(head.split())}`\n\n{_indented(result)}\n" for head, result in _worked(message)]
        notes = [f"> {note.get('en', '')} {note.get('zh', '')}\n" for note in message.notes]
        parts.append("\n".join([f"## {who}\n", *steps, *notes, f"{message.content}{_sources(message)}"]))
    return "\n\n".join(parts) + "\n"


def _indented(text: str) -> str:
    """As a block of code of Markdown, which its words cannot end."""
    return "\n".join(f"      {line}" for line in text.splitlines())


def _sources(message: Message) -> str:
    used = [c for c in message.citations if c.get("cited")]
    lines = [f"- [{c.get('n', '')}] {c.get('doc_name', '')}: {' '.join(str(c.get('text', '')).split())}" for c in used]
    return "\n\n" + "\n".join(lines) if lines else ""


_STYLE = (
    "body{max-width:46rem;margin:2rem auto;padding:0 1rem;font:16px/1.65 system-ui,sans-serif;color:#1d2430;background:#fff}"
    "article{white-space:pre-wrap;overflow-wrap:anywhere;margin:1rem 0;padding:.8rem 1rem;border-radius:10px}"
    "article.user{background:#eef2f8}article.assistant{border:1px solid #dde3ec}small{color:#5b6675}"
    "@media(prefers-color-scheme:dark){body{background:#12161c;color:#e6eaf0}article.user{background:#1e2530}"
    "article.assistant{border-color:#2c3542}}details{margin:.3rem 0;overflow-wrap:anywhere}pre{white-space:pre-wrap}"
)


def _page(conversations: Sequence[Conversation]) -> str:
    """Every word is escaped; no script, nothing is loaded."""
    parts = []
    for one in conversations:
        parts.append(f"<h1>{html.escape(one.title or '-')}</h1>")
        for message in _shown(one):
            who = _YOU.say() if message.role == "user" else message.model or "Zhilu"
            text = html.escape(message.content + _sources(message))
            parts.append(f"<small>{html.escape(who)}</small>")
            parts += [
                f"<details><summary>{html.escape(head)}</summary><pre>{html.escape(result)}</pre></details>"
                for head, result in _worked(message)
            ]
            parts += [
                f"<p><small>{html.escape(n.get('en', ''))} {html.escape(n.get('zh', ''))}</small></p>"
                for n in message.notes
            ]
            parts.append(f'<article class="{message.role}">{text}</article>')
    title = html.escape(conversations[0].title if len(conversations) == 1 else "Zhilu")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>"
    )
