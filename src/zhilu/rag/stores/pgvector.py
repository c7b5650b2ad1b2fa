"""pgvector (PostgreSQL licence): vectors in a table of a PostgreSQL server, one table a knowledge base.

The search is exact: no approximate index is made, so a filter can lose nothing (with one, pgvector applies the filter to
what the index found: recall .2 to .35 measured). Rows are half precision, as the knowledge base's own, stored in line so that
a scan reads pages one after another. A statement is one transaction with ``synchronous_commit``: acknowledged is on the
server's disk. A statement that was cut off by a lost connection is sent once more; all of them may be repeated.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from zhilu.errors import InputError, MissingComponentError, UnreachableError, UpstreamError, ZhiluError, mask_passwords
from zhilu.messages import T
from zhilu.rag.stores.base import Filter, StoreFacts, StoreKind, StorePlace, Vector, VectorRow, check_length

__all__ = ["PGVECTOR", "PgvectorStore"]

R = TypeVar("R")
_FACTS = StoreFacts(
    "pgvector",
    T(en="PostgreSQL with pgvector", zh="PostgreSQL 数据库（pgvector）"),
    exact=True,
    many_processes=True,
    transactional=False,
    elsewhere=True,
)
_PATIENCE_S = 10
_IDLE = 4  # connections kept open between two statements


class PgvectorStore:
    facts = _FACTS

    def __init__(self, place: StorePlace) -> None:
        """
        Raises:
            MissingComponentError: psycopg, or the extension on the server, is not installed. UnreachableError: no server there.
        """
        PGVECTOR.check(place.url)
        import psycopg
        from psycopg import sql

        self.dim = place.dim
        self._psycopg: Any = psycopg
        self._url = str(place.url)
        self._name = f"zhilu_{place.key}"
        self._table = sql.Identifier(self._name)
        self._sql = sql.SQL
        self._idle: list[Any] = []
        self._lock = threading.Lock()
        self._do(self._make)

    def upsert(self, rows: Sequence[VectorRow]) -> None:
        check_length(rows, self.dim)
        if not rows:
            return
        values = {r.id: (r.id, r.doc_id, r.lang, _text(r.vector)) for r in rows}
        statement = self._sql(
            "INSERT INTO {} (id, doc_id, lang, vector) VALUES (%s, %s, %s, %s) ON CONFLICT (id) DO UPDATE"
            " SET doc_id = EXCLUDED.doc_id, lang = EXCLUDED.lang, vector = EXCLUDED.vector"
        ).format(self._table)

        def insert(connection: Any) -> None:
            with connection.cursor() as cursor:
                # always in the order of the ids: two writers of the same rows wait for each other in turn, not crosswise
                cursor.executemany(statement, [values[i] for i in sorted(values)])

        self._do(insert)

    def delete(self, where: Filter) -> int:
        clause, args = _where(where)
        statement = self._sql(f"DELETE FROM {{}} {clause}").format(self._table)
        return self._do(lambda c: int(c.execute(statement, args).rowcount))

    def search(self, vector: Vector, k: int, where: Filter | None = None) -> list[tuple[int, float]]:
        if k <= 0:
            return []
        clause, args = _where(where or Filter())
        statement = self._sql(
            f"SELECT id, -(vector <#> %s::halfvec) FROM {{}} {clause} ORDER BY vector <#> %s::halfvec, id LIMIT %s"
        ).format(self._table)
        asked = _text(vector)
        found = self._do(lambda c: c.execute(statement, (asked, *args, asked, k)).fetchall())
        return [(int(i), float(score)) for i, score in found]

    def count(self, where: Filter | None = None) -> int:
        clause, args = _where(where or Filter())
        statement = self._sql(f"SELECT COUNT(*) FROM {{}} {clause}").format(self._table)
        return self._do(lambda c: int(c.execute(statement, args).fetchone()[0]))

    def drop(self) -> None:
        statement = self._sql("DROP TABLE IF EXISTS {}").format(self._table)
        self._do(lambda c: c.execute(statement))

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _make(self, connection: Any) -> None:
        if connection.execute("SELECT to_regclass(%s) IS NOT NULL", (self._name,)).fetchone()[0]:
            return
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        connection.execute(
            self._sql(
                "CREATE TABLE IF NOT EXISTS {} (id bigint PRIMARY KEY, doc_id text NOT NULL, lang text NOT NULL,"
                f" vector halfvec({max(self.dim, 1)}) NOT NULL)"
            ).format(self._table)
        )
        connection.execute(self._sql("ALTER TABLE {} ALTER COLUMN vector SET STORAGE PLAIN").format(self._table))
        connection.execute(self._sql("CREATE INDEX ON {} (doc_id)").format(self._table))

    def _do(self, act: Callable[[Any], R]) -> R:
        """``act`` in one transaction of a connection; once more if the connection was lost, or the table dropped by another
        process meanwhile."""
        for is_last in (False, True):
            connection = None
            try:
                connection = self._take(fresh=is_last)
                with connection.transaction():
                    connection.execute("SET LOCAL synchronous_commit = on")
                    done = act(connection)
                self._give(connection)
                return done
            except self._psycopg.errors.UndefinedTable:
                self._give(connection)
                if is_last:
                    raise
                self._do(self._make)
            except self._psycopg.Error as error:
                if connection is not None:
                    connection.close()
                problem = self._meaning(error)
                if is_last or not isinstance(problem, UnreachableError):
                    raise problem from error
        raise AssertionError("the second try returns or raises")

    def _take(self, fresh: bool) -> Any:
        with self._lock:
            if self._idle and not fresh:
                return self._idle.pop()
        return self._psycopg.connect(self._url, connect_timeout=_PATIENCE_S, application_name="zhilu", autocommit=True)

    def _give(self, connection: Any) -> None:
        with self._lock:
            if len(self._idle) < _IDLE and not connection.closed:
                self._idle.append(connection)
                return
        connection.close()

    def _meaning(self, error: Exception) -> ZhiluError:
        errors, where = self._psycopg.errors, mask_passwords(self._url)
        said = mask_passwords(" ".join(str(error).split()))
        if isinstance(error, (errors.FeatureNotSupported, errors.UndefinedFile, errors.UndefinedObject)):
            return MissingComponentError(
                T(
                    f"The PostgreSQL server at {where} has no pgvector 0.7 or later: {said}",
                    f"{where} 的 PostgreSQL 服务器没有 0.7 及以上版本的 pgvector：{said}",
                ),
                fix="CREATE EXTENSION vector",
            )
        if isinstance(error, errors.InsufficientPrivilege):
            return InputError(
                T(
                    f"This user may not make what is needed on the PostgreSQL server at {where}: {said}",
                    f"当前用户在 {where} 的 PostgreSQL 服务器上权限不足：{said}",
                ),
                code="store_refused",
                fix="CREATE EXTENSION vector; GRANT CREATE ON SCHEMA public TO zhilu",
            )
        lost = isinstance(error, (self._psycopg.OperationalError, self._psycopg.InterfaceError))
        kind = UnreachableError if lost else UpstreamError
        return kind(
            T(
                f"The PostgreSQL server at {where} does not do it: {said}",
                f"{where} 的 PostgreSQL 服务器没有完成操作：{said}",
            ),
            fix="zhilu settings set pgvector_url URL" if lost else None,
        )


def _text(vector: Vector) -> str:
    return "[" + ",".join(f"{value:.6g}" for value in vector.tolist()) + "]"


def _where(where: Filter) -> tuple[str, list[Any]]:
    """The condition as SQL, and its arguments."""
    parts, args = [], []
    for column, kind, wanted in (
        ("id", "bigint", where.ids), ("doc_id", "text", where.doc_ids), ("lang", "text", where.langs),
    ):  # fmt: skip
        if wanted is not None:
            parts.append(f"{column} = ANY(%s::{kind}[])")
            args.append(list(wanted))
    return ("WHERE " + " AND ".join(parts) if parts else ""), args


PGVECTOR = StoreKind(
    _FACTS, PgvectorStore, needs=("psycopg",), install="pip install 'psycopg[binary]'", url_setting="pgvector_url"
)
