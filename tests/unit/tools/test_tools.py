"""The seam of tools: functions, arguments, wrappers, sources."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from zhilu.context import open_context
from zhilu.errors import ForbiddenError, InputError, NotFoundError, UnreachableError
from zhilu.tools import (
    Approved,
    Audited,
    Clipped,
    Decision,
    Limited,
    Prefixed,
    ToolCall,
    ToolResult,
    open_tools,
    tool_from,
)
from zhilu.tools.base import Toolbox
from zhilu.tools.check import problems_of
from zhilu.tools.source import tool_sources
from zhilu.tools.testing import Counter, FakeTool, MemoryJournal, allow, check_tool, deny
from zhilu.tools.wrappers import Once, guarded


class Colour(str, Enum):
    RED = "red"
    BLUE = "blue"


class Place(BaseModel):
    city: str
    title: str = ""


def paint(
    what: str,
    colour: Colour,
    coats: Annotated[int, "how many"] = 1,
    at: Place | None = None,
    tone: Literal["a", "b"] = "a",
) -> dict[str, Any]:
    """Paint a thing,
    with a brush.

    Args:
        what: the thing
            to paint.
        colour: which.

    Returns:
        what was done.
    """
    return {"what": what, "colour": colour.value, "coats": coats, "city": at.city if at else None}


PAINT = tool_from(paint).facts.parameters


def call(name: str = "paint", **arguments: Any) -> ToolCall:
    return ToolCall("1", name, arguments)


def test_a_function_is_a_tool_by_its_annotations_and_docstring() -> None:
    facts = tool_from(paint).facts
    assert facts.description == "Paint a thing, with a brush."
    properties = facts.parameters["properties"]
    assert properties["what"] == {"type": "string", "description": "the thing to paint."}
    assert facts.parameters["required"] == ["what", "colour"]
    assert "title" in facts.parameters["$defs"]["Place"]["properties"], "a field called title is no pydantic title"
    result = asyncio.run(check_tool(tool_from(paint), {"what": "door", "colour": "red", "at": {"city": "Ulm"}}))
    assert result.data == {"what": "door", "colour": "red", "coats": 1, "city": "Ulm"}


def test_a_function_without_words_or_types_is_refused() -> None:
    def bare(x: int) -> int:
        return x

    def untyped(x):  # type: ignore[no-untyped-def]
        """Words."""

    def many(*xs: int) -> None:
        """Words."""

    for function in (bare, untyped, many):
        with pytest.raises(TypeError):
            tool_from(function)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"what": "x"}, "colour"),
        ({"what": "x", "colour": "green"}, "red"),
        ({"what": "x", "color": "red", "colour": "red"}, "did you mean 'colour'"),
        ({"what": 3, "colour": "red"}, "what"),
        ({"what": "x", "colour": "red", "at": {}}, "at"),
    ],
)
def test_what_does_not_fit_is_told_so_that_it_can_be_mended(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        asyncio.run(tool_from(paint).call(ToolCall("1", "paint", arguments)))


def test_a_strangers_schema_fetches_nothing() -> None:
    from referencing.exceptions import Unresolvable

    with pytest.raises(Unresolvable):
        problems_of({"type": "object", "properties": {"x": {"$ref": "http://127.0.0.1:9/x.json"}}}, {"x": 1})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_arguments_are_told_about_and_never_raise(arguments: Any) -> None:
    assert isinstance(problems_of(PAINT, arguments), list)


def test_only_reading_goes_unasked() -> None:
    asked = []

    async def ask(facts: Any, asked_call: ToolCall) -> Decision:
        asked.append(asked_call)
        return Decision(False, "not now")

    reading, writing = FakeTool("look"), FakeTool("change", "write")
    assert asyncio.run(Approved(reading, ask).call(call("look", text="x"))).text == "ok"
    with pytest.raises(ForbiddenError, match="not now"):
        asyncio.run(Approved(writing, ask).call(call("change", text="x")))
    assert len(asked) == 1 and writing.calls == []
    assert asyncio.run(Approved(writing, allow).call(call("change", text="x"))).text == "ok"


def test_what_was_shown_is_what_is_done() -> None:
    arguments: dict[str, Any] = {"text": "small"}
    tool = FakeTool("change", "write")

    async def ask(_facts: Any, asked: ToolCall) -> Decision:
        arguments["text"] = "large"  # the caller's object
        asked.arguments["text"] = "larger"  # the shown one
        return Decision(True)

    asyncio.run(Approved(tool, ask).call(ToolCall("1", "change", arguments)))
    assert tool.calls[0].arguments == {"text": "small"}


def test_a_truthy_answer_is_no_yes() -> None:
    async def ask(*_: Any) -> Any:
        return Decision("no")  # type: ignore[arg-type]

    with pytest.raises(ForbiddenError):
        asyncio.run(Approved(FakeTool("change", "write"), ask).call(call("change", text="x")))


def test_limits_prefix_and_audit() -> None:
    class Slow(FakeTool):
        async def call(self, call: ToolCall) -> ToolResult:
            await asyncio.sleep(5)
            return ToolResult("late")

    with pytest.raises(UnreachableError):
        asyncio.run(Limited(Slow(), 0.01).call(call("echo", text="x")))
    long = asyncio.run(Clipped(FakeTool(answer="a" * 90 + "z"), 40).call(call("echo", text="x"))).text
    assert long.startswith("a" * 30) and long.endswith("az") and "51 characters" in long
    inner = FakeTool()
    renamed = Prefixed(inner, "shop_")
    assert renamed.facts.name == "shop_echo"
    asyncio.run(renamed.call(call("shop_echo", text="x")))
    assert inner.calls[0].name == "echo"
    seen: list[ToolResult] = []
    with pytest.raises(ForbiddenError):
        audited = Audited(Approved(FakeTool("change", "write"), deny), lambda _f, _c, result: seen.append(result))
        asyncio.run(audited.call(call("change", text="x")))
    assert seen[0].is_error


def test_a_write_whose_end_is_unknown_is_not_done_again() -> None:
    journal, counter = MemoryJournal(), Counter()
    tool = Once(counter, journal)
    first = asyncio.run(tool.call(ToolCall("1", "count", {})))
    assert asyncio.run(tool.call(ToolCall("1", "count", {}))) == first and len(counter.calls) == 1
    journal.begin(ToolCall("2", "count", {}))  # killed here
    assert asyncio.run(tool.call(ToolCall("2", "count", {}))).is_error and len(counter.calls) == 1
    repeatable = FakeTool("set", "write", repeatable=True)
    journal.begin(ToolCall("3", "set", {"text": "x"}))
    assert asyncio.run(Once(repeatable, journal).call(ToolCall("3", "set", {"text": "x"}))).text == "ok"


def test_a_refused_call_was_never_begun() -> None:
    journal = MemoryJournal()
    with pytest.raises(ForbiddenError):
        asyncio.run(guarded(Counter(), deny, journal).call(ToolCall("1", "count", {})))
    assert journal.begun == []


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="echo"):
        Toolbox([FakeTool(), FakeTool()])


def test_sources_are_opened_by_name(tmp_path: Any) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.txt").write_text("from b")

    async def names(*given: str) -> list[str]:
        with_context = open_context()
        async with open_tools(with_context, given) as tools:
            if len(given) > 1:
                read = next(t for t in tools if t.facts.name == "files2_read_file")
                assert (await read.call(ToolCall("1", "files2_read_file", {"path": "x.txt"}))).text == "from b"
            return [tool.facts.name for tool in tools]

    twice = asyncio.run(names(f"files:{tmp_path / 'a'}", f"files:{tmp_path / 'b'}", "calculator"))
    assert "write_file" in twice and "files2_write_file" in twice and twice[-1] == "calculator"
    with pytest.raises(NotFoundError, match="calculator"):
        asyncio.run(names("calculater"))
    with pytest.raises(InputError, match="files:FOLDER"):
        asyncio.run(names("files"))


def test_every_source_says_how_it_is_named() -> None:
    for name, source in tool_sources().items():
        assert source.usage.partition(":")[0] == name == source.example.partition(":")[0]
        assert source.title.en and source.title.zh
