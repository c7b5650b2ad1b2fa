from __future__ import annotations

import asyncio

import pytest

from zhilu.apps.chat.store import ConversationStore
from zhilu.apps.chat.turn import run_turn
from zhilu.cli import main
from zhilu.client import connect
from zhilu.context import Context


def test_stopping_keeps_what_came(context: Context) -> None:
    store = ConversationStore(context)
    chat = store.create(model="tiny")

    async def stop_after_three() -> str:
        async with connect(context) as client:
            turn = run_turn(context, client, chat.id, parent_id=None, content="Hello", params={"max_tokens": 400})
            text = ""
            async for event in turn:
                if event.name == "delta":
                    text += event.data["text"]
                    if len(text) > 3:
                        break
            await turn.aclose()
            return text

    text = asyncio.run(stop_after_three())
    kept = store.get(chat.id).messages[-1]
    assert (kept.status, kept.content) == ("stopped", text)


def test_chat_on_the_command_line(
    context: Context, engine_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ZHILU_BASE_URL", engine_url)
    with pytest.raises(SystemExit) as left:
        main(["chat", "tiny", "-m", "Hello", "--max-tokens", "5"])
    assert left.value.code == 0 and capsys.readouterr().out.strip()
    with pytest.raises(SystemExit) as left:
        main(["chat", "tiny", "-m", "  "])
    assert left.value.code == 2
    with pytest.raises(SystemExit) as left:
        main(["chat", "nobody", "-m", "Hello"])
    assert left.value.code == 2 and "nobody" in capsys.readouterr().err
