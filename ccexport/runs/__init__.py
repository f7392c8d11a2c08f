"""Runs: one run from queued to its end, and what a schedule queues. Read `pipeline.py` first.

Knows nothing of screens, commands or roles; the installation hands it the rooms it works with (`tools.py`).
"""
