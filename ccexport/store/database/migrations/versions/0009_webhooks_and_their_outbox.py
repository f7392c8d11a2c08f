"""Webhooks, what is told, and the outbox of deliveries"""

import sqlalchemy as sa
from alembic import op

from ccexport.store.database.columns import UtcDateTime

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "webhook",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("old_secret", sa.LargeBinary(), nullable=True),
        sa.Column("old_until", UtcDateTime(), nullable=True),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("is_on", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.UniqueConstraint("url", name="one_webhook_an_address"),
    )
    op.create_table(
        "telling",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("what", sa.String(40), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("export_id", sa.Integer(), sa.ForeignKey("export.id", ondelete="SET NULL")),
        sa.Column("body", sa.JSON(), nullable=False),
    )
    op.create_index("ix_telling_export_id", "telling", ["export_id"])
    op.create_table(
        "delivery",
        sa.Column(
            "telling_id",
            sa.Integer(),
            sa.ForeignKey("telling.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column(
            "webhook_id",
            sa.Integer(),
            sa.ForeignKey("webhook.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", UtcDateTime(), nullable=True),
        sa.Column("delivered_at", UtcDateTime(), nullable=True),
        sa.Column("answer", sa.String(), nullable=False),
    )
    op.create_index("ix_delivery_next_at", "delivery", ["next_at"])


def downgrade() -> None:
    raise RuntimeError("a database is never taken back: restore a backup instead")
