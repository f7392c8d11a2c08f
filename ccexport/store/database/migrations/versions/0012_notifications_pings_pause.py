"""Notifications and what goes to them, pings of exports, and the pause of everything that starts by itself"""

import sqlalchemy as sa
from alembic import op

from ccexport.store.database.columns import UtcDateTime

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "notification",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_key", sa.String(), nullable=False),
        sa.Column("url", sa.LargeBinary(), nullable=False),
        sa.Column("shown", sa.String(), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=True),
        sa.Column("last_error", sa.String(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.UniqueConstraint("name_key", name="one_notification_a_name"),
    )
    op.create_table(
        "notice",
        _parent("telling", primary=True),
        _parent("notification", primary=True),
        sa.Column("together", sa.String(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", UtcDateTime(), nullable=True),
        sa.Column("delivered_at", UtcDateTime(), nullable=True),
    )
    op.create_index("ix_notice_together", "notice", ["together"])
    op.create_index("ix_notice_next_at", "notice", ["next_at"])
    op.create_table(
        "ping",
        sa.Column("id", sa.Integer(), primary_key=True),
        _parent("export"),
        sa.Column("suffix", sa.String(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
    )
    op.create_index("ix_ping_export_id", "ping", ["export_id"])
    op.create_table(
        "pause",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
    )
    op.add_column("telling", sa.Column("subject", sa.String(), nullable=False, server_default=""))
    op.add_column("export", sa.Column("ping", sa.LargeBinary(), nullable=True))
    op.add_column("export", sa.Column("ping_shown", sa.String(), nullable=True))


def _parent(table: str, *, primary: bool = False) -> sa.Column[int]:
    key = sa.ForeignKey(f"{table}.id", ondelete="CASCADE")
    return sa.Column(f"{table}_id", sa.Integer(), key, primary_key=primary, nullable=False)


def downgrade() -> None:
    raise RuntimeError("a database is never taken back: restore a backup instead")
