"""The guard of exports: how much a run may change before somebody is asked, what it asked, and who approved"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column(
        "export", sa.Column("guard", sa.Integer(), nullable=True, server_default=sa.text("20"))
    )
    op.add_column("run", sa.Column("guard", sa.Integer(), nullable=True))
    op.add_column("run", sa.Column("question", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("run", sa.Column("approved_by", sa.String(), nullable=True))


def downgrade() -> None:
    raise RuntimeError("a database is never taken back: restore a backup instead")
