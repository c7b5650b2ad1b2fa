"""``code``: run Python in the sandbox, after approval."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from zhilu.agents.sandbox import Ran, Sandbox
from zhilu.messages import T
from zhilu.tools import Tool, ToolResult, tool_from

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["CODE", "CodeSource"]


class CodeSource:
    title = T("Python in a sandbox", "沙箱中的 Python")
    usage = "code"
    is_local = True
    example = "code"

    @asynccontextmanager
    async def open(self, context: Context, argument: str) -> AsyncIterator[list[Tool]]:
        """Raises MissingComponentError where there is no sandbox and the settings do not allow to go without."""
        folder = tempfile.TemporaryDirectory(prefix="code-", dir=context.home.cache)
        try:
            sandbox = Sandbox(context, Path(folder.name))

            async def run_python(code: str) -> ToolResult:
                """Run a Python program and get what it prints. It has no network and sees no files but those it wrote before.

                Args:
                    code: the whole program; print what you want to know.
                """
                return _told(await sandbox.python(code))

            yield [tool_from(run_python, effect="run", title=T("Run a Python program", "运行 Python 程序"))]
        finally:
            folder.cleanup()


def _told(ran: Ran) -> ToolResult:
    text = ran.stdout.rstrip("\n")
    if ran.stderr.strip():
        text += f"\n[stderr]\n{ran.stderr.strip()[-3000:]}"
    if ran.timed_out:
        text += "\n[stopped: it took too long]"
    elif ran.code != 0:
        text += f"\n[exit status {ran.code}]"
    data = {"code": ran.code, "stdout": ran.stdout, "stderr": ran.stderr, "timed_out": ran.timed_out}
    return ToolResult(text.strip() or "(it printed nothing)", data=data, is_error=ran.code != 0 or ran.timed_out)


CODE = CodeSource()
