"""What a thinking model thought before it answered, and for how long."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("messages")}
    columns = (
        sa.Column("thought", sa.Text, nullable=False, server_default=""),
        sa.Column("thought_seconds", sa.Float, nullable=True),
    )
    for column in columns:
        if column.name not in there:  # a kill between the two leaves the first
            op.add_column("messages", column)


def downgrade() -> None:
    for name in ("thought_seconds", "thought"):
        op.drop_column("messages", name)
