"""Ledgers: who was placed on a list by an export, and who left; and how a run's list was read"""

import sqlalchemy as sa
from alembic import op

from ccexport.store.database.columns import UtcDateTime

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "ledger",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("export_id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("list_id", sa.String(), nullable=False),
        sa.Column("bits", sa.Integer(), nullable=False),
        sa.Column("mapping", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["export_id"], ["export.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint(
            "export_id", "account_id", "list_id", name="one_ledger_an_export_and_list"
        ),
    )
    op.create_index(op.f("ix_ledger_export_id"), "ledger", ["export_id"])
    op.create_index(op.f("ix_ledger_list_id"), "ledger", ["list_id"])
    op.create_table(
        "ledger_part",
        sa.Column("ledger_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("part", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("placed", sa.Integer(), nullable=False),
        sa.Column("gone", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["ledger_id"], ["ledger.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("ledger_id", "part"),
    )
    op.create_table(
        "ledger_key",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "list_reading",
        sa.Column("run_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("activity_id", sa.String(), nullable=True),
        sa.Column("people", sa.Integer(), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.add_column("run_addresses", sa.Column("observed", sa.LargeBinary(), nullable=True))
    zero = sa.text("0")
    op.add_column("run", sa.Column("new_count", sa.Integer(), nullable=False, server_default=zero))
    op.add_column(
        "run", sa.Column("changed_count", sa.Integer(), nullable=False, server_default=zero)
    )
    op.add_column(
        "run", sa.Column("resync", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    # before there were ledgers every run sent everybody, and knew nobody
    op.execute("UPDATE run SET new_count = prepared_count")


def downgrade() -> None:
    raise RuntimeError("a database is never taken back: restore a backup instead")
