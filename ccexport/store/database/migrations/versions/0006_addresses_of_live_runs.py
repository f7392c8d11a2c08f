"""Which addresses a live run sends, as encrypted hashes"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "run_addresses",
        sa.Column("run_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("rows", sa.LargeBinary(), nullable=False),
        sa.Column("staying", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id"),
    )


def downgrade() -> None:
    raise RuntimeError("a database is never taken back: restore a backup instead")
