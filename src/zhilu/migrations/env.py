"""Alembic's entry: runs the migrations on the connection handed over by ``zhilu.migrations.upgrade``."""

from __future__ import annotations

from alembic import context

from zhilu.database import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection, target_metadata=Base.metadata, render_as_batch=True, transaction_per_migration=False
)
context.run_migrations()
