"""Stores registrations with the flow on which they arrived (RFC 5626), so that a restart keeps it."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_KEPT = "aor, contact, call_id, cseq, expires_at, path, received, user_agent, q"


def upgrade() -> None:
    """Upgrade; there is no downgrade. The key changes, which in SQLite requires a new table."""
    op.rename_table("registrations", "registrations_before")
    op.create_table(
        "registrations",
        sa.Column("aor", sa.Text, nullable=False),
        sa.Column("contact", sa.Text, nullable=False),
        sa.Column("instance", sa.Text, nullable=False),
        sa.Column("reg_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("cseq", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("received", sa.Text, nullable=False),
        sa.Column("listener", sa.Integer, nullable=False),
        sa.Column("user_agent", sa.Text, nullable=False),
        sa.Column("q", sa.Float, nullable=False),
        # In PostgreSQL the old table's key still has the default name.
        sa.PrimaryKeyConstraint("aor", "contact", "instance", "reg_id", name="registrations_key"),
    )
    op.execute(
        f"INSERT INTO registrations ({_KEPT}, instance, reg_id, listener)"
        f" SELECT {_KEPT}, '', 0, 0 FROM registrations_before"
    )
    op.drop_table("registrations_before")
