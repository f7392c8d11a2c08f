"""System: what runs, and whether all is well."""

from __future__ import annotations

from ccexport.services.access import Role
from ccexport.ui import page

user = page.begin("System", role=Role.ADMINISTRATOR)
