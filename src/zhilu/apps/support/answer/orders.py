"""The order table of a desk: a CSV file or an SQLite table of the person's, copied, only read, and looked up by exact number.

``<home>/apps/support/<desk>/orders.db`` holds one table, ``orders``, with the person's own columns, and ``orders.json`` what each is.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import BaseModel

from zhilu.errors import InputError
from zhilu.home import atomic_write
from zhilu.messages import T
from zhilu.rag.load.admission import safe_name
from zhilu.rag.load.decode import clean, decode
from zhilu.rag.load.tables.delimited import delimiter_of
from zhilu.text.terms import content_terms

__all__ = ["FoundOrder", "OrderColumns", "OrderTable", "OrdersInfo", "canonical_number", "digits_of"]

_MAX_ROWS, _MAX_COLUMNS, _MAX_BYTES = 500_000, 40, 64 * 1024 * 1024
_SQLITE = b"SQLite format 3\x00"
# What a column is, by its name; the first that fits is taken.
_NAMES: dict[str, tuple[str, ...]] = {
    "number": ("order_no", "order_number", "order_id", "orderno", "order", "number", "订单号", "订单编号", "单号"),
    "phone": ("phone", "phone_number", "mobile", "tel", "telephone", "手机号", "手机", "电话", "联系电话"),
    "product": ("product", "item", "title", "goods", "商品", "商品名称", "产品", "名称"),
}
_PRIVATE = re.compile(
    r"(?i)phone|mobile|tel|mail|address|name|customer|手机|电话|邮箱|地址|姓名|收货人|收件人|客户|身份"
)
_NOT_WORD = re.compile(r"[^0-9a-z\u4e00-\u9fff]")


class OrderColumns(BaseModel):
    """``shown``: what a customer is told, in this order."""

    number: str
    phone: str | None = None
    product: str | None = None
    shown: list[str] = []


class OrdersInfo(BaseModel):
    origin: str
    num_rows: int
    columns: list[str]
    chosen: OrderColumns


class FoundOrder(BaseModel):
    """One row: ``facts`` are the columns that may be told."""

    number: str
    product: str = ""
    facts: dict[str, str] = {}


def canonical_number(text: str) -> str:
    """A number as it is compared: full-width forms, case, spaces and hyphens are no difference."""
    return _NOT_WORD.sub("", unicodedata.normalize("NFKC", text).lower())


def digits_of(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", text) if c in "0123456789")


class OrderTable:
    """The table of one desk; ``folder`` need not be there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def info(self) -> OrdersInfo | None:
        try:
            return OrdersInfo.model_validate(json.loads((self.folder / "orders.json").read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return None

    def put(self, data: bytes, file_name: str) -> OrdersInfo:
        """Take in a file, in the place of the one before.

        Raises:
            InputError: it is no table, or no column of it is an order number.
        """
        shown = safe_name(file_name)
        if len(data) > _MAX_BYTES:
            raise InputError(T(f"{shown!r} is larger than 64 MB.", f"{shown!r} 超过 64 MB。"), param="file")
        names, rows = _from_sqlite(data, shown) if data.startswith(_SQLITE) else _from_csv(data, shown)
        chosen = _choose(names)
        if chosen is None:
            raise InputError(
                T(
                    f"No column of {shown!r} is an order number: call one order_no. Given: {', '.join(names)[:200]}.",
                    f"{shown!r} 里没有订单号列：请把一列命名为“订单号”或 order_no。现有：{'、'.join(names)[:200]}。",
                ),
                param="file",
                fix="zhilu support orders DESK FILE.csv",
            )
        at = names.index(chosen.number)
        kept = [row for row in rows if canonical_number(row[at])]
        self.folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        atomic_write(self.folder / "orders.db", _database(names, kept, at))
        info = OrdersInfo(origin=shown, num_rows=len(kept), columns=names, chosen=chosen)
        atomic_write(self.folder / "orders.json", info.model_dump_json(indent=1))
        return info

    def show(self, columns: Sequence[str]) -> OrdersInfo:
        """Choose what customers are told.

        Raises:
            InputError: no table, or no such column.
        """
        info = self.info
        strange = [c for c in columns if info is None or c not in info.columns]
        if info is None or strange:
            raise InputError(
                T(f"There is no column {', '.join(strange)!r}.", f"没有列 {'、'.join(strange)!r}。"), param="shown"
            )
        info.chosen.shown = list(dict.fromkeys(columns))
        atomic_write(self.folder / "orders.json", info.model_dump_json(indent=1))
        return info

    def remove(self) -> None:
        for name in ("orders.json", "orders.db"):
            (self.folder / name).unlink(missing_ok=True)

    def find(self, number: str) -> FoundOrder | None:
        """By exact number."""
        rows = self._rows("_key = ?", (canonical_number(number),))
        return rows[0][0] if rows else None

    def phone_of(self, number: str) -> str:
        """The digits of the phone number that an order was placed with; empty where the table has none."""
        rows = self._rows("_key = ?", (canonical_number(number),))
        return rows[0][1] if rows else ""

    def by_phone(self, phone: str, product: str) -> list[FoundOrder]:
        """Orders of a whole phone number (eight digits and more); with ``product``, those that share a word with it."""
        digits = digits_of(phone)
        if len(digits) < 8:
            return []
        found = [order for order, _ in self._rows("_phone = ?", (digits,))]
        wanted = set(content_terms(product))
        near = [order for order in found if wanted & set(content_terms(order.product))]
        return near if wanted and near else found

    def products(self) -> list[str]:
        """What was ordered, each once, the first 500; empty where the table does not say."""
        info = self.info
        if info is None or info.chosen.product is None:
            return []
        with closing(self._open()) as connection:
            column = _quoted(info.chosen.product)
            return [str(row[0]) for row in connection.execute(f"SELECT DISTINCT {column} FROM orders LIMIT 500")]

    def is_like_a_number(self, text: str) -> bool:
        """Whether ``text`` is built as the numbers of the table are: the same letters before, as many digits."""
        return _shape(text) in self._shapes()

    def _shapes(self) -> set[str]:
        with closing(self._open()) as connection:
            return {row[0] for row in connection.execute("SELECT DISTINCT _shape FROM orders LIMIT 200")}

    def _rows(self, where: str, values: tuple[str, ...]) -> list[tuple[FoundOrder, str]]:
        info = self.info
        if info is None:
            return []
        columns = ", ".join(_quoted(c) for c in info.columns)
        with closing(self._open()) as connection:
            rows = connection.execute(f"SELECT {columns}, _phone FROM orders WHERE {where} LIMIT 20", values).fetchall()
        made = []
        for row in rows:
            cells = dict(zip(info.columns, row[:-1], strict=True))
            order = FoundOrder(
                number=cells[info.chosen.number],
                product=cells.get(info.chosen.product or "", ""),
                facts={c: cells[c] for c in info.chosen.shown if cells.get(c)},
            )
            made.append((order, str(row[-1])))
        return made

    def _open(self) -> sqlite3.Connection:
        path = self.folder / "orders.db"
        return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)


def _shape(text: str) -> str:
    key = canonical_number(text)
    head = key.rstrip("0123456789")
    return f"{head}{len(key) - len(head)}"


def _choose(names: list[str]) -> OrderColumns | None:
    plain = {_NOT_WORD.sub("", n.lower()): n for n in names}
    found = {
        what: next((plain[key] for name in known if (key := _NOT_WORD.sub("", name)) in plain), None)
        for what, known in _NAMES.items()
    }
    number = found["number"]
    if number is None:
        return None
    product = found["product"]
    shown = [n for n in names if n != number and (n == product or not _PRIVATE.search(n))]
    return OrderColumns(number=number, phone=found["phone"], product=product, shown=shown)


def _from_csv(data: bytes, shown: str) -> tuple[list[str], list[list[str]]]:
    text = clean(decode(data)[0])
    csv.field_size_limit(100_000)
    try:
        rows = [
            row
            for row, _ in zip(
                csv.reader(io.StringIO(text), delimiter=delimiter_of(text) or ","), range(_MAX_ROWS + 1), strict=False
            )
            if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise InputError(
            T(f"{shown!r} cannot be read as a table: {error}.", f"{shown!r} 无法按表格读取：{error}。"), param="file"
        ) from error
    if len(rows) < 2:
        raise InputError(T(f"{shown!r} holds no rows under a head.", f"{shown!r} 里没有表头和数据行。"), param="file")
    return _as_table(rows[0], rows[1:])


def _as_table(head: Sequence[Any], rows: Iterable[Sequence[Any]]) -> tuple[list[str], list[list[str]]]:
    names: list[str] = []
    for position, cell in enumerate(head[:_MAX_COLUMNS], start=1):
        name = " ".join(str(cell).split())[:60] or f"column {position}"
        taken = {n.lower() for n in names} | {"_key", "_phone", "_shape"}
        names.append(name if name.lower() not in taken else f"{name} {position}")
    width = len(names)
    return names, [[("" if c is None else str(c).strip())[:500] for c in [*row, *[""] * width][:width]] for row in rows]


def _from_sqlite(data: bytes, shown: str) -> tuple[list[str], list[list[str]]]:
    """The first table with a column that is an order number. Only read, and nothing that the file defines is run."""
    try:
        with _as_file(data) as path, closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            tables = [r[0] for r in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                cursor = connection.execute(f"SELECT * FROM {_quoted(table)} LIMIT {_MAX_ROWS}")
                names = [d[0] for d in cursor.description]
                if _choose(names[:_MAX_COLUMNS]) is not None:
                    return _as_table(names, cursor.fetchall())
    except sqlite3.Error as error:
        raise InputError(T(f"{shown!r} is damaged: {error}.", f"{shown!r} 已损坏：{error}。"), param="file") from error
    return [], []


def _database(names: list[str], rows: list[list[str]], at: int) -> bytes:
    """The file of the table, with what is compared beside what is shown."""
    chosen = _choose(names)
    phone = names.index(chosen.phone) if chosen is not None and chosen.phone is not None else None
    with _as_file(b"") as path, closing(sqlite3.connect(path)) as connection:
        columns = ", ".join(f"{_quoted(n)} TEXT" for n in names)
        connection.execute(f"CREATE TABLE orders ({columns}, _key TEXT, _phone TEXT, _shape TEXT)")
        marks = ", ".join("?" * (len(names) + 3))
        connection.executemany(
            f"INSERT INTO orders VALUES ({marks})",
            (
                [*row, canonical_number(row[at]), digits_of(row[phone]) if phone is not None else "", _shape(row[at])]
                for row in rows
            ),
        )
        for column in ("_key", "_phone", "_shape"):
            connection.execute(f"CREATE INDEX {column}_index ON orders ({column})")
        connection.commit()
        return path.read_bytes()


@contextmanager
def _as_file(data: bytes) -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        path = Path(folder, "table.db")
        path.write_bytes(data)
        yield path


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
