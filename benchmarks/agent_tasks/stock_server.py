"""An MCP server of a storeroom, run as a program: what there is, and taking something out. Its state is the file that it is given."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import MCPServer

STATE = Path(sys.argv[1])
server: MCPServer[Any] = MCPServer("storeroom", log_level="ERROR")


@server.tool()
async def stock_of(item: str) -> str:
    """How many pieces of an item are in the storeroom."""
    stock = json.loads(STATE.read_text(encoding="utf-8"))
    return f"{item}: {stock[item]}" if item in stock else f"no {item!r}; there are: {', '.join(stock)}"


@server.tool()
async def take_out(item: str, pieces: int) -> str:
    """Take pieces of an item out of the storeroom."""
    stock = json.loads(STATE.read_text(encoding="utf-8"))
    if stock.get(item, 0) < pieces:
        return f"there are only {stock.get(item, 0)}"
    stock[item] -= pieces
    STATE.write_text(json.dumps(stock, ensure_ascii=False), encoding="utf-8")
    return f"{item}: {stock[item]} left"


if __name__ == "__main__":
    server.run("stdio")
