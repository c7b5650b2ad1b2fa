"""Tools: what a model may call. The seam between those who offer tools and those who let a model use them.

File map: ``base`` what a tool, a call and its result are, and what a call does to the world · ``source`` where tools come from
(entry points ``zhilu.tools``) and ``open_tools`` · ``function`` a Python function as a tool · ``check`` arguments against a schema ·
``schema`` a schema as a grammar can hold it · ``wrappers`` approval, time limit, output limit, audit, prefix, once · ``addresses`` where
a name leads · ``testing`` a fake and the rules that every tool keeps.

Nothing here asks a model. A program that wants a model to use tools takes ``zhilu.agents``.
"""

from zhilu.tools.base import Effect, Tool, ToolCall, ToolFacts, ToolResult, as_openai
from zhilu.tools.function import tool_from
from zhilu.tools.source import ToolSource, open_tools, tool_sources
from zhilu.tools.wrappers import Approved, Ask, Audited, Clipped, Decision, Limited, Prefixed, Wrapped

__all__ = [
    "Approved",
    "Ask",
    "Audited",
    "Clipped",
    "Decision",
    "Effect",
    "Limited",
    "Prefixed",
    "Tool",
    "ToolCall",
    "ToolFacts",
    "ToolResult",
    "ToolSource",
    "Wrapped",
    "as_openai",
    "open_tools",
    "tool_from",
    "tool_sources",
]
