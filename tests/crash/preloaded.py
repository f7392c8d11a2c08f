"""What the fork server has ready for every worker: what a run imports, and its tables. Nothing that starts a thread."""

from __future__ import annotations

import gc

import ibis.backends.duckdb
import pandas
import psycopg
from sqlalchemy.orm import configure_mappers

import ccexport.preparation.prepare
import ccexport.segments.source
import ccexport.services.runs.runs
import ccexport.telling.notifications
import ccexport.telling.webhooks
import ccexport.worker
import tests.crash.killed_worker

configure_mappers()
gc.freeze()  # each worker would look through all of it for garbage, which is most of what a short one computes

__all__ = ["ccexport", "ibis", "pandas", "psycopg", "tests"]
