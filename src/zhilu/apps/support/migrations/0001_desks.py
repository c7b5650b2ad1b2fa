"""Desks, their canned answers, the conversations of their customers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    op.create_table(
        "support_desks",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False, unique=True),
        sa.Column("kb_id", sa.String(64), nullable=True),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("created_at", time, nullable=False),
    )
    op.create_table(
        "support_faqs",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column(
            "desk_id", sa.String(32), sa.ForeignKey("support_desks.id", ondelete="CASCADE"), nullable=False, index=True
        ),
        sa.Column("questions", sa.JSON, nullable=False),
        sa.Column("answers", sa.JSON, nullable=False),
        sa.Column("num_used", sa.Integer, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
    )
    op.create_table(
        "support_contacts",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column(
            "desk_id", sa.String(32), sa.ForeignKey("support_desks.id", ondelete="CASCADE"), nullable=False, index=True
        ),
        sa.Column("secret", sa.String(64), nullable=False),
        sa.Column("origin", sa.String(300), nullable=False),
        sa.Column("status", sa.String(16), nullable=False, index=True),
        sa.Column("memory", sa.JSON, nullable=False),
        sa.Column("ticket", sa.Integer, nullable=True, unique=True),
        sa.Column("reason", sa.String(32), nullable=True),
        sa.Column("agent", sa.String(100), nullable=True),
        sa.Column("rating", sa.Integer, nullable=True),
        sa.Column("remark", sa.Text, nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("updated_at", time, nullable=False, index=True),
        sa.Column("waiting_at", time, nullable=True),
        sa.Column("closed_at", time, nullable=True),
    )
    op.create_table(
        "support_lines",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column(
            "contact_id", sa.String(32), sa.ForeignKey("support_contacts.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("created_at", time, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_support_lines_contact", "support_lines", ["contact_id", "id"])


def downgrade() -> None:
    for name in ("support_lines", "support_contacts", "support_faqs", "support_desks"):
        op.drop_table(name)
