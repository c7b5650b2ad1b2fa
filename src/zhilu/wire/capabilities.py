"""What an engine can do, as one table: the word for each capability, its title, and what in a request asks for it.

``EngineFacts.can`` holds words of this table. The gateway and our engine's server refuse by it; ``zhilu engine list``, the
workbench and the documentation show it. To add a capability, add a line here and the word to the facts of the engines that have
it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from zhilu.errors import UnsupportedError
from zhilu.messages import T
from zhilu.wire.requests import Message, Request

__all__ = ["CAPABILITIES", "OWN_ENGINE", "Capability", "refuse_beyond", "refuse_endpoint"]


@dataclass(frozen=True)
class Capability:
    """
    Attributes:
        title: what a person calls it.
        paths: endpoints that are nothing without it.
        fields: of a request that ask for it -> the values that ask for nothing, beside ``None``.
        parts: kinds of content part that ask for it.
        unless: field -> the value with which nothing is asked for after all.
    """

    title: T
    paths: tuple[str, ...] = ()
    fields: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    parts: tuple[str, ...] = ()
    unless: tuple[str, Any] | None = None

    def plain(self, name: str, value: Any) -> bool:
        """Whether ``value`` of the field asks for nothing. ``False`` is not 0 here: no log-probabilities, and none beside."""
        return value is None or any(value == one and type(value) is type(one) for one in self.fields[name])


def _of(title: T, *fields: str, **more: Any) -> Capability:
    """``fields`` where every value but ``None`` asks; ``more``: those with other plain values, and attributes."""
    own = {name: more.pop(name) for name in ("paths", "parts", "unless") if name in more}
    return Capability(title, fields={**dict.fromkeys(fields, ()), **more}, **own)


_GUIDED = ("guided_json", "guided_regex", "guided_choice", "guided_grammar", "guided_whitespace_pattern")
_TOKENS = ("/tokenize", "/detokenize", "/tokenizer_info")
_LORA = ("/v1/load_lora_adapter", "/v1/unload_lora_adapter")

CAPABILITIES: Mapping[str, Capability] = {
    # ------------------------------------------------------------ endpoints
    "chat": _of(T("chat completions", "对话补全"), paths=("/v1/chat/completions",)),
    "completions": _of(T("completions of a raw prompt", "原始提示补全"), paths=("/v1/completions",)),
    "batch": _of(T("several conversations in one request", "一次请求多个对话"), paths=("/v1/chat/completions/batch",)),
    "tokenize": _of(T("text to token ids and back", "文本与 token id 互转"), paths=_TOKENS),
    "lora": _of(T("LoRA adapters loaded and unloaded while it runs", "运行中加载和卸载 LoRA 适配器"), paths=_LORA),
    "cancel": _of(T("answers ended by their ids", "按编号取消回答"), paths=("/v1/requests/cancel",)),
    "embeddings": _of(T("embeddings", "向量")),
    "metrics": _of(T("Prometheus metrics", "Prometheus 指标")),
    "state": _of(T("block table and scheduler made visible", "可查看块表与调度器"), paths=("/state", "/steps")),
    # ------------------------------------------------------------ what is read
    "vision": _of(T("pictures in messages", "消息中的图片"), parts=("image_url",)),
    "hearing": _of(T("sound in messages", "消息中的声音"), parts=("input_audio",)),
    "files": _of(T("files in messages", "消息中的文件"), parts=("file",)),
    "prompt_token_ids": _of(T("prompts of token ids for chats", "以 token id 作为对话的提示"), "prompt_token_ids"),
    "prompt_embeds": _of(T("prompts of vectors", "以向量作为提示"), prompt_embeds=([],)),
    "template_kwargs": _of(T("variables of the chat template", "对话模板的变量"), chat_template_kwargs=({},)),
    "chat_template": _of(T("a chat template sent along", "随请求发送的对话模板"), "chat_template"),
    "reasoning_effort": _of(T("a choice of how much to think", "思考程度的选择"), reasoning_effort=("none",)),
    "documents": _of(T("documents for the chat template", "供对话模板使用的文档"), "documents"),
    "special_tokens": _of(
        T("a choice about special tokens", "特殊 token 的取舍"), "add_special_tokens", skip_special_tokens=(True,)
    ),
    "continuation": _of(
        T("an answer's beginning to go on with", "续写已有的回答"),
        continue_final_message=(False,), add_generation_prompt=(True,),
    ),
    "truncation": _of(T("prompts cut on request", "按要求截断提示"), "truncate_prompt_tokens"),
    "cache_salt": _of(T("prompts that share no computation with others", "不与他人共享计算的提示"), "cache_salt"),
    # ------------------------------------------------------------ how it answers
    "stream": _of(T("streamed answers", "流式回答"), stream=(False,)),
    "stream_usage": _of(T("token counts at the end of a stream", "流式结束时给出用量")),
    "n": _of(T("several answers to one request", "一次请求给出多个回答"), n=(1,)),
    "best_of": _of(T("the best of several answers", "从多个回答中选最好的"), best_of=(1,)),
    "echo": _of(T("the prompt repeated in the answer", "在回答中重复提示"), echo=(False,)),
    "suffix": _of(T("text put in before other text", "在给定后文之前插入文本"), suffix=("",)),
    "logprobs": _of(T("log-probabilities", "对数概率"), logprobs=(False,)),
    "logprob_token_ids": _of(T("log-probabilities of chosen tokens", "指定 token 的对数概率"), "logprob_token_ids"),
    "prompt_logprobs": _of(T("log-probabilities of the prompt", "提示的对数概率"), "prompt_logprobs"),
    "request_id": _of(T("replies under an id of the client's", "由客户端指定回答的编号"), "request_id"),
    "token_ids": _of(
        T("token ids in the answer", "回答中给出 token id"),
        return_token_ids=(False,), return_tokens_as_token_ids=(False,),
    ),
    # ------------------------------------------------------------ tools and formats
    "tools": _of(T("function calls", "函数调用"), tools=([],), unless=("tool_choice", "none")),
    "tool_choice": _of(T("function calls that must come", "必须进行的函数调用"), tool_choice=("auto", "none")),
    "single_tool_call": _of(T("one function call at most", "最多一次函数调用"), parallel_tool_calls=(True,)),
    "json_schema": _of(T("answers held to a JSON schema", "按 JSON schema 约束的回答"), response_format=({"type": "text"},)),
    "structured_outputs": _of(T("answers held to a grammar or choice", "按语法或选项约束的回答"), "structured_outputs"),
    "guided": _of(
        T("the older fields for held answers", "约束回答的旧字段"), *_GUIDED, guided_json_object=(False,)
    ),
    "functions": _of(T("the older form of function calls", "函数调用的旧形式"), "functions", "function_call"),
    # ------------------------------------------------------------ sampling and stops
    "seed": _of(T("repeatable sampling by seed", "用种子重现采样"), "seed"),
    "logit_bias": _of(T("bias on single tokens", "对单个 token 的偏置"), logit_bias=({},)),
    "top_k": _of(T("sampling by top-k and min-p", "top-k 与 min-p 采样"), top_k=(-1, 0), min_p=(0.0,)),
    "repetition_penalty": _of(T("a penalty on repetition", "重复惩罚"), repetition_penalty=(1.0,)),
    "beam_search": _of(T("beam search", "束搜索"), use_beam_search=(False,), length_penalty=(1.0,)),
    "min_tokens": _of(T("answers of a least length", "最短回答长度"), min_tokens=(0,)),
    "min_characters": _of(T("answers of at least so many characters", "最少字符数"), min_characters=(0,)),
    "bad_words": _of(T("words that must not appear", "禁用词"), bad_words=([],)),
    "token_rules": _of(
        T("tokens that end an answer, or that alone may appear", "指定停止 token 或允许的 token"),
        "allowed_token_ids", stop_token_ids=([],),
    ),
    "ignore_eos": _of(T("answers that go on past their end", "忽略结束标记继续生成"), ignore_eos=(False,)),
    "stop_shown": _of(T("the stop string shown", "回答中保留停止字符串"), include_stop_str_in_output=(False,)),
    "spaces": _of(T("no spaces between special tokens", "特殊 token 间不加空格"), spaces_between_special_tokens=(True,)),
    # ------------------------------------------------------------ known, and nowhere here
    "speech": _of(T("spoken answers", "语音回答"), "audio", modalities=(["text"],)),
    "hidden_reasoning": _of(T("thoughts left out of the answer", "回答中不含思考"), include_reasoning=(True,)),
    "verbosity": _of(T("a choice of how much to say", "详略的选择"), verbosity=("medium",)),
    "prediction": _of(T("an answer foretold", "预测输出"), "prediction"),
    "moderation": _of(T("moderation", "内容审核"), "moderation"),
    "storage": _of(T("answers that the server keeps", "由服务器保存回答"), store=(False,)),
    "web_search": _of(T("web search", "网络搜索"), "web_search_options"),
    "service_tier": _of(T("tiers of service", "服务等级"), service_tier=("auto", "default")),
    "priority": _of(T("priorities", "优先级"), priority=(0,)),
}  # fmt: skip

# What our own engine can do; read by its server and by ``serving``, which must not know each other.
OWN_ENGINE: frozenset[str] = frozenset(
    {
        *("chat", "completions", "batch", "tokenize", "lora", "cancel", "metrics", "state"),
        *("prompt_token_ids", "template_kwargs", "reasoning_effort", "special_tokens", "continuation", "truncation"),
        *("cache_salt", "stream", "stream_usage", "n", "echo", "logprobs", "logprob_token_ids", "prompt_logprobs"),
        *(
            "request_id",
            "token_ids",
            "tools",
            "tool_choice",
            "single_tool_call",
            "json_schema",
            "structured_outputs",
            "guided",
        ),
        *("seed", "logit_bias", "top_k", "repetition_penalty", "beam_search", "min_tokens", "min_characters"),
        *("bad_words", "token_rules", "ignore_eos", "stop_shown"),
    }
)

_BY_PATH = {path: name for name, one in CAPABILITIES.items() for path in one.paths}
_BY_FIELD = {name: word for word, one in CAPABILITIES.items() for name in one.fields}
_BY_PART = {kind: word for word, one in CAPABILITIES.items() for kind in one.parts}


def refuse_beyond(engine: str, can: Collection[str], request: Request) -> None:
    """Raise UnsupportedError for the first wish that is none of ``can``; ``param`` is where it stands in the request."""
    for name in sorted(request.model_fields_set & _BY_FIELD.keys()):
        word = _BY_FIELD[name]
        if word in can:
            continue
        one, value = CAPABILITIES[word], getattr(request, name)
        if one.plain(name, value) or (one.unless and getattr(request, one.unless[0], None) == one.unless[1]):
            continue
        raise _beyond(engine, word, name, f"{name}={_short(value)}", tuple(v for v in one.fields[name] if v != []))
    messages: list[Message] = getattr(request, "messages", None) or []
    for number, message in enumerate(messages):
        for place, kind in message.parts if isinstance(message, Message) else ():
            word = _BY_PART.get(kind, "")
            if word and word not in can:
                raise _beyond(engine, word, f"messages.{number}.content.{place}.type", repr(kind), ())


def refuse_endpoint(engine: str, can: Collection[str], path: str) -> None:
    """Raise UnsupportedError where an engine of these capabilities has nothing at ``path``."""
    word = _BY_PATH.get(path, "chat")
    if word in can:
        return
    title = CAPABILITIES[word].title
    raise UnsupportedError(
        T(f"The engine {engine!r} has no {path} ({title.en}).", f"引擎 {engine!r} 没有 {path}（{title.zh}）。"),
        param="model",
        code="unsupported_endpoint",
        fix="zhilu engine list",
    )


def _beyond(engine: str, word: str, param: str, given: str, instead: tuple[Any, ...]) -> UnsupportedError:
    title = CAPABILITIES[word].title
    shown = ", ".join(map(repr, instead))
    return UnsupportedError(
        T(
            f"The engine {engine!r} has no {title.en}: {given} is not supported"
            + (f"; it can do {shown}." if shown else "."),
            f"引擎 {engine!r} 没有{title.zh}：不支持 {given}" + (f"；可用的取值：{shown}。" if shown else "。"),
        ),
        param=param,
        fix="zhilu engine list",
    )


def _short(value: Any, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
