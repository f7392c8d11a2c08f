"""Refused files that are halved, runs that are stopped, rows that failed"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    zero = sa.text("0")
    op.add_column("run", sa.Column("stop_reason", sa.Text(), nullable=True))
    for table, column in (("run", "refused_in_row"), ("run", "halvings"), ("batch", "halvings")):
        op.add_column(table, sa.Column(column, sa.Integer(), nullable=False, server_default=zero))
    op.create_table(
        "failed_row",
        sa.Column("batch_id", sa.Integer(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("batch_id", "row"),
    )


def downgrade() -> None:
    raise RuntimeError("a database is never taken back: restore a backup instead")
