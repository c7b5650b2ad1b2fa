"""Tools, the web and parameters of a conversation's own; the steps of an answer; pictures; folders; saved prompts."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

TIME = sa.DateTime(timezone=True)
_COLUMNS: dict[str, dict[str, tuple[Any, str | None]]] = {
    "conversations": {
        "tools": (sa.JSON, "[]"), "params": (sa.JSON, "{}"), "web": (sa.Boolean, "0"), "folder_id": (sa.String(32), None),
    },
    "messages": {"steps": (sa.JSON, "[]"), "notes": (sa.JSON, "[]"), "run_id": (sa.String(32), None)},
    "attachments": {"content": (sa.LargeBinary, None)},
}  # fmt: skip


def upgrade() -> None:
    inspector = sa.inspect(op.get_bind())  # a kill between two statements leaves the first ones
    for table, columns in _COLUMNS.items():
        known = {column["name"] for column in inspector.get_columns(table)}
        for name, (kind, default) in columns.items():
            if name not in known:
                op.add_column(table, sa.Column(name, kind, nullable=default is None, server_default=default))
    if not inspector.has_table("chat_folders"):
        op.create_table(
            "chat_folders",
            sa.Column("id", sa.String(32), primary_key=True),
            sa.Column("name", sa.Text, nullable=False),
            sa.Column("created_at", TIME, nullable=False),
        )
    if not inspector.has_table("chat_prompts"):
        op.create_table(
            "chat_prompts",
            sa.Column("id", sa.String(32), primary_key=True),
            sa.Column("name", sa.String(64), nullable=False, unique=True),
            sa.Column("text", sa.Text, nullable=False),
            sa.Column("created_at", TIME, nullable=False),
        )


def downgrade() -> None:
    op.drop_table("chat_prompts")
    op.drop_table("chat_folders")
    for table, columns in _COLUMNS.items():
        for name in columns:
            op.drop_column(table, name)
