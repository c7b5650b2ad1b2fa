"""Chat templates, rendered as transformers renders them (``utils/chat_template_utils.py``, 5.23) without importing it.

A template comes with the model from the internet, so it runs in Jinja's immutable sandbox, within limits
(``template_limits.py``), and sees plain JSON data only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from zhilu.errors import InputError
from zhilu.messages import T

__all__ = ["ChatTemplate"]


class ChatTemplate:
    """One compiled template.

    Args:
        source: the Jinja text.
        special_tokens: what the template may name, e.g. ``{"bos_token": "<s>", "eos_token": "</s>"}``.
    """

    def __init__(self, source: str, special_tokens: Mapping[str, str]) -> None:
        from jinja2 import TemplateError

        from zhilu.engine.text.template_limits import MOST_SOURCE

        if len(source) > MOST_SOURCE:
            raise InputError(
                T(
                    f"the model's chat template has {len(source)} characters; {MOST_SOURCE} are read",
                    f"模型的对话模板有 {len(source)} 个字符；最多读取 {MOST_SOURCE} 个",
                ),
                code="bad_chat_template",
            )
        self.source = source
        self._special_tokens = dict(special_tokens)
        try:
            self._template = _environment().from_string(source)
        except (TemplateError, RecursionError) as error:
            raise InputError(
                T(f"the model's chat template does not compile: {error}", f"模型的对话模板无法编译：{error}"),
                code="bad_chat_template",
            ) from None

    @cached_property
    def variables(self) -> frozenset[str]:
        """Names that the template reads and does not set itself: what ``render`` may be given."""
        from jinja2 import meta

        return frozenset(meta.find_undeclared_variables(_environment().parse(self.source)))

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        **variables: Any,
    ) -> str:
        """The prompt text. InputError where the template itself refuses (``raise_exception``) or fails on the messages."""
        from jinja2 import TemplateError

        from zhilu.engine.text.template_limits import counting

        try:
            with counting():
                return self._template.render(
                    messages=[_with_parsed_arguments(message) for message in messages],
                    tools=list(tools) if tools else None,
                    documents=None,
                    add_generation_prompt=add_generation_prompt,
                    **{**self._special_tokens, **variables},
                )
        except (TemplateError, TypeError, ValueError, KeyError, RecursionError) as error:
            raise InputError(
                T(
                    f"the model's chat template refuses these messages: {error}",
                    f"模型的对话模板不接受这些消息：{error}",
                ),
                param="messages",
            ) from None


def _with_parsed_arguments(message: Mapping[str, Any]) -> dict[str, Any]:
    """Tool calls carry their arguments as JSON text on the wire; templates want the object (vLLM does the same)."""
    out = dict(message)
    if not out.get("tool_calls"):
        return out
    calls = []
    for call in out["tool_calls"]:
        function = dict(call["function"])
        try:
            function["arguments"] = json.loads(function["arguments"] or "{}")
        except ValueError:
            given = function["arguments"]
            raise InputError(
                T(f"tool call arguments are not JSON: {given!r}", f"工具调用的 arguments 不是 JSON：{given!r}"),
                param="messages",
            ) from None
        calls.append({**call, "function": function})
    out["tool_calls"] = calls
    return out


def _environment() -> Any:
    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.parser import Parser

    from zhilu.engine.text.template_limits import LimitedEnvironment

    class GenerationBlock(Extension):
        """``{% generation %}`` marks the trained tokens for trainers; when prompting it is transparent."""

        tags = {"generation"}  # noqa: RUF012 (the name and shape jinja2 asks for)

        def parse(self, parser: Parser) -> nodes.Node:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.CallBlock(self.call_method("_render"), [], [], body).set_lineno(line)

        def _render(self, caller: Callable[[], str]) -> str:
            return caller()

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    def tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
        # Jinja's own filter escapes HTML characters, which a model was never trained on.
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)

    environment = LimitedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[GenerationBlock, loopcontrols])
    environment.filters["tojson"] = tojson
    environment.limit_filters()
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda pattern: datetime.now().strftime(pattern)
    return environment
