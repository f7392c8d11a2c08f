"""A session of Spark, of which a process has one: it ends with the last source that is open over it."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import ibis
from ibis.backends import BaseBackend

_lock = threading.Lock()
_open: list[BaseBackend] = []


def connect_to_spark(options: Mapping[str, str]) -> BaseBackend:
    """Options of the session and of its `spark.master`; those that it has already stay where it runs."""
    from pyspark.sql import SparkSession

    # Ibis sets options in a session that runs already, where most cannot be set any more.
    builder = SparkSession.builder.appName("ccexport")
    usual = {"spark.ui.enabled": "false", "spark.sql.session.timeZone": "UTC"}
    for name, value in (usual | dict(options)).items():
        builder = builder.config(name, value)
    with _lock:
        backend = ibis.pyspark.connect(builder.getOrCreate())
        _open.append(backend)
    return backend


def disconnect(backend: BaseBackend) -> None:
    """Close a connection, of whichever engine. That to Spark would end the session for all who use it."""
    if backend.name != "pyspark":
        backend.disconnect()
        return
    with _lock:
        rest = [each for each in _open if each is not backend]
        is_last = len(rest) < len(_open) and not rest
        _open[:] = rest
        if is_last:
            backend.disconnect()
