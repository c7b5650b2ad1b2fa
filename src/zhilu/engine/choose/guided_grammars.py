"""What a request wants the answer to look like, written as a grammar for ``guided.py``.

Three wishes share one mechanism: tool calls that must come (``tool_choice`` "required" or a named tool), calls that may come,
and texts with a format. The Hermes call is spelled out with the tool's own schema in it. If the model may choose to call, it can
say anything until it opens a call; from there on, only an offered tool can follow. If the request has both tools and a
format, the answer is either calls or a text in that format.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from zhilu import wire
from zhilu.errors import InputError
from zhilu.messages import T

__all__ = ["MAX_CALLS", "Grammar", "grammar_of", "wants_grammar"]

# A model that cannot stop calling is stopped here.
MAX_CALLS = 16

# White space within JSON, where the request does not say: one blank, or a new line with an indent. Without a limit a small
# model can fill the rest of its answer with blanks and still fit the schema.
_WHITESPACE = r"\x20|\n\x20{0,40}|\n\t{0,10}"

_OPEN = "<tool_call>"
# The models are trained on calls in one line.
_BLANK = r"\x20"


class Grammar(str):
    """Text in llguidance's form.

    Attributes:
        field: of the request, to blame if it does not compile.
        looser: what to use instead where it does not compile, because the request does not insist on it.
        has_calls: whether tools may be called in it, many times over.
    """

    field: str
    looser: Grammar | None
    has_calls: bool

    def __new__(cls, text: str, field: str, looser: Grammar | None = None, has_calls: bool = False) -> Grammar:
        grammar = super().__new__(cls, text)
        grammar.field, grammar.looser, grammar.has_calls = field, looser, has_calls
        return grammar


def wants_grammar(request: wire.ChatRequest | wire.CompletionRequest) -> bool:
    """Whether ``grammar_of`` has anything to do, which may take a while."""
    return request.constraint is not None or (isinstance(request, wire.ChatRequest) and request.may_call_tools)


def grammar_of(request: wire.ChatRequest | wire.CompletionRequest) -> Grammar | None:
    """The grammar of the whole answer, or ``None`` where anything may be said.

    Raises:
        InputError: the wishes contradict each other, or a grammar cannot be read.
    """
    constraint = request.constraint
    if not isinstance(request, wire.ChatRequest) or not request.may_call_tools:
        return _alone(constraint) if constraint else None
    if request.forced_tools:
        calls = _calls(request.forced_tools, request.parallel_tool_calls is not False)
        return Grammar(f"%llguidance {{}}\nstart: calls\n{calls}", "tools", has_calls=True)
    if constraint is None:
        return _text_with_calls(request)
    if constraint.kind == "grammar":
        raise InputError(
            T(f"{constraint.field}: not together with tools", f"{constraint.field}：不能与 tools 一起使用"),
            param=constraint.field,
        )
    calls = _calls(request.tools or (), request.parallel_tool_calls is not False)
    text = f"start: calls | text\ntext: {_term(constraint)}\n{calls}"
    return Grammar(f"%llguidance {{}}\n{text}", constraint.field, has_calls=True)


def _text_with_calls(request: wire.ChatRequest) -> Grammar | None:
    """Any text; once it opens a call, one of the tools' names and, where their schemas can be followed, arguments that fit.

    A beam search looks for what is likeliest anyway, and draws nothing that could be held.
    """
    if request.use_beam_search:
        return None

    def spelled(tools: Sequence[wire.Tool], looser: Grammar | None) -> Grammar:
        rules = ["start: (opened body)* ANYTHING", f'opened[lazy]: ANYTHING "{_OPEN}"', r"ANYTHING: /(.|\n)*/"]
        rules.append(f"body: {_body(len(tools))}")
        return Grammar("%llguidance {}\n" + "\n".join(rules) + "\n" + _tools(tools), "tools", looser, has_calls=True)

    tools = request.tools or ()
    # Some schemas cannot be followed (``not``, ``uniqueItems``): then the arguments are any object.
    anything = [
        tool.model_copy(
            update={
                "function": tool.function.model_copy(
                    update={"parameters": {"type": "object", "additionalProperties": True}}
                )
            }
        )
        for tool in tools
    ]
    return spelled(tools, spelled(anything, None))


def _alone(constraint: wire.Constraint) -> Grammar:
    if constraint.kind == "grammar":
        return Grammar(_from_ebnf(constraint), constraint.field)
    return Grammar(f"%llguidance {{}}\nstart: {_term(constraint)}\n", constraint.field)


def _term(constraint: wire.Constraint) -> str:
    """The constraint as a term of a Lark grammar."""
    if constraint.kind == "json":
        return _json(constraint.value, constraint.compact, constraint.whitespace)
    if constraint.kind == "choice":
        return " | ".join(_literal(text) for text in constraint.value)
    return _regex(constraint.value)


def _json(schema: Any, compact: bool = False, whitespace: str | None = None) -> str:
    if isinstance(schema, Mapping):
        own = schema.get("x-guidance")
        if compact:
            options: dict[str, Any] = {"whitespace_flexible": False}
        else:
            options = {"whitespace_pattern": whitespace or _WHITESPACE}
        schema = {**schema, "x-guidance": {**options, **(own if isinstance(own, Mapping) else {})}}
    return "%json " + json.dumps(schema, ensure_ascii=False)


def _calls(tools: Sequence[wire.Tool], parallel: bool) -> str:
    """Rules ``calls``, ``call`` and one for each tool; the layout is the one that Hermes models are trained on."""
    more = f' ("\\n" call){{0,{MAX_CALLS - 1}}}' if parallel else ""
    return f'calls: call{more}\ncall: "{_OPEN}" {_body(len(tools))}\n' + _tools(tools)


def _body(num_tools: int) -> str:
    """What stands behind the opening mark of a call."""
    names = " | ".join(f"tool_{number}" for number in range(num_tools))
    return f'"\\n" ({names}) "\\n</tool_call>"'


def _tools(tools: Sequence[wire.Tool]) -> str:
    rules = []
    for number, tool in enumerate(tools):
        head = '{"name": ' + json.dumps(tool.function.name) + ', "arguments": '
        # A tool without parameters takes none (OpenAI's reference); its arguments are an empty object all the same.
        schema = tool.function.parameters or {"properties": {}}
        if not {"anyOf", "oneOf", "allOf", "$ref"} & set(schema):
            # Arguments that nobody declared are of no use to a function, unless its schema welcomes them.
            schema = {"type": "object", "additionalProperties": False, **schema}
        rules.append(f'tool_{number}: {_literal(head)} {_json(schema, whitespace=_BLANK)} "}}"')
    return "\n".join(rules) + "\n"


def _literal(text: str) -> str:
    """A Lark string. Its escapes are JSON's, except that JSON's surrogate pairs are not known: other characters stay."""
    return json.dumps(text, ensure_ascii=False)


def _regex(pattern: str) -> str:
    r"""A Lark regular expression. Between slashes a slash must be escaped, and a new line cannot stand."""
    from llguidance import regex_to_lark

    return (
        f"/{regex_to_lark(pattern)}/"
        if "\n" not in pattern
        else f"/{regex_to_lark(pattern.replace(chr(10), chr(92) + 'n'))}/"
    )


def _from_ebnf(constraint: wire.Constraint) -> str:
    """EBNF as vLLM and llama.cpp write it (``root ::= …``), or Lark (``start: …``)."""
    from llguidance import grammar_from

    try:
        return grammar_from("grammar", constraint.value)
    except Exception as error:  # the converter raises whatever its parsing runs into
        raise InputError(
            T(f"{constraint.field}: {error}", f"{constraint.field}：无法读取语法：{error}"), param=constraint.field
        ) from None
