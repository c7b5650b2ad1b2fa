"""Alembic migrations of the state database. The program runs them itself when it opens the database.

The migrations of the ground floor's tables (``tables.py``) are here. An application brings its own (entry points
``zhilu.tables``, each a ``Tables``): a folder of migrations with its own version table. If an application is removed, its rows
stay where they are and nothing else misses it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from sqlalchemy import Engine, MetaData, inspect, text

from zhilu.errors import ConflictError
from zhilu.messages import T
from zhilu.tables import Base

__all__ = ["Tables", "installed", "upgrade"]


@dataclass(frozen=True)
class Tables:
    """Tables that belong together and change together.

    Attributes:
        name: of the entry point; empty for the ground floor.
        metadata: the tables as the code knows them.
        versions: the folder of their migrations, as ``0001_ground_floor.py``; each one's ``revision`` is its number.
    """

    name: str
    metadata: MetaData
    versions: Path

    @property
    def version_table(self) -> str:
        return f"alembic_version_{self.name}" if self.name else "alembic_version"

    @property
    def head(self) -> str:
        return max(path.name[:4] for path in self.versions.glob("[0-9]*.py"))


def installed() -> Iterator[Tables]:
    """The ground floor's tables, then those of the applications that are here, by name."""
    yield Tables("", Base.metadata, Path(__file__).parent / "versions")
    for entry in sorted(entry_points(group="zhilu.tables"), key=lambda e: e.name):
        yield entry.load()


def upgrade(engine: Engine) -> None:
    """Bring the database behind ``engine`` to the newest version of all tables. One made by a newer version is refused, not guessed at.

    Raises:
        ConflictError: the schema is newer than this program.
    """
    for tables in installed():
        _upgrade(engine, tables)


def _upgrade(engine: Engine, tables: Tables) -> None:
    with engine.connect() as connection:
        found = None
        if inspect(connection).has_table(tables.version_table):
            found = connection.execute(text(f"SELECT version_num FROM {tables.version_table}")).scalar()
    if found == tables.head:
        return
    if found is not None and found > tables.head:
        of = f" of {tables.name!r}" if tables.name else ""
        raise ConflictError(
            T(
                f"The database has schema {found!r}{of}, made by a newer Zhilu; this one knows up to {tables.head!r}.",
                f"数据库{f'（{tables.name}）' if tables.name else ''}的结构版本是 {found!r}，由更新的指路创建；当前程序只认识到 {tables.head!r}。",
            ),
            fix="pip install --upgrade zhilu",
        )
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")  # a folder's name may hold any other separator
    config.set_main_option("version_locations", str(tables.versions).replace("%", "%%"))
    # One transaction under BEGIN IMMEDIATE: of several processes that start at once, one migrates and the others wait.
    with engine.begin() as connection:
        config.attributes.update(connection=connection, tables=tables)
        command.upgrade(config, "head")
