"""Twelve tasks that no prompt of the product was ever changed for: files, a database, a knowledge base, a calculator, an MCP server.

Six in each language. The goal is looked up in the world wherever the task changes something; else the answer must hold the value, and no
value that it must not. ``wanted`` numbers stand by themselves (42 is not in 420).
"""

from __future__ import annotations

import io
import json
import re
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from zhilu.agents.proofs.tasks import AgentTask

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["KB", "make_knowledge", "unseen_tasks"]

KB = "unseen-rules"
_SERVER = Path(__file__).with_name("stock_server.py")
_RULES = {
    "rules.md": "# House rules\n\n## Bicycles\nBicycles stand in the yard. A bicycle that has not been moved for 90 days is given away.\n\n"
    "## Laundry\nThe laundry room is open from 7:00 to 21:00. A wash costs 1.80 euros, drying 1.20 euros.\n\n"
    "## Guests\nGuests may stay for 14 nights a year.\n",
    "健身房.md": "# 健身房规定\n\n## 会员\n月卡 168 元，季卡 438 元，年卡 1380 元。\n\n## 储物柜\n储物柜押金 50 元，遗失钥匙赔偿 35 元。\n\n"
    "## 课程\n每节团课最多 18 人，开课前 6 小时可以免费取消。\n",
}


def make_knowledge(context: Context) -> None:
    """The knowledge base that some tasks need; nothing where it is there already."""
    from zhilu.errors import NotFoundError
    from zhilu.rag.index.embedding import embedder_of
    from zhilu.rag.index.ingest import ingest_document
    from zhilu.rag.library import Library

    library = Library(context)
    try:
        library.locate(KB)
        return
    except NotFoundError:
        kb = library.create(KB)
    embedder = embedder_of(context, kb.embedder)
    for name, text in _RULES.items():
        document, _ = kb.add(io.BytesIO(text.encode()), name, max_mb=1)
        ingest_document(kb, document.id, embedder, lambda share, stage: None)


def _files(**texts: str) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        for name, text in texts.items():
            (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")

    return build


def _school(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "school.db")) as db, db:
        db.execute("CREATE TABLE pupils (id INTEGER PRIMARY KEY, name TEXT, class TEXT, points INTEGER)")
        db.execute("CREATE TABLE loans (id INTEGER PRIMARY KEY, pupil_id INTEGER, book TEXT, returned INTEGER)")
        rows = [("Iris", "5b", 71), ("Jon", "5a", 64), ("Kim", "5b", 88), ("吴桐", "5a", 93), ("Lea", "5a", 58)]
        db.executemany("INSERT INTO pupils (name, class, points) VALUES (?, ?, ?)", rows)
        loans = [(1, "Atlas", 0), (3, "Atlas", 1), (4, "昆虫记", 0), (5, "Chess", 0)]
        db.executemany("INSERT INTO loans (pupil_id, book, returned) VALUES (?, ?, ?)", loans)


def _storeroom(folder: Path) -> None:
    stock = {"bulbs": 31, "cables": 8, "灯管": 24}
    (folder / "stock.json").write_text(json.dumps(stock, ensure_ascii=False), encoding="utf-8")


def _says(*wanted: str) -> Callable[[Path, str], bool]:
    return lambda _folder, answer: all(_has(answer, one) for one in wanted)


def _holds(name: str, *wanted: str, without: tuple[str, ...] = ()) -> Callable[[Path, str], bool]:
    def reached(folder: Path, _answer: str) -> bool:
        path = folder / name
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        return all(_has(text, one) for one in wanted) and not any(_has(text, one) for one in without)

    return reached


def _has(text: str, word: str) -> bool:
    if re.fullmatch(r"[0-9.]+", word):
        return any(float(found) == float(word) for found in re.findall(r"\d+(?:\.\d+)?", text.replace(",", "")))
    return word in text


def _row(question: str, wanted: object) -> Callable[[Path, str], bool]:
    def reached(folder: Path, _answer: str) -> bool:
        with closing(sqlite3.connect(folder / "school.db")) as db:
            return bool(db.execute(question).fetchone()[0] == wanted)

    return reached


def _left(item: str, pieces: int) -> Callable[[Path, str], bool]:
    return lambda folder, _answer: json.loads((folder / "stock.json").read_text(encoding="utf-8"))[item] == pieces


def unseen_tasks() -> tuple[AgentTask, ...]:
    storeroom = f"mcp:{sys.executable} {_SERVER} {{w}}/stock.json"
    list_ = "eggs\nflour\n"
    bill = "Water: 41.20\nPower: 118.65\nInternet: 29.90\n"
    return (
        AgentTask("add to a list", "en", "Add butter to shopping.txt and keep what is already there.",
                  _files(shopping__txt=list_), ("files:{w}",), _holds("shopping.txt", "eggs", "flour", "butter")),
        AgentTask("sum of bills", "en", "What do the three bills in bills.txt come to altogether?",
                  _files(bills__txt=bill), ("files:{w}", "calculator"), _says("189.75"), writes=False),
        AgentTask("two washes", "en", "According to the house rules, what do two washes with drying cost? Work it out.",
                  _files(), (f"kb:{KB}", "calculator"), _says("6"), writes=False),
        AgentTask("best of a class", "en", "Which pupil of class 5b has the most points? Write only the name into best.txt.",
                  _school, ("sql:{w}/school.db", "files:{w}"), _holds("best.txt", "Kim", without=("Iris",))),
        AgentTask("a book is back", "en", "Lea has returned the book Chess. Mark it as returned (1) in the database.",
                  _school, ("sql-write:{w}/school.db",), _row("SELECT group_concat(returned) FROM loans ORDER BY id", "0,1,0,1")),
        AgentTask("out of the storeroom", "en", "Take 5 bulbs out of the storeroom and tell me how many are left.",
                  _storeroom, (storeroom,), lambda f, a: _left("bulbs", 26)(f, a) and _has(a, "26")),
        AgentTask("年卡便宜多少", "zh", "根据健身房规定，买一张年卡比买 12 个月的月卡便宜多少元？",
                  _files(), (f"kb:{KB}", "calculator"), _says("636"), writes=False),
        AgentTask("平均分", "zh", "5a 班的平均分是多少？把结果写入 avg.txt。",
                  _school, ("sql:{w}/school.db", "files:{w}"), lambda f, a: _holds("avg.txt", "71.6666666666667")(f, a)
                  or any(_holds("avg.txt", x)(f, a) for x in ("71.67", "71.7", "71.66666666666667", "71.666666666667"))),
        AgentTask("改日期", "zh", "notice.txt 里的会议日期写错了：“6月3日”应该是“6月13日”。请改正，其他内容不变。",
                  _files(notice__txt="会议通知\n时间：6月3日下午两点\n地点：三楼\n"), ("files:{w}",),
                  lambda f, _: (f / "notice.txt").read_text(encoding="utf-8").strip() == "会议通知\n时间：6月13日下午两点\n地点：三楼"),
        AgentTask("谁没还书", "zh", "哪位同学借了《昆虫记》还没有还？",
                  _school, ("sql:{w}/school.db",), _says("吴桐"), writes=False),
        AgentTask("取灯管", "zh", "仓库里有多少灯管？取走其中的一半。",
                  _storeroom, (storeroom, "calculator"), _left("灯管", 12)),
        AgentTask("押金写入文件", "zh", "查一下健身房储物柜的押金，把金额写入 deposit.txt。",
                  _files(), (f"kb:{KB}", "files:{w}"), _holds("deposit.txt", "50", without=("35",))),
    )  # fmt: skip
