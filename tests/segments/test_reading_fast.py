"""How DuckDB's allocator is told what to keep: it looks once, when it is loaded."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

VARIABLE = "DUCKDB_JE_MALLOC_CONF"


def told(lines: str, given: str | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    if given is not None:
        environment[VARIABLE] = given
    say = f"import os, sys; assert 'duckdb' not in sys.modules; print(os.environ['{VARIABLE}'])"
    done = subprocess.run(
        [sys.executable, "-c", f"{lines}\n{say}"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_worker_keeps_no_freed_memory_but_what_a_thread_uses_again() -> None:
    found = told("import ccexport.segments")
    assert found == "dirty_decay_ms:0,muzzy_decay_ms:0,lg_tcache_max:23"


@pytest.mark.parametrize("given", [None, "dirty_decay_ms:5"])
def test_the_dashboard_keeps_some_unless_it_was_told_otherwise(given: str | None) -> None:
    with open("app.py", encoding="utf-8") as file:
        imports = file.read().split("\ntry:")[0]
    found = told(f"{imports}\nread_fast()", given)
    assert found == (given or "dirty_decay_ms:1000,muzzy_decay_ms:0")
