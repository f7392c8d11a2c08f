"""`ccexport worker --until-idle` that forces nothing to the disk: what a durable one is compared with."""

from __future__ import annotations

import os
import sqlite3
import sys

from ccexport.commands.main import main
from ccexport.store.database import engine

_SET_UP = engine._set_up_sqlite


def _set_up_loosely(connection: sqlite3.Connection, record: object) -> None:
    _SET_UP(connection, record)
    connection.execute("PRAGMA synchronous=OFF")


if __name__ == "__main__":
    os.fsync = lambda _handle: None  # type: ignore[assignment]
    engine._set_up_sqlite = _set_up_loosely
    sys.argv = ["ccexport", "worker", "--until-idle"]
    main()
