"""A data folder of a few kilobytes in the real layout, so that the recipe runs whole in a second."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import zstandard

_TOWNS = ("Arden", "Belmont", "Corinth", "Dunsinane", "Elsinore", "Florence", "Gloucester", "Harfleur")
_TRADES = ("salt", "copper", "wool", "paper", "amber", "glass", "silk", "timber")
_CITIES = ("青岩", "白水", "长汀", "丹霞", "凤凰", "桂林", "海宁", "九江")
_GOODS = ("茶叶", "瓷器", "丝绸", "木材", "药材", "铜器", "纸张", "盐")


def write_jsonl(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Write a ``.jsonl.zst`` file as the data folders hold them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    path.write_bytes(zstandard.compress(text.encode()))


def _contexts() -> Iterable[dict[str, Any]]:
    for year, (town, trade, city, goods) in enumerate(zip(_TOWNS, _TRADES, _CITIES, _GOODS, strict=True), start=1801):
        english = (
            f"The old market of {town} was founded in {year} by three merchants from the coast. "
            f"Its guild traded in {trade}, which came down the river on flat boats every spring. "
            f"About {year - 1500} families lived inside the walls, and most of them worked for the guild of {town}."
        )
        chinese = (
            f"{city}古镇建于{year}年，由三位商人共同出资。镇上的行会主要经营{goods}，每年春天沿河运往下游。"
            f"城墙之内约有{year - 1500}户人家，大多数人都在为{city}的行会工作。"
        )
        yield _qa(english, f"What did the guild of {town} trade in?", trade, "en")
        yield _qa(english, f"When was the market of {town} founded?", str(year), "en")
        yield _qa(chinese, f"{city}的行会主要经营什么？", goods, "zh")
        yield _qa(chinese, f"{city}古镇建于哪一年？", f"{year}年", "zh")
        yield {**_qa(english, "Who painted the ceiling of the chapel?", "", "en"), "answers": [], "answerable": False}
        yield {**_qa(chinese, "教堂的天花板是谁画的？", "", "zh"), "answers": [], "answerable": False}


def _qa(context: str, question: str, answer: str, lang: str) -> dict[str, Any]:
    answers = [{"text": answer, "start": context.index(answer)}]
    return {
        "context": context,
        "question": question,
        "answers": answers,
        "answerable": True,
        "lang": lang,
        "source": "test",
    }


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole layout: text, qa, rewrite, tools, dev."""
    folder = tmp_path_factory.mktemp("data")
    contexts = list(_contexts())
    for lang in ("en", "zh"):
        mine = [r for r in contexts if r["lang"] == lang]
        texts = [{"text": "\n".join(r["context"] for r in mine[i : i + 6]), "lang": lang} for i in range(0, 24, 3)]
        write_jsonl(folder / f"text/{lang}-00.jsonl.zst", texts)
        write_jsonl(folder / f"qa/{lang}-test.jsonl.zst", mine)
        question = "Which river runs past the tower?" if lang == "en" else "哪条河流经过那座塔？"
        context = (
            "The tower of Zembla stands on the left bank of the Vltava, a river that freezes in winter."
            if lang == "en"
            else "赞巴拉的高塔矗立在伏尔塔瓦河的左岸，这条河每到冬天都会结冰。"
        )
        write_jsonl(
            folder / f"dev/qa-{lang}.jsonl.zst",
            [{"context": context, "question": question, "answers": [], "answerable": True, "lang": lang}],
        )
        follow, full = (
            ("When was it founded?", "When was Arden founded?") if lang == "en" else ("它建于何时？", "青岩建于何时？")
        )
        history = ["Where is Arden?"] if lang == "en" else ["青岩在哪里？"]
        write_jsonl(
            folder / f"rewrite/{lang}.jsonl.zst",
            [{"history": history, "question": follow, "rewrite": full, "lang": lang}],
        )
        tool = {
            "name": "find_market",
            "description": "Find a market",
            "parameters": {"type": "object", "properties": {"town": {"type": "string"}}},
        }
        call = {"name": "find_market", "arguments": {"town": "Arden"}}
        write_jsonl(
            folder / f"tools/{lang}.jsonl.zst",
            [
                {
                    "tools": [tool],
                    "query": "Find the market of Arden",
                    "calls": [call],
                    "lang": lang,
                    "source": f"made_{lang}",
                }
            ],
        )
    return folder
