"""Alembic's entry: runs the migrations of one ``Tables`` on the connection handed over by ``zhilu.migrations.upgrade``."""

from __future__ import annotations

from alembic import context

tables = context.config.attributes["tables"]
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    version_table=tables.version_table,
    render_as_batch=True,
    transaction_per_migration=False,
)
context.run_migrations()
