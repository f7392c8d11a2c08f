"""What `streamlit run app.py` and `python -m ccexport serve` start: the pages, and plain HTTP beside them."""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st

from ccexport.errors import SettingError
from ccexport.redaction import configure_logging
from ccexport.settings import load_settings
from ccexport.ui import page
from ccexport.ui.failures import log_once, on_script_error
from ccexport.web.guard import check_bind_address, guards
from ccexport.web.routes import routes

INDEX_HTML = Path(st.__file__).parent / "static" / "index.html"

try:
    settings = load_settings()
    people_sign_in = bool(settings.oidc_issuer)
    check_bind_address(st.get_option("server.address"), open_to_others=people_sign_in)
except SettingError as error:
    sys.exit(str(error))
configure_logging(settings.log_level, settings.log_format)
log_once()

app = st.App(
    Path(__file__).parent / "ccexport" / "ui" / "shell.py",
    routes=routes(page.parts),
    middleware=guards(INDEX_HTML, open_to_others=people_sign_in, public_url=settings.public_url),
    on_script_error=on_script_error,
)
