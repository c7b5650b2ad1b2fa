"""Alembic migrations of the state database, run by the program itself when it opens the database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zhilu.database import Database

__all__ = ["HEAD", "upgrade"]

HEAD = "0001"


def upgrade(database: Database) -> None:
    """Bring ``database`` to ``HEAD``. A database made by a newer version is refused rather than guessed at.

    Raises:
        ConflictError: the schema is newer than this program.
    """
    from sqlalchemy import inspect, text

    with database.engine.connect() as connection:
        found = None
        if inspect(connection).has_table("alembic_version"):
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if found == HEAD:
        return
    if found is not None and found > HEAD:
        from zhilu.errors import ConflictError
        from zhilu.messages import T

        raise ConflictError(
            T(
                f"The database has schema {found!r}, made by a newer Zhilu; this one knows up to {HEAD!r}.",
                f"数据库的结构版本是 {found!r}，由更新的指路创建；当前程序只认识到 {HEAD!r}。",
            ),
            fix="pip install --upgrade zhilu",
        )
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    # One transaction under BEGIN IMMEDIATE: of several processes that start at once, one migrates and the others wait.
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
