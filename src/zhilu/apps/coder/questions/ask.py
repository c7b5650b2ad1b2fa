"""A question about a repository: find the code, show it to the model, check what it says, tell where it stands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal

from pydantic import BaseModel

from zhilu.apps.coder.index.find import CodeCaller, callers, named_in
from zhilu.apps.coder.index.store import IndexStore
from zhilu.apps.coder.index.terms import code_words, names_in, parts_of
from zhilu.apps.coder.questions.check import CodeCite, CodeSentence, check
from zhilu.apps.coder.questions.choose import CodePassage, asks_for_callers, choose
from zhilu.apps.coder.questions.prompts import NOT_THERE, language_of, question_messages, word_messages
from zhilu.client import ModelClient
from zhilu.events import Event
from zhilu.text.terms import query_terms

__all__ = ["CodeAnswer", "ask", "context_of"]

_ANSWER_TOKENS = 320
_UNKNOWN_CONTEXT = 4096  # where a server does not say
_FRAME = 320  # tokens of the words around the code
_CHARACTERS = 2.4  # of code for a token, from below
_HELD = 0.5
_MOST_ROOM = 7_000  # characters: what a small model on a processor reads in reasonable time


class CodeAnswer(BaseModel):
    """``status``: ``answered``, every sentence is founded; ``partly``, some are; ``unfounded``, none is; ``nothing``, the code that
    was found does not answer it, or none was found. ``callers`` are read off the index, not told by the model."""

    question: str
    status: Literal["answered", "partly", "unfounded", "nothing"]
    sentences: list[CodeSentence] = []
    passages: list[CodePassage] = []
    callers: list[CodeCaller] = []
    searched: str = ""
    model: str = ""
    tokens: int = 0


async def ask(client: ModelClient, model: str, store: IndexStore, question: str) -> AsyncIterator[Event]:
    """Events ``passages`` (the answer without words yet), ``text`` (``{text}``, a piece as it comes) and ``done``."""
    answer = CodeAnswer(question=question, status="nothing", model=model)
    room = int(min((await context_of(client, model) - _ANSWER_TOKENS - _FRAME) * _CHARACTERS, _MOST_ROOM))
    named = named_in(store, question, 4)
    if language_of(question) == "zh" and not named:
        answer.searched = await _english_words(client, model, question, answer)
    answer.passages = choose(store, question, answer.searched, room=max(room, 600))
    if asks_for_callers(question):
        answer.callers = [c for symbol in named[:2] for c in callers(store, symbol.name, 30)]
    yield Event("passages", answer.model_dump(mode="json"))
    reply = ""
    if answer.passages:
        async for piece in _told(client, question_messages(question, answer.passages), answer):
            reply += piece
            yield Event("text", {"text": piece})
    if _refuses(reply) and (close := _close(question, answer.searched, answer.passages)):
        # A small model refuses too soon among six pieces; the ones that hold the question's words are put to it alone.
        reply, answer.passages = "", close
        yield Event("passages", answer.model_dump(mode="json"))
        async for piece in _told(client, question_messages(question, close, may_refuse=False), answer):
            reply += piece
            yield Event("text", {"text": piece})
    told = check(reply, answer.passages)
    if _refuses(reply):
        told = []
    answer.sentences = [*_read_off(question, answer.callers), *told]
    answer.status = _status(answer.sentences)
    yield Event("done", answer.model_dump(mode="json"))


async def _told(client: ModelClient, messages: list[dict[str, str]], answer: CodeAnswer) -> AsyncIterator[str]:
    async for chunk in client.chat_stream(messages, model=answer.model, max_tokens=_ANSWER_TOKENS, temperature=0):
        answer.tokens += int((chunk.get("usage") or {}).get("completion_tokens", 0))
        if piece := _piece(chunk):
            yield piece


def _refuses(reply: str) -> bool:
    return any(words.rstrip(".。") in reply for words in NOT_THERE.values())


def _close(question: str, searched: str, passages: list[CodePassage]) -> list[CodePassage]:
    """At most two passages that hold half of the question's words, numbered anew."""
    asked = set(code_words(" ".join(query_terms(searched or question))).split())
    if not asked:
        return []
    held = [len(asked & set(code_words(f"{p.path} {p.symbol} {p.text}").split())) / len(asked) for p in passages]
    best = sorted((n for n, share in enumerate(held) if share >= _HELD), key=lambda n: -held[n])[:2]
    return [passages[n].model_copy(update={"number": place}) for place, n in enumerate(sorted(best), 1)]


def _status(said: list[CodeSentence]) -> Literal["answered", "partly", "unfounded", "nothing"]:
    if not said:
        return "nothing"
    founded = [s.is_founded for s in said]
    return "answered" if all(founded) else "partly" if any(founded) else "unfounded"


def _read_off(question: str, found: list[CodeCaller]) -> list[CodeSentence]:
    """Who calls what, as the index has it: a small model overlooks calls, and this needs no model."""
    said = []
    for name in dict.fromkeys(caller.name for caller in found):
        calls = [caller for caller in found if caller.name == name]
        places = list(dict.fromkeys(c.inside or c.path for c in calls))
        shown = [f"`{place}`" for place in places[:8]]
        text = (
            f"`{name}` 在 {'、'.join(shown)} 中被调用。"
            if language_of(question) == "zh"
            else f"`{name}` is called in {', '.join(shown)}."
        )
        cites = [CodeCite(path=c.path, start=c.line, end=c.line, symbol=c.inside) for c in calls[:8]]
        said.append(CodeSentence(text=text, names=[name, *places[:8]], cites=cites, is_founded=True, from_index=True))
    return said


async def _english_words(client: ModelClient, model: str, question: str, answer: CodeAnswer) -> str:
    """English words to search with, for a question in Chinese about code whose names are English."""
    reply = await client.chat(word_messages(question), model=model, max_tokens=40, temperature=0)
    answer.tokens += int((reply.get("usage") or {}).get("completion_tokens", 0))
    said = str(reply["choices"][0]["message"].get("content") or "")
    words = [part for name in names_in(said) for part in parts_of(name) if 1 < len(part) < 24]
    return " ".join(dict.fromkeys(words[:12]))


async def context_of(client: ModelClient, model: str) -> int:
    """Tokens that the model reads and writes at once, as the server's list says."""
    for entry in await client.models():
        if entry.get("id") == model:
            return int(entry.get("max_model_len") or entry.get("context_length") or _UNKNOWN_CONTEXT)
    return _UNKNOWN_CONTEXT


def _piece(chunk: dict[str, Any]) -> str:
    choices = chunk.get("choices") or [{}]
    return str((choices[0].get("delta") or {}).get("content") or "")
