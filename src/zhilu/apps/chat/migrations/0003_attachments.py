"""A system prompt of a conversation's own, and files attached to it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    inspector = sa.inspect(op.get_bind())
    if "system_prompt" not in {column["name"] for column in inspector.get_columns("conversations")}:
        op.add_column("conversations", sa.Column("system_prompt", sa.Text, nullable=False, server_default=""))
    if "attachments" not in {column["name"] for column in inspector.get_columns("messages")}:
        op.add_column("messages", sa.Column("attachments", sa.JSON, nullable=False, server_default="[]"))
    if not inspector.has_table("attachments"):  # a kill between two statements leaves the first ones
        op.create_table(
            "attachments",
            sa.Column("id", sa.String(32), primary_key=True),
            sa.Column(
                "conversation_id",
                sa.String(32),
                sa.ForeignKey("conversations.id", ondelete="CASCADE"),
                nullable=True,
                index=True,
            ),
            sa.Column("name", sa.Text, nullable=False),
            sa.Column("kind", sa.String(200), nullable=False),
            sa.Column("text", sa.Text, nullable=False),
            sa.Column("notes", sa.JSON, nullable=False, server_default="[]"),
            sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        )


def downgrade() -> None:
    op.drop_table("attachments")
    op.drop_column("messages", "attachments")
    op.drop_column("conversations", "system_prompt")
