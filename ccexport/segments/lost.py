"""Whether an engine's error says that it is away just now, or that it was asked for too much, or something else.

Errors reach us through other libraries, which keep their text alone, so the text is looked at. Nothing of it is
repeated.
"""

from __future__ import annotations

import re

from ccexport.errors import SourceError, SourceUnavailable

# What clients of PostgreSQL, of Spark and of DuckDB's files say, and the network's own words.
_AWAY = re.compile(
    r"connection refused|connection reset|connection timed out|timeout expired|could not translate host name"
    r"|name or service not known|temporary failure in name resolution|no route to host|network is unreachable"
    r"|server closed the connection|terminating connection|the connection is (closed|lost)|consuming input failed"
    r"|the database system is (starting up|shutting down|in recovery|not yet accepting)|too many (clients|connections)"
    r"|remaining connection slots|is the server running|no such file or directory\s+is the server running"
    r"|could not set lock on file|an error occurred while trying to connect to the java server"
    r"|answer from java side is empty|stopped sparkcontext|sparkcontext was shut down",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(r"due to (statement|lock|idle-in-transaction|user request)", re.IGNORECASE)


def told(error: Exception, name: str) -> SourceError | None:
    """What to raise where an engine, called `name`, is away or took too long; None where it is something else."""
    text = str(error)
    if _TOO_LONG.search(text):
        return SourceError(
            f"{name} ended the question since it took too long. Choose smaller segments, give its tables an index on "
            "the key, or give the user a longer statement_timeout."
        )
    if _AWAY.search(text):
        return SourceUnavailable(
            f"{name} cannot be reached, or broke off. Look at whether it runs and answers; a run waits and reads again."
        )
    return None
