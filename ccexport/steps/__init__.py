"""The steps of a run, one file each: preflight, preparing, sending, following. `pipeline.py` puts them in order."""
