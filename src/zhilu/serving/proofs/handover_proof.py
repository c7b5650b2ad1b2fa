"""Whether another program reads a model as we do: asked before it is called ready, since a wrong reading answers, too.

Two fixed prompts are asked greedily. The tokens that the engine counted must be those that we count, and a small model must
begin its answers as it does in our own engine. What we cannot read ourselves is not proven, and that is said.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from zhilu import __version__
from zhilu.errors import UnsupportedError
from zhilu.home import atomic_write
from zhilu.messages import T
from zhilu.serving.engines.handover import content_key
from zhilu.serving.facts import Launch, ProofFacts
from zhilu.serving.proofs.own_reading import NUM_TOKENS, OwnReading, Step

__all__ = ["HANDOVER_DIFFERS", "Difference", "agrees", "compare", "own_reading", "prove"]

# The code of the refusal: a restart would change nothing.
HANDOVER_DIFFERS = "handover_differs"
# Weights of at most so many bytes are run by our own engine for comparison: 5 CPU seconds and 0.3 GB for 20 MB, once.
_MOST_RUN = 128 * 2**20
# Natural logarithms that two tokens may be apart and still change places between two programs' arithmetic.
_NEAR = 1.0
# Tokens that a program without a template puts around the messages' words.
_LINE_BREAKS = 8
_READ_SECONDS, _ASK_SECONDS = 120.0, 120.0


class Difference(NamedTuple):
    """What an engine does otherwise, and the probable cause."""

    what: T
    cause: T


async def prove(
    http: httpx.AsyncClient,
    launch: Launch,
    facts: ProofFacts,
    engine: str,
    name: str,
    model: Path,
    cache: Path,
    how: str = "",
) -> T:
    """What was proven, in a line for the log; or why nothing could be.

    Args:
        name: the model's, for the advice. model: its folder, as we read it. cache: where readings and proofs are kept.
        how: the engine's version and options: what was proven with them once is not asked again while the files stay.

    Raises:
        UnsupportedError: it reads the model otherwise; with the probable cause and what to do.
    """
    words = json.dumps([__version__, engine, how]).encode()
    kept = cache / f"{await asyncio.to_thread(content_key, model)}-{hashlib.sha256(words).hexdigest()[:12]}.proven"
    with suppress(OSError, ValueError, KeyError, TypeError):
        return T.of(json.loads(kept.read_text(encoding="utf-8")))
    try:
        own = await own_reading(model, cache)
    except UnsupportedError as error:
        return T(f"not proven: {error.message.en}", f"未经验证：{error.message.zh}")
    answers = []
    for messages in own.messages:
        answer = await _ask(http, launch, messages, engine, name)
        if isinstance(answer, T):
            return answer
        answers.append(answer)
    found = compare(own, answers, facts)
    if isinstance(found, Difference):
        raise _refusal(engine, name, *found)
    with suppress(OSError):
        atomic_write(kept, json.dumps(found.data(), ensure_ascii=False))
    return found


def compare(own: OwnReading, answers: Sequence[Mapping[str, Any]], facts: ProofFacts) -> T | Difference:
    """A line on what agrees, or the difference.

    Args:
        answers: chat completions of ``own.messages``, in that order.
    """
    counted = [_counted(answer) for answer in answers]
    shown = ", ".join(map(str, counted)), ", ".join(map(str, own.counts))
    if None not in counted:
        apart = [(count or 0) - ours for count, ours in zip(counted, own.counts, strict=True)]
        if not any(all(number == known for number in apart) for known in facts.counts_off):
            what = T(
                f"it counts {shown[0]} tokens in two fixed prompts, which are {shown[1]}",
                f"两个固定提示在它那里是 {shown[0]} 个 token，实际应为 {shown[1]}",
            )
            return Difference(what, _cause(apart, [count or 0 for count in counted], own))
    texts = [_text(answer) for answer in answers]
    if all(text is not None and len(set(text)) == 1 and len(text) >= NUM_TOKENS // 2 for text in texts):
        return _garbled(texts)
    pairs = [(text, steps) for text, steps in zip(texts, own.beginnings, strict=False) if text is not None and steps]
    if pairs and not all(agrees(text, steps) for text, steps in pairs):
        return _garbled(texts, ["".join(step[0][0] for step in steps) for steps in own.beginnings])
    en, zh = f"two prompts of {shown[0]} tokens, as ours", f"两个提示分别为 {shown[0]} 个 token，与我们的一致"
    if pairs:
        en, zh = f"{en}, and answers that begin as ours", f"{zh}，回答的开头也一致"
    return T(f"proven: {en} ({own.cpu_seconds:g} CPU s)", f"已验证：{zh}（CPU {own.cpu_seconds:g} 秒）")


def agrees(text: str, steps: Sequence[Step]) -> bool:
    """Whether ``text`` is the reference's answer, up to a place where two tokens were almost alike."""
    rest = text.lstrip()
    for number, step in enumerate(steps):
        taken, best = step[0]
        taken = taken if number else taken.lstrip()
        if not rest:
            return number > 0 or not taken
        if rest.startswith(taken) or taken.startswith(rest):
            rest = rest[len(taken) :]
            continue
        near = (word if number else word.lstrip() for word, value in step[1:] if best - value < _NEAR)
        return any(word and rest.startswith(word) for word in near)
    return True


async def own_reading(model: Path, cache: Path) -> OwnReading:
    """Of a folder or GGUF file, by a process of its own; kept in ``cache`` for as long as the files stay as they are.

    Raises:
        UnsupportedError: we cannot read it.
    """
    key = await asyncio.to_thread(content_key, model)
    kept = cache / f"{key}.json"
    with suppress(OSError, ValueError, TypeError):
        return OwnReading(**{**json.loads(kept.read_text(encoding="utf-8")), "cpu_seconds": 0.0})
    weights = sum(path.stat().st_size for path in ([model] if model.is_file() else model.glob("*.safetensors")))
    words = ["--tokens", str(NUM_TOKENS)] if weights <= _MOST_RUN else []
    try:
        told = await _read_apart(model, words)
        if "error" in told and words:  # a model of a kind that our engine cannot run may still have a tokenizer we read
            told = await _read_apart(model, [])
    except (asyncio.TimeoutError, OSError, ValueError, IndexError) as error:
        told = {"error": {"en": f"{type(error).__name__}: {error}", "zh": f"{type(error).__name__}：{error}"}}
    if "error" in told:
        raise UnsupportedError(T(told["error"]["en"], told["error"]["zh"]), param="model")
    own = OwnReading(**told)
    with suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
        atomic_write(kept, json.dumps(asdict(own), ensure_ascii=False))
    return own


async def _read_apart(model: Path, words: list[str]) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "zhilu.serving.proofs.own_reading", "--model", str(model), *words,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
    )  # fmt: skip
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _READ_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    told: dict[str, Any] = json.loads(output.decode().splitlines()[-1])
    return told


async def _ask(
    http: httpx.AsyncClient, launch: Launch, messages: list[dict[str, str]], engine: str, name: str
) -> dict[str, Any] | T:
    """The reply; or why there is none that says anything of the reading."""
    body = {"model": launch.model, "messages": messages, "max_tokens": NUM_TOKENS, "temperature": 0, "stream": False}
    url, headers = f"{launch.url}/v1/chat/completions", dict(launch.headers)
    try:
        response = await http.post(url, json=body, headers=headers, timeout=_ASK_SECONDS)
        told = response.json()
    except (httpx.HTTPError, ValueError) as error:
        said = str(error) or type(error).__name__
        return T(f"not proven: no answer to a first chat ({said})", f"未经验证：第一次对话没有得到回答（{said}）")
    if response.is_error or not isinstance(told, dict):
        said = json.dumps(told, ensure_ascii=False)[:300]
        raise _refusal(
            engine,
            name,
            T(
                f"it refuses a first chat with {response.status_code}: {said}",
                f"它以 {response.status_code} 拒绝了第一次对话：{said}",
            ),
            _NO_TEMPLATE if "template" in said.lower() else T("its log says more", "原因见它的日志"),
        )
    return told


_NO_TEMPLATE = T(
    "it did not find the chat template (chat_template.jinja, or the key in tokenizer_config.json)",
    "它没有找到对话模板（chat_template.jinja，或 tokenizer_config.json 中的同名字段）",
)


def _cause(apart: list[int], counted: list[int], own: OwnReading) -> T:
    if all(number == 1 for number in apart):
        return T(
            "the token that begins a text is put before the prompt twice, by the template and by the tokenizer",
            "文本起始 token 被加了两次：模板加一次，分词器又加一次",
        )
    if all(number < 0 for number in apart):
        if any(abs(count - few) <= _LINE_BREAKS for count, few in zip(counted, own.plain, strict=True)):
            return _NO_TEMPLATE
        return T("its chat template says less than the model's own", "它的对话模板比模型自带的少了内容")
    if all(number > 0 for number in apart) and len(set(apart)) == 1:
        return T("its chat template adds words of its own", "它的对话模板添加了额外的内容")
    return T("its tokenizer cuts the text otherwise", "它的分词器切分文本的方式不同")


def _garbled(texts: list[str | None], ours: list[str] | None = None) -> Difference:
    said, own = repr(texts), repr(ours)
    en, zh = f"its answers to two fixed prompts begin {said}", f"它对两个固定提示的回答开头是 {said}"
    if ours:
        en, zh = f"{en}, those of our own engine {own}", f"{zh}，而我们的引擎给出 {own}"
    cause = T(
        "the weights or the positions (rope_theta, rope_scaling) were not read as the model states them",
        "权重或位置编码（rope_theta、rope_scaling）没有按模型的声明读取",
    )
    return Difference(T(en, zh), cause)


def _counted(answer: Mapping[str, Any]) -> int | None:
    usage = answer.get("usage")
    count = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return count if isinstance(count, int) else None


def _text(answer: Mapping[str, Any]) -> str | None:
    """What the answer began with; None where a part of it went elsewhere (thoughts, calls), so that nothing can be compared."""
    try:
        message = answer["choices"][0]["message"]
    except (KeyError, IndexError, TypeError):
        return None
    if any(message.get(key) for key in ("reasoning", "reasoning_content", "thinking", "tool_calls")):
        return None
    text = str(message.get("content") or "").strip()
    return None if "<" in text[:2] else text


def _refusal(engine: str, name: str, what: T, cause: T) -> UnsupportedError:
    fix = f"zhilu serve {name} --engine zhilu"
    return UnsupportedError(
        T(
            f"The engine {engine!r} reads the model {name!r} otherwise than we do: {what.en}. Probable cause: {cause.en}. "
            f"Its answers would be wrong, so it was stopped. Serve it by our own engine ({fix}), or see its log "
            f"(zhilu engine log {name}).",
            f"引擎 {engine!r} 对模型 {name!r} 的读取与我们不一致：{what.zh}。可能的原因：{cause.zh}。"
            f"它的回答会是错的，因此已停止。可以改用内置引擎（{fix}），或查看它的日志（zhilu engine log {name}）。",
        ),
        code=HANDOVER_DIFFERS,
        fix=fix,
    )
