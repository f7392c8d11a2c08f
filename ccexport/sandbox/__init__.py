"""A faithful local Constant Contact V3: sign-in, tokens, lists, imports, activities, faults on demand.

Written from the vendor's contract alone; it shares no code with the client that talks to it. Start
at `api/app.py`; `faults.py` lists everything that can be made to go wrong.
"""
