"""Kill -9 a run at every moment that could matter, let it go on, and print what the world looks like.

A process of its own without threads, so that it can fork. Each child runs the same four writes with the real loop, journal and
wrappers; at its n-th step through journal and tool it kills itself. Prints JSON: a list of {moment, written, entries, unknown}.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from zhilu.agents.drive import drive
from zhilu.agents.journal import RunJournal
from zhilu.agents.loop import AskModel, Said, agent_loop
from zhilu.tools.base import ToolCall, ToolFacts, ToolResult
from zhilu.tools.wrappers import Decision, guarded

WRITES = 4


class Fuse:
    """Kills this process when it has been passed ``left`` times."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class FusedJournal(RunJournal):
    fuse: Fuse

    def add(self, *args: Any) -> None:
        self.fuse()
        super().add(*args)
        self.fuse()

    def begin(self, call: ToolCall) -> None:
        self.fuse()
        super().begin(call)
        self.fuse()

    def end(self, call_id: str, result: ToolResult) -> None:
        self.fuse()
        super().end(call_id, result)
        self.fuse()


class Append:
    """Writes a line: twice is seen."""

    facts = ToolFacts(
        "append",
        "Add a line.",
        {"type": "object", "properties": {"line": {"type": "string"}}, "required": ["line"]},
        effect="write",
    )

    def __init__(self, path: Path, fuse: Fuse) -> None:
        self.path, self.fuse = path, fuse

    async def call(self, call: ToolCall) -> ToolResult:
        self.fuse()
        with self.path.open("a") as file:
            file.write(call.arguments["line"] + "\n")
        self.fuse()
        return ToolResult("added")


async def take_turn(asked: AskModel) -> Said:
    if asked.step > WRITES:
        return Said("all written")
    return Said("", [("append", {"line": f"line {asked.step}"})])


def run(folder: Path, moment: int) -> None:
    fuse = Fuse(moment)
    journal = FusedJournal(folder / "journal.db")
    journal.fuse = fuse

    async def ask(facts: ToolFacts, call: ToolCall) -> Decision:
        journal.ask(facts, call)
        journal.decide(call.id, Decision(True))
        decision = journal.decision(call)
        assert decision is not None
        return decision

    tools = {"append": guarded(Append(folder / "world.txt", fuse), ask, journal)}
    ending = asyncio.run(drive(agent_loop("write", tools), take_turn, tools, journal))
    assert ending.stop == "answered" and ending.answer == "all written"


def in_child(folder: Path, moment: int) -> int:
    child = os.fork()
    if child == 0:
        try:
            run(folder, moment)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(root: Path) -> None:
    seen = []
    for moment in range(1, 200):
        folder = root / str(moment)
        folder.mkdir()
        first = in_child(folder, moment)
        if first == 0:  # fewer steps than this: every moment has been tried
            break
        assert first == -signal.SIGKILL, first
        assert in_child(folder, 0) == 0
        entries = RunJournal(folder / "journal.db").entries()
        unknown = sum("not known" in str(e.came.get("result", {}).get("text")) for e in entries)
        written = (folder / "world.txt").read_text().splitlines()
        seen.append({"moment": moment, "written": written, "entries": len(entries), "unknown": unknown})
    print(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
