"""Twelve tasks of two to six steps, each with a world to begin with and a goal that is looked up in the world, never in words."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from zhilu.messages import Lang

_NUMBER = re.compile(r"\d+(?:\.\d+)?")

__all__ = ["TASKS", "AgentTask"]


@dataclass(frozen=True)
class AgentTask:
    """
    Attributes:
        build: makes the world in an empty folder.
        tools: sources, ``{w}`` is the folder.
        reached: whether the world is as it should be; gets the folder and the final answer.
        writes: whether the goal needs a change, and so a person's yes.
    """

    name: str
    lang: Lang
    text: str
    build: Callable[[Path], None]
    tools: tuple[str, ...]
    reached: Callable[[Path, str], bool]
    writes: bool = True

    def sources(self, folder: Path) -> list[str]:
        return [tool.format(w=folder) for tool in self.tools]


def _files(**texts: str) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        for name, text in texts.items():
            (folder / f"{name}.txt").write_text(text, encoding="utf-8")

    return build


def _shop(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "shop.db")) as db, db:
        db.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, city TEXT, total REAL, status TEXT)")
        db.execute("CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT, price REAL, stock INTEGER)")
        db.executemany(
            "INSERT INTO orders (customer, city, total, status) VALUES (?, ?, ?, ?)",
            [
                ("Ann", "Oslo", 120.5, "paid"),
                ("Bo", "Bergen", 80, "open"),
                ("Cai", "Oslo", 99.5, "open"),
                ("Dee", "Bergen", 15, "paid"),
            ],
        )
        db.executemany(
            "INSERT INTO products (name, price, stock) VALUES (?, ?, ?)",
            [("lamp", 40, 7), ("chair", 85, 0), ("desk", 230, 3), ("shelf", 60, 12)],
        )


def _text(folder: Path, name: str) -> str:
    path = folder / name
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _holds(name: str, *words: str) -> Callable[[Path, str], bool]:
    """The file has these words or numbers."""
    return lambda folder, _answer: all(_has(_text(folder, name), word) for word in words)


def _says(*words: str) -> Callable[[Path, str], bool]:
    return lambda _folder, answer: all(_has(answer, word) for word in words)


def _has(text: str, word: str) -> bool:
    """A number stands by itself (42 is not in 420) and may be written in another way (42.0)."""
    if not _NUMBER.fullmatch(word):
        return word in text
    return any(float(found) == float(word) for found in _NUMBER.findall(text))


def _sql(question: str, wanted: object) -> Callable[[Path, str], bool]:
    def reached(folder: Path, _answer: str) -> bool:
        with closing(sqlite3.connect(folder / "shop.db")) as db:
            return bool(db.execute(question).fetchone()[0] == wanted)

    return reached


_STOCK = "pens: 137\ncups: 46\nlamps: 9\n"
_MEMO = "Meeting on Tuesday.\nThe budget is 18400 euros.\nThe hall has 230 seats.\n"
_PRICES = "苹果 6.5 元\n香蕉 4.2 元\n葡萄 12.8 元\n"

TASKS: tuple[AgentTask, ...] = (
    AgentTask(
        "sum of two lines", "en", "Read stock.txt. Add the numbers of pens and cups, and write only the sum into total.txt.",
        _files(stock=_STOCK), ("files:{w}", "calculator"), _holds("total.txt", "183"),
    ),
    AgentTask(
        "价格合计", "zh", "读取 prices.txt，计算苹果、香蕉和葡萄的价格总和，把结果写入 sum.txt。",
        _files(prices=_PRICES), ("files:{w}", "calculator"), _holds("sum.txt", "23.5"),
    ),
    AgentTask(
        "share of a budget", "en", "memo.txt says what the budget is. Work out 15 percent of it and write the result into share.txt.",
        _files(memo=_MEMO), ("files:{w}", "calculator"), _holds("share.txt", "2760"),
    ),
    AgentTask(
        "座位分组", "zh", "memo.txt 里写了礼堂的座位数。如果每排 23 个座位，一共有多少排？把排数写入 rows.txt。",
        _files(memo=_MEMO), ("files:{w}", "calculator"), _holds("rows.txt", "10"),
    ),
    AgentTask(
        "find and copy", "en", "One of the files mentions a password for the printer. Find it and write only that password into answer.txt.",
        _files(a="Nothing to see.\n", b="The printer password is tulip-77.\n", c="Lunch at noon.\n"), ("files:{w}",),
        _holds("answer.txt", "tulip-77"),
    ),
    AgentTask(
        "找出电话", "zh", "这些文件里有一个写着门卫的电话号码。找到它，并把号码写入 phone.txt。",
        _files(one="今天下雨。\n", two="门卫电话：5550147\n", three="食堂十二点开饭。\n"), ("files:{w}",), _holds("phone.txt", "5550147"),
    ),
    AgentTask(
        "total of a city", "en", "What is the total of all orders from Oslo in the database? Write the number into oslo.txt.",
        _shop, ("sql:{w}/shop.db", "files:{w}"), _holds("oslo.txt", "220"),
    ),
    AgentTask(
        "缺货商品", "zh", "查询数据库中库存为 0 的商品名称，把名称写入 empty.txt。",
        _shop, ("sql:{w}/shop.db", "files:{w}"), _holds("empty.txt", "chair"),
    ),
    AgentTask(
        "pay an order", "en", "In the database, set the status of Bo's order to paid. Then check that it is.",
        _shop, ("sql-write:{w}/shop.db",), _sql("SELECT status FROM orders WHERE customer = 'Bo'", "paid"),
    ),
    AgentTask(
        "补充库存", "zh", "把数据库里商品 desk 的库存增加 5，然后查询确认新的库存。",
        _shop, ("sql-write:{w}/shop.db",), _sql("SELECT stock FROM products WHERE name = 'desk'", 8),
    ),
    AgentTask(
        "price with tax", "en", "Look up the price of the lamp in the database and tell me what it costs with 19 percent tax added.",
        _shop, ("sql:{w}/shop.db", "calculator"), _says("47.6"), writes=False,
    ),
    AgentTask(
        "改错字", "zh", "letter.txt 里把“北京”误写成了“背景”。请改正这个错字，其他内容保持不变。",
        _files(letter="我下周去背景出差。\n周五回来。\n"), ("files:{w}",),
        lambda folder, _: _text(folder, "letter.txt").strip() == "我下周去北京出差。\n周五回来。",
    ),
)  # fmt: skip
