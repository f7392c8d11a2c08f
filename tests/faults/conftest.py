"""The same installation as the tests of the pipeline have."""

from __future__ import annotations

from tests.runs.conftest import house

__all__ = ["house"]
