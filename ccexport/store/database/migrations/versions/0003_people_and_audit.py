"""People, their sessions, and the audit, which the database itself keeps from being changed"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_REFUSED = "the audit is only ever added to"
# no setting lets rows be deleted that are younger than 30 days
_SQLITE = f"""
CREATE TRIGGER audit_event_stays BEFORE UPDATE ON audit_event
BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END;

CREATE TRIGGER audit_event_is_kept BEFORE DELETE ON audit_event
WHEN OLD.at > strftime('%Y-%m-%d %H:%M:%S', 'now', '-30 days')
BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END;
"""
_POSTGRESQL = f"""
CREATE FUNCTION audit_event_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.at <= now() - interval '30 days' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '{_REFUSED}';
END $$;

CREATE TRIGGER audit_event_stays BEFORE UPDATE OR DELETE ON audit_event
FOR EACH ROW EXECUTE FUNCTION audit_event_stays();
"""


def upgrade() -> None:
    op.create_table(
        "user",
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("given_role", sa.String(), nullable=True),
        sa.Column("claimed_role", sa.String(), nullable=True),
        sa.Column("added_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("email"),
    )
    op.create_table(
        "user_session",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_user_session_email", "user_session", ["email"], unique=False)
    op.create_index("ix_user_session_seen_at", "user_session", ["seen_at"], unique=False)
    op.create_table(
        "audit_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("target_kind", sa.String(), nullable=False),
        sa.Column("target_name", sa.String(), nullable=False),
        sa.Column("came_from", sa.String(), nullable=False),
        sa.Column("before", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("after", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    for column in ("at", "who", "action"):
        op.create_index(f"ix_audit_event_{column}", "audit_event", [column], unique=False)
    _refuse_changes()


def _refuse_changes() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_POSTGRESQL)
        return
    for statement in _SQLITE.strip().split("\n\n"):
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    raise RuntimeError("a database is never taken back: restore a backup instead")
