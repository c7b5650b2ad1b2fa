"""``zhilu mcp``: knowledge bases as tools on standard input and output."""

from __future__ import annotations

import click

from zhilu.cli_support import pass_context_obj
from zhilu.context import Context

__all__ = ["mcp"]


@click.command("mcp")
@click.argument("knowledge_bases", nargs=-1, metavar="[KB]...")
@pass_context_obj
def mcp(context: Context, knowledge_bases: tuple[str, ...]) -> None:
    """Offer knowledge bases (all, or those named) as MCP tools on standard input and output.
    在标准输入输出上以 MCP 工具的形式提供知识库（全部，或指定的）。

    A client starts it: {"command": "zhilu", "args": ["mcp"]}. While `zhilu up` runs, the same tools are at its address under
    /mcp. 由客户端启动；`zhilu up` 运行时，同样的工具也在其地址的 /mcp 下。
    """
    from zhilu.rag.mcp.server import mcp_server

    mcp_server(context, knowledge_bases).run("stdio")
