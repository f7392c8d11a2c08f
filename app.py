"""What `streamlit run app.py` and `python -m ccexport serve` start: the pages, and plain HTTP beside them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import streamlit as st
from starlette.requests import Request

from ccexport.errors import CcexportError
from ccexport.processes import keep_memory_private
from ccexport.redaction import configure_logging
from ccexport.segments import read_fast
from ccexport.services.people.access import Person
from ccexport.settings import load_settings
from ccexport.ui import identity, page
from ccexport.ui.screens.failures import log_once, on_script_error
from ccexport.web.guard import check_believed, check_bind_address, guards
from ccexport.web.returning import returning
from ccexport.web.routes import routes
from ccexport.web.untranslated import untranslated

INDEX_HTML = Path(st.__file__).parent / "static" / "index.html"

try:
    settings = load_settings()
    people_sign_in = settings.people_sign_in
    check_bind_address(st.get_option("server.address"), open_to_others=people_sign_in)
    if settings.trusted_proxies:
        check_believed(settings.believed_proxies, os.environ.get("FORWARDED_ALLOW_IPS"))
    secrets = identity.auth_secrets(page.installation()) if people_sign_in else None
except CcexportError as error:
    sys.exit(str(error))
configure_logging(settings.log_level, settings.log_format)
keep_memory_private()
read_fast()
log_once()


def who(request: Request) -> Person:
    """Whose request it is."""
    came_from = request.client.host if request.client else ""
    claims = identity.claims_of_cookies(request.cookies) if people_sign_in else {}
    return identity.person_of(page.installation(), claims, came_from, is_active=True)


app = st.App(
    Path(__file__).parent / "ccexport" / "ui" / "shell.py",
    routes=routes(page.installation, who, settings.base_path),
    secrets=secrets,
    middleware=[
        *guards(INDEX_HTML, open_to_others=people_sign_in, public_url=settings.public_url),
        untranslated(),
        returning(settings.base_path, secure=urlsplit(settings.public_url).scheme == "https"),
    ],
    on_script_error=on_script_error,
)
