"""Segments: where profiles come from. It knows nothing of mappings, lists or HTTP."""

import os

# DuckDB's allocator keeps freed memory for later, some 100 MB at a million profiles. It reads this once, when DuckDB is
# loaded, so it stands before every import of it.
os.environ.setdefault("DUCKDB_JE_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")
