"""Stores conferences."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Upgrade; there is no downgrade."""
    op.create_table(
        "conferences",
        sa.Column("sid", sa.Text, nullable=False, primary_key=True),
        sa.Column("account_sid", sa.Text, nullable=False),
        sa.Column("friendly_name", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason_ended", sa.Text),
        sa.Column("call_sid_ending", sa.Text),
    )
    op.create_index("conferences_newest", "conferences", ["created_at", "sid"])
