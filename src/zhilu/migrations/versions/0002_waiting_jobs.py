"""jobs: whether one waits for a person, who may have forgotten it: then it takes no slot from the others"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    if "waiting" not in {
        column["name"] for column in sa.inspect(op.get_bind()).get_columns("jobs")
    }:  # killed just after it
        op.add_column("jobs", sa.Column("waiting", sa.Boolean, nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("jobs", "waiting")
