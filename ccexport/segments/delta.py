"""Delta tables, as Synapse Link and Fabric leave them: the newest state, read by `deltalake` and handed on as Arrow."""

from __future__ import annotations

from pathlib import Path

from ibis.backends.duckdb import Backend

from ccexport.errors import SourceError

TO_INSTALL = "Delta tables need deltalake: pip install -r requirements-delta.txt"


def register_delta(backend: Backend, table: str, path: Path) -> None:
    """Give the engine a Delta table by a name, as it is now. Raises `SourceError`."""
    try:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError
    except ImportError as error:
        raise SourceError(f"{path.name}: {TO_INSTALL}") from error
    try:
        rows = DeltaTable(str(path)).to_pyarrow_dataset()
    except (DeltaError, OSError, ValueError) as error:
        raise SourceError(
            f"{path.name} is a Delta table that cannot be read ({type(error).__name__}). Write it anew, without "
            "deletion vectors and column mapping."
        ) from error
    backend.con.register(table, rows)
