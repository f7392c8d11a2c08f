"""Mode mirror: whom a run takes off its list, request by request"""

import sqlalchemy as sa
from alembic import op

from ccexport.store.database.columns import UtcDateTime

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "removal",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("looked_up", sa.Integer(), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("sending_at", UtcDateTime(), nullable=True),
        sa.Column("submitted_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("activity_id", sa.String(), nullable=True),
        sa.Column("removed", sa.Integer(), nullable=False),
        sa.Column("errors", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("run_id", "number", name="one_removal_a_number"),
    )
    op.create_index(op.f("ix_removal_run_id"), "removal", ["run_id"])
    op.add_column("run_addresses", sa.Column("leaving", sa.LargeBinary(), nullable=True))
    zero = sa.text("0")
    op.add_column(
        "run", sa.Column("to_remove_count", sa.Integer(), nullable=False, server_default=zero)
    )


def downgrade() -> None:
    raise RuntimeError("a database is never taken back: restore a backup instead")
