"""A question about a picture, to a model that sees and to one that does not; the gate's own numbers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from zhilu.context import Context, open_context
from zhilu.errors import InputError, UnsupportedError
from zhilu.gate import Status
from zhilu.media import gates
from zhilu.media import look as looking
from zhilu.models.ocr import OcrPage


class Model:
    """Answers what it is told to; ``blind``: refuses pictures as an engine without eyes does."""

    def __init__(self, blind: bool) -> None:
        self.blind = blind
        self.asked: list[Any] = []

    async def chat(self, messages: list[dict[str, Any]], **params: Any) -> dict[str, Any]:
        self.asked.append(messages[0]["content"])
        if self.blind and isinstance(messages[0]["content"], list):
            raise UnsupportedError("no pictures in messages", param="messages.0.content.0.type")
        return {"choices": [{"message": {"content": " 4823 "}}]}


@pytest.fixture
def context(own_home: Path) -> Iterator[Context]:
    opened = open_context()
    yield opened
    opened.close()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    return path


def _ask(monkeypatch: pytest.MonkeyPatch, context: Context, picture: Path, model: Model) -> looking.Answer:
    @asynccontextmanager
    async def connect(_: Context) -> AsyncIterator[Model]:
        yield model

    monkeypatch.setattr(looking, "connect", connect)
    return asyncio.run(looking.look(context, picture, "Which number?"))


def test_a_model_that_sees_gets_the_picture(monkeypatch: pytest.MonkeyPatch, context: Context, picture: Path) -> None:
    model = Model(blind=False)
    found = _ask(monkeypatch, context, picture, model)
    assert found.answer == "4823" and found.way == "seen"
    assert model.asked[0][0]["image_url"]["url"].startswith("data:image/png;base64,")


def test_a_blind_one_gets_its_text_and_is_told_so(
    monkeypatch: pytest.MonkeyPatch, context: Context, picture: Path
) -> None:
    monkeypatch.setattr(looking, "read_image", lambda path: OcrPage.__new__(OcrPage))
    monkeypatch.setattr(OcrPage, "lines", (), raising=False)
    monkeypatch.setattr(looking, "as_text", lambda lines: "NUMBER 4823")
    model = Model(blind=True)
    found = _ask(monkeypatch, context, picture, model)
    assert found.way == "ocr" and found.text == "NUMBER 4823"
    assert "cannot see" in model.asked[1] and "NUMBER 4823" in model.asked[1]


def test_what_is_no_picture_is_refused(monkeypatch: pytest.MonkeyPatch, context: Context, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"hello")
    with pytest.raises(InputError, match="no PNG"):
        _ask(monkeypatch, context, tmp_path / "a.png", Model(blind=False))


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("It is 4823.", True),
        ("4,823", True),
        ("48231", False),
        ("four thousand eight hundred twenty three", True),
        ("4832", False),
    ],
)
def test_only_the_number_itself_counts(answer: str, right: bool) -> None:
    assert gates._says(answer, 4823) is right


def test_the_gate_names_what_is_missing(context: Context) -> None:
    verdict = gates.check_media(context)
    assert verdict.status is Status.CANNOT_RUN_HERE
    assert verdict.fix and verdict.fix.startswith(("zhilu model pull", "python -m pip", "zhilu setup"))
