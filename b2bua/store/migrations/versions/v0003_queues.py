"""Stores queues, which persist while they are empty and across restarts."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Upgrade; there is no downgrade."""
    op.create_table(
        "queues",
        sa.Column("sid", sa.Text, nullable=False, primary_key=True),
        sa.Column("account_sid", sa.Text, nullable=False),
        sa.Column("friendly_name", sa.Text, nullable=False),
        sa.Column("max_size", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    )
