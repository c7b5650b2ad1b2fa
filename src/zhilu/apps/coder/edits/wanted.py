"""An example of what a change must bring: a few lines of Python that fail on the code as it is and have to hold after the change.

The model writes it before it changes anything, as one writes the test first. A repository's own tests cannot know what is wanted
new; an example that holds already says nothing, and is left aside. It runs in the sandbox only.
"""

from __future__ import annotations

import ast
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from zhilu.apps.coder.edits.kept import CodeTestRun, Opened
from zhilu.apps.coder.index.python import parses
from zhilu.apps.coder.index.store import CodeSymbol
from zhilu.client import ModelClient

__all__ = ["PROGRAM", "Example", "example_program", "wanted_example"]

PROGRAM = "wanted_example"  # the module that the copy gets
_TOKENS = 120
_MOST_LINES = 8
_TASK = (
    "A function is about to be changed. Write a test for the change in Python: one assert with the values that the change speaks of, which "
    "fails on the code as it is and holds after the change, and one assert of what stays as it was. At most five lines, no imports, no "
    "comments, nothing else."
)
_SHOWN = "```\n{code}\n```\nChange: {instruction}"
_EXAMPLES = (
    ('def double(x):\n    return x * 2', "`double` should give 0 for None.", "assert double(None) == 0\nassert double(2) == 4"),
    (
        "class Box:\n    def __init__(self):\n        self.items = []\n\n    def put(self, item):\n        self.items.append(item)",
        "Make `Box.put` leave out an item that is in the box already.",
        "box = Box()\nbox.put(1)\nbox.put(1)\nassert box.items == [1]\nbox.put(2)\nassert box.items == [1, 2]",
    ),
)  # fmt: skip

Run = Callable[[str, str, str], Awaitable[CodeTestRun | None]]  # path, its text, a program


@dataclass(frozen=True)
class Example:
    text: str
    program: str
    path: str
    run: Run

    async def misses(self, after: str) -> tuple[int, str]:
        """How many of its lines do not hold with ``after`` in the file's place, and what comes instead; 0 where it cannot be run."""
        ran = await self.run(self.path, after, self.program)
        if ran is None or ran.passed:
            return 0, ""
        return max(ran.code, 1), ran.output.strip()[-600:] or "it fails"


async def wanted_example(
    client: ModelClient, model: str, opened: Opened, target: CodeSymbol, instruction: str, run: Run
) -> Example | None:
    """None for another language, and where the model writes none that fails before the change."""
    if opened.language != "python" or not opened.path.endswith(".py"):
        return None
    shown = "\n".join(opened.text.split("\n")[_class_or_own(opened, target)])
    messages = [{"role": "system", "content": _TASK}]
    for code, asked, written in _EXAMPLES:
        messages.append({"role": "user", "content": _SHOWN.format(code=code, instruction=asked)})
        messages.append({"role": "assistant", "content": written})
    messages.append({"role": "user", "content": _SHOWN.format(code=shown, instruction=instruction)})
    reply = await client.chat(messages, model=model, max_tokens=_TOKENS, temperature=0)
    said = str(reply["choices"][0]["message"].get("content") or "")
    text = "\n".join(line for line in said.split("\n") if not line.startswith(("```", "from ", "import "))).strip()
    program = example_program(opened.path, text, target.qualname)
    if program is None:
        return None
    example = Example(text, program, opened.path, run)
    return example if (await example.misses(opened.text))[0] else None


def example_program(path: str, text: str, qualname: str) -> str | None:
    """The example as a program; None where it is more than plain statements with an assert, or is not about ``qualname``.

    Each line is tried by itself; the exit status is how many failed, and an assert of equality says what came instead.
    """
    tree = parses(text)
    if isinstance(tree, str) or len(text.split("\n")) > _MOST_LINES:
        return None
    if not all(isinstance(node, (ast.Assign, ast.Expr, ast.Assert)) for node in tree.body):
        return None
    asserts = [node for node in tree.body if isinstance(node, ast.Assert)]
    name = qualname.rpartition(".")[2]
    named = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(tree)
        if isinstance(node, (ast.Name, ast.Attribute))
    }
    if not asserts or name not in named:
        return None
    lines = [f"from {path.removesuffix('.py').removesuffix('/__init__').replace('/', '.')} import *", "failed = []"]
    for node in tree.body:
        written = ast.unparse(node)
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.Compare) and isinstance(node.test.ops[0], ast.Eq):
            node.msg = ast.Call(ast.Name("repr", ast.Load()), [node.test.left], [])
        lines += ["try:", f"    {ast.unparse(ast.fix_missing_locations(node))}", "except Exception as error:"]
        lines.append(f"    failed.append({written!r} + f', but: {{type(error).__name__}} {{error}}')")
    return "\n".join([*lines, "print(*failed, sep='\\n')", "raise SystemExit(len(failed))", ""])


def _class_or_own(opened: Opened, target: CodeSymbol) -> slice:
    """The lines that are shown: of a method its class, where that is short."""
    if "." in target.qualname:
        tree = parses(opened.text)
        owner = target.qualname.split(".")[0]
        for node in [] if isinstance(tree, str) else tree.body:
            if isinstance(node, ast.ClassDef) and node.name == owner and (node.end_lineno or 0) - node.lineno < 60:
                return slice(node.lineno - 1, node.end_lineno)
    return slice(target.start - 1, target.end)
