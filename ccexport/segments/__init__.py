"""Segments: where profiles come from. It knows nothing of mappings, lists or HTTP."""

import os

# DuckDB's allocator keeps freed memory for later, some 100 MB at a million profiles. It reads this once, when DuckDB is
# loaded, so it stands before every import of it.
_ALLOCATOR = "DUCKDB_JE_MALLOC_CONF"
_LITTLE, _FAST = (f"dirty_decay_ms:{keep},muzzy_decay_ms:0" for keep in (0, 1_000))
os.environ.setdefault(_ALLOCATOR, _LITTLE)


def read_fast() -> None:
    """Keep freed memory for a second: a sixth faster, and some 80 MB more while a million profiles are read.

    For a process that people wait for. To be called before DuckDB is loaded; what the environment says stays.
    """
    if os.environ[_ALLOCATOR] == _LITTLE:
        os.environ[_ALLOCATOR] = _FAST
