"""Sends segments of unified customer profiles to Constant Contact lists, and accounts for every profile."""

import os

__version__ = "0.1.0"

# NumPy's linear algebra, which nothing here uses, would start a thread a processor that waits for work at full speed.
# It reads this once, when NumPy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
