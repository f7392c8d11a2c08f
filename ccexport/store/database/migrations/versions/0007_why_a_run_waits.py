"""The sentence with which a run waits is a column of its own"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("run", sa.Column("waiting_detail", sa.Text(), nullable=True))
    _fill_in()


def _fill_in() -> None:
    """Runs that wait now have it in their latest event, behind what they wait for."""
    bind = op.get_bind()
    waiting = bind.execute(
        sa.text("SELECT id, waiting_for FROM run WHERE state = 'waiting'")
    ).fetchall()
    for run_id, waiting_for in waiting:
        detail = bind.execute(
            sa.text(
                "SELECT detail FROM run_event WHERE run_id = :run AND what = 'waiting' ORDER BY id DESC LIMIT 1"
            ),
            {"run": run_id},
        ).scalar()
        bind.execute(
            sa.text("UPDATE run SET waiting_detail = :detail WHERE id = :run"),
            {"detail": (detail or "").removeprefix(f"{waiting_for}: "), "run": run_id},
        )


def downgrade() -> None:
    raise RuntimeError("a database is never taken back: restore a backup instead")
