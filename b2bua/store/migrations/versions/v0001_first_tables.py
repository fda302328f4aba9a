"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Upgrade; there is no downgrade."""
    op.create_table(
        "account",
        sa.Column("sid", sa.Text, primary_key=True, nullable=False),
        sa.Column("auth_token", sa.Text, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
    )
    op.create_table(
        "calls",
        sa.Column("sid", sa.Text, primary_key=True, nullable=False),
        sa.Column("account_sid", sa.Text, nullable=False),
        sa.Column("parent_sid", sa.Text, nullable=True),
        sa.Column("from_", sa.Text, nullable=False),
        sa.Column("to_", sa.Text, nullable=False),
        sa.Column("direction", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("caller_name", sa.Text, nullable=True),
        sa.Column("forwarded_from", sa.Text, nullable=True),
        sa.Column("answered_by", sa.Text, nullable=True),
        sa.Column("sip_call_id", sa.Text, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("answered_at", TIME, nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("duration_s", sa.Integer, nullable=True),
        sa.Column("hangup_by", sa.Text, nullable=True),
        sa.Column("q850", sa.Integer, nullable=True),
        sa.Column("sip_code", sa.Integer, nullable=True),
        sa.Column("annotations", sa.Text, nullable=False),
    )
    op.create_index("calls_from", "calls", ["from_", "created_at"])
    op.create_index("calls_newest", "calls", ["created_at", "sid"])
    op.create_index("calls_parent", "calls", ["parent_sid"])
    op.create_index("calls_sip_call_id", "calls", ["sip_call_id"])
    op.create_index("calls_to", "calls", ["to_", "created_at"])
    op.create_table(
        "outbox",
        sa.Column("id", sa.Text, primary_key=True, nullable=False),
        sa.Column("call_sid", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("params", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("tried_at", TIME, nullable=True),
        sa.Column("settled_at", TIME, nullable=True),
        sa.Column("error", sa.Text, nullable=False),
    )
    op.create_index("outbox_settled", "outbox", ["settled_at", "sequence"])
    op.create_table(
        "recordings",
        sa.Column("sid", sa.Text, primary_key=True, nullable=False),
        sa.Column("account_sid", sa.Text, nullable=False),
        sa.Column("call_sid", sa.Text, nullable=False),
        sa.Column("conference_sid", sa.Text, nullable=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("track", sa.Text, nullable=False),
        sa.Column("channels", sa.Integer, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("duration_s", sa.Integer, nullable=True),
        sa.Column("error_code", sa.Integer, nullable=True),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("raw_files", sa.Text, nullable=False),
        sa.Column("callback_url", sa.Text, nullable=False),
        sa.Column("callback_method", sa.Text, nullable=False),
        sa.Column("callback_events", sa.Text, nullable=False),
    )
    op.create_index("recordings_call", "recordings", ["call_sid"])
    op.create_index("recordings_newest", "recordings", ["created_at", "sid"])
    op.create_table(
        "registrations",
        sa.Column("aor", sa.Text, primary_key=True, nullable=False),
        sa.Column("contact", sa.Text, primary_key=True, nullable=False),
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("cseq", sa.BigInteger, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("received", sa.Text, nullable=False),
        sa.Column("user_agent", sa.Text, nullable=False),
        sa.Column("q", sa.Float, nullable=False),
    )
    op.create_table(
        "events",
        sa.Column(
            "call_sid",
            sa.Text,
            sa.ForeignKey("calls.sid", ondelete="CASCADE"),
            primary_key=True,
            nullable=False,
        ),
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("params", sa.Text, nullable=False),
        sa.Column("status", sa.Integer, nullable=True),
        sa.Column("elapsed_ms", sa.Integer, nullable=True),
        sa.Column("content_type", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "legs",
        sa.Column(
            "call_sid",
            sa.Text,
            sa.ForeignKey("calls.sid", ondelete="CASCADE"),
            primary_key=True,
            nullable=False,
        ),
        sa.Column("leg", sa.Text, primary_key=True, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("sip_call_id", sa.Text, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("timeline", sa.Text, nullable=False),
    )
    op.create_index("legs_sip_call_id", "legs", ["sip_call_id"])
    op.create_table(
        "notifications",
        sa.Column("sid", sa.Text, primary_key=True, nullable=False),
        sa.Column("call_sid", sa.Text, sa.ForeignKey("calls.sid", ondelete="CASCADE"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("line", sa.Integer, nullable=False),
        sa.Column("column_", sa.Integer, nullable=False),
        sa.Column("request_url", sa.Text, nullable=False),
        sa.Column("request_method", sa.Text, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
    )
    op.create_index("notifications_call", "notifications", ["call_sid"])
    op.create_index("notifications_newest", "notifications", ["created_at", "sid"])
