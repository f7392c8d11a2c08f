"""How a sign-in ended is kept with it, so that a return which is fetched twice ends the same both times"""

import sqlalchemy as sa
from alembic import op

from ccexport.store.database.columns import UtcDateTime

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("oauth_sign_in", sa.Column("ended_at", UtcDateTime(), nullable=True))
    op.add_column("oauth_sign_in", sa.Column("refusal", sa.Text(), nullable=True))


def downgrade() -> None:
    raise RuntimeError("a database is never taken back: restore a backup instead")
