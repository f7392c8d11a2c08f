"""Alembic's entry: runs inside the transaction that `ccexport.store.database.migrate` opened."""

from alembic import context
from sqlmodel import SQLModel

from ccexport.store.database import (  # noqa: F401  # they fill SQLModel.metadata
    api_tables,
    ledger_tables,
    people_tables,
    tables,
    telling_tables,
)

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    transactional_ddl=True,  # SQLite too: our connections begin transactions themselves
    transaction_per_migration=False,
    render_as_batch=True,
)
context.run_migrations()
