"""What an installation is made of, without asking anybody outside: workers, budget, places, versions."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version

from ccexport import __version__
from ccexport.installation import Installation
from ccexport.redaction import mask_password
from ccexport.services.operations.attendance import Attendance, attendance
from ccexport.services.operations.health import shown_settings
from ccexport.store.budget import DayBudget
from ccexport.store.database.engine import shown_address
from ccexport.store.database.tables import Worker

_LIBRARIES = ("streamlit", "ibis-framework", "duckdb", "pyarrow", "SQLAlchemy", "requests")


@dataclass(frozen=True)
class Version:
    """A program and which one it is."""

    program: str
    version: str


class System:
    """Looks at the installation. Quick: nothing here goes over the network but to the store."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def now(self) -> datetime:
        return self._installation.now()

    def workers(self) -> list[Worker]:
        """Those alive, the newest first."""
        return self._installation.workers.alive()

    def attendance(self) -> Attendance:
        """Who works, and what is overdue."""
        return attendance(self._installation)

    def budget(self) -> DayBudget:
        return self._installation.budget.today()

    def places(self) -> list[tuple[str, str]]:
        """Where the store, the source and the files are, passwords masked."""
        settings = self._installation.settings
        return [
            ("Store", shown_address(self._installation.engine)),
            ("Source of profiles", mask_password(settings.source_url)),
            ("Run files and key", str(settings.data_dir)),
            ("Redirect address to register at Constant Contact", settings.redirect_uri),
        ]

    def settings(self) -> list[tuple[str, str]]:
        """Each variable with its value, secrets masked."""
        return list(shown_settings(self._installation.settings))

    def versions(self) -> list[Version]:
        """Ours, Python's, the store's and those of the libraries that matter."""
        dialect = self._installation.engine.dialect
        found = [Version("ccexport", __version__), Version("Python", platform.python_version())]
        if info := dialect.server_version_info:
            found.append(Version(dialect.name, ".".join(str(part) for part in info)))
        return found + [Version(name, _installed(name)) for name in _LIBRARIES]


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
