"""What `streamlit run app.py` and `python -m ccexport serve` start: the pages, and plain HTTP beside them."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from ccexport.ui.failures import on_script_error
from ccexport.web.guard import guards
from ccexport.web.routes import routes

app = st.App(
    Path(__file__).parent / "ccexport" / "ui" / "shell.py",
    routes=routes(),
    middleware=guards(),
    on_script_error=on_script_error,
)
