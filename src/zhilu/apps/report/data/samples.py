"""Three small databases to try reports with, and to judge them by: a shop (English), a school (Chinese), sites and their power.

They are made by rule from a fixed seed, so that the right answers are the same on every machine. All names are invented.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

__all__ = ["SAMPLES", "make_sample"]

Row = Sequence[Any]
_SEED = 20260801


def make_sample(name: str, path: Path) -> None:
    """Write the sample database ``name`` to ``path``, which must not exist."""
    with closing(sqlite3.connect(path)) as database, database:
        for table, columns, rows in SAMPLES[name](random.Random(f"{_SEED}-{name}")):
            database.execute(f"CREATE TABLE {table} ({columns})")
            marks = ", ".join("?" * (columns.count(",") + 1))
            database.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)


def _days(rng: random.Random, first: date, num_days: int) -> str:
    return (first + timedelta(days=rng.randrange(num_days))).isoformat()


def _shop(rng: random.Random) -> Iterable[tuple[str, str, list[Row]]]:
    cities = [("Lyon", "France"), ("Nantes", "France"), ("Turin", "Italy"), ("Bari", "Italy"), ("Graz", "Austria")]
    names = (
        "Ada Brook", "Ben Castle", "Cleo Dane", "Dov Eller", "Eve Fane", "Finn Gray", "Gus Hale", "Hana Ivers", "Ian Judd",
        "Jana Kerr", "Kai Lund", "Lena Moss", "Milo Nash", "Nora Olin", "Otto Penn", "Pia Quill", "Rhea Stone", "Sol Tarn",
    )  # fmt: skip
    customers: list[Row] = [
        (i, name, *cities[rng.randrange(5)], _days(rng, date(2024, 1, 1), 500)) for i, name in enumerate(names, 1)
    ]
    goods = [
        ("Oak desk", "Furniture", 349.0), ("Desk lamp", "Lighting", 49.9), ("Floor lamp", "Lighting", 129.0),
        ("Office chair", "Furniture", 219.0), ("Bookshelf", "Furniture", 159.0), ("Wool rug", "Textiles", 189.0),
        ("Curtain", "Textiles", 59.0), ("Cushion", "Textiles", 24.5), ("Wall clock", "Decor", 39.0), ("Mirror", "Decor", 89.0),
    ]  # fmt: skip
    products: list[Row] = [(i, *good) for i, good in enumerate(goods, 1)]
    orders: list[Row] = []
    items: list[Row] = []
    for number in range(1001, 1181):
        status = rng.choices(["delivered", "returned", "cancelled", "open"], [80, 8, 6, 6])[0]
        orders.append((number, rng.randrange(1, 18), _days(rng, date(2025, 1, 1), 365), status))
        bought = rng.sample(products, rng.choice((1, 1, 2, 3)))
        items.extend((number, product[0], rng.randrange(1, 5), product[3]) for product in bought)
    yield "customers", "id INTEGER PRIMARY KEY, name TEXT, city TEXT, country TEXT, joined_on DATE", customers
    yield "products", "id INTEGER PRIMARY KEY, name TEXT, category TEXT, price REAL", products
    yield "orders", "id INTEGER PRIMARY KEY, customer_id INTEGER, ordered_on DATE, status TEXT", orders
    yield "order_items", "order_id INTEGER, product_id INTEGER, quantity INTEGER, unit_price REAL", items


def _school(rng: random.Random) -> Iterable[tuple[str, str, list[Row]]]:
    family, given = "王李张刘陈杨赵黄周吴", "子涵雨桐浩然思远可欣梓轩嘉怡明轩若曦俊杰"
    classes = ("一班", "二班", "三班")
    students: list[Row] = []
    seen: set[str] = set()
    while len(students) < 36:
        at = rng.randrange(0, len(given) - 1, 2)
        name = rng.choice(family) + given[at : at + 2]
        if name in seen:
            continue
        seen.add(name)
        number = f"S{len(students) + 1:03d}"
        day = _days(rng, date(2023, 9, 1), 30)
        students.append((number, name, classes[len(students) % 3], rng.choice("男女"), day))
    courses: list[Row] = [
        ("C01", "语文", "孙老师", 4), ("C02", "数学", "钱老师", 5), ("C03", "英语", "冯老师", 4),
        ("C04", "物理", "钱老师", 3), ("C05", "美术", "褚老师", 1),
    ]  # fmt: skip
    marks: list[Row] = [
        (student[0], course[0], term, round(min(100, max(35, rng.gauss(76, 12))), 1))
        for student in students
        for course in courses
        for term in ("2024春", "2024秋")
    ]
    yield "学生", "学号 TEXT PRIMARY KEY, 姓名 TEXT, 班级 TEXT, 性别 TEXT, 入学日期 DATE", students
    yield "课程", "课程号 TEXT PRIMARY KEY, 课程名 TEXT, 教师 TEXT, 学分 INTEGER", courses
    yield "成绩", "学号 TEXT, 课程号 TEXT, 学期 TEXT, 分数 REAL", marks


def _power(rng: random.Random) -> Iterable[tuple[str, str, list[Row]]]:
    sites: list[Row] = [
        ("North mill", "north", 5200, "Ines Okafor"), ("Harbour", "south", 8800, "Tom Birch"), ("Depot", "north", 3100, "Ines Okafor"),
        ("Quarry", "west", 6400, "Mei Sato"), ("Head office", "south", 2100, "Tom Birch"), ("Cold store", "west", 4700, "Mei Sato"),
    ]  # fmt: skip
    readings: list[Row] = []
    for site, _, area, _ in sites:
        level = area * rng.uniform(0.10, 0.22)
        for month in range(1, 13):
            season = 1 + 0.25 * abs(month - 7) / 6
            kwh = round(level * season * rng.uniform(0.9, 1.1) * 10)
            outage = rng.choice((0, 0, 0, 0, 12, 35, 90))
            readings.append((site, f"2025-{month:02d}", kwh, round(kwh * rng.uniform(0.11, 0.16), 2), outage))
    yield "sites", "site TEXT PRIMARY KEY, region TEXT, floor_area_m2 INTEGER, manager TEXT", sites
    yield "readings", "site TEXT, month TEXT, kwh INTEGER, cost_eur REAL, outage_minutes INTEGER", readings


SAMPLES: dict[str, Callable[[random.Random], Iterable[tuple[str, str, list[Row]]]]] = {
    "shop": _shop,
    "school": _school,
    "power": _power,
}
