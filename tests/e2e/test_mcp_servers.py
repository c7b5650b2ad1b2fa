"""MCP in both roles with other people's programs: the reference servers from npm, and the SDK's client against ours."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.test_clients import no_registry, npm  # noqa: F401 - npm is a fixture

pytest.importorskip("mcp", reason="the MCP SDK is not installed here")

from zhilu.context import open_context
from zhilu.tools import ToolCall, ToolResult, open_tools

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SERVERS = ("@modelcontextprotocol/server-everything@2026.8.31", "@modelcontextprotocol/server-filesystem@2026.8.31")


@pytest.fixture(scope="module")
def servers(npm: tuple[list[str], dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> list[str]:  # noqa: F811
    """node, and the folder of the packages."""
    folder = tmp_path_factory.mktemp("mcp-servers")
    words, env = npm
    command = [*words, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--loglevel=error", *SERVERS]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        no_registry(f"npm install: {done.stderr[-500:]}")
    node = shutil.which("node", path=env["PATH"])
    assert node
    return [node, str(folder / "node_modules/@modelcontextprotocol")]


def use(command: list[str], calls: list[tuple[str, dict[str, Any]]]) -> tuple[list[str], list[ToolResult]]:
    async def run() -> tuple[list[str], list[ToolResult]]:
        async with open_tools(open_context(), [f"mcp:{shlex.join(command)}"]) as tools:
            by = {tool.facts.name: tool for tool in tools}
            assert all(tool.facts.effect != "read" for tool in tools), "every call is asked for"
            return list(by), [await by[name].call(ToolCall("1", name, given)) for name, given in calls]

    return asyncio.run(run())


def test_everything(servers: list[str]) -> None:
    node, folder = servers
    names, (echo, total, resources, document, prompts, prompt, image) = use(
        [node, f"{folder}/server-everything/dist/index.js", "stdio"],
        [
            ("mcp_echo", {"message": "hello"}),
            ("mcp_get-sum", {"a": 2, "b": 3}),
            ("mcp_list_resources", {}),
            ("mcp_read_resource", {"uri": "demo://resource/static/document/features.md"}),
            ("mcp_list_prompts", {}),
            ("mcp_get_prompt", {"name": "args-prompt", "arguments": {"city": "Wien"}}),
            ("mcp_get-tiny-image", {}),
        ],
    )
    assert "mcp_get-structured-content" in names
    assert "hello" in echo.text
    assert "5" in total.text
    assert "demo://resource/static/document/features.md" in resources.text
    assert len(document.text) > 200
    assert "args-prompt(city, state?)" in prompts.text
    assert "Wien" in prompt.text
    assert "not shown" in image.text


def test_filesystem_reads_and_stays_in_its_folder(servers: list[str], tmp_path: Path) -> None:
    node, folder = servers
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "note.txt").write_text("the heron stands still")
    (tmp_path / "secret.txt").write_text("nobody")
    names, (read, written, outside) = use(
        [node, f"{folder}/server-filesystem/dist/index.js", str(inside)],
        [
            ("mcp_read_text_file", {"path": str(inside / "note.txt")}),
            ("mcp_write_file", {"path": str(inside / "new.txt"), "content": "new"}),
            ("mcp_read_text_file", {"path": str(tmp_path / "secret.txt")}),
        ],
    )
    assert "mcp_list_resources" not in names, "it has none"
    assert "heron" in read.text
    assert not written.is_error and (inside / "new.txt").read_text() == "new"
    assert outside.is_error and "nobody" not in outside.text
