"""Connections: Constant Contact accounts that exports may use."""

from __future__ import annotations

from ccexport.services.access import Role
from ccexport.ui import page

user = page.begin("Connections", role=Role.ADMINISTRATOR)
