"""Pausing everything, with a reason that everybody sees, and going on."""

from __future__ import annotations

from ccexport.errors import UsageError
from ccexport.installation import Installation
from ccexport.services.people.access import Person
from ccexport.services.people.permission import acting
from ccexport.services.people.roles import Action
from ccexport.store.pauses import in_words

MAX_REASON_CHARACTERS = 200
_KIND, _NAME = "pause", "everything"


class Pauses:
    """While everything is paused no run begins; runs that have begun go on to their end."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def in_words(self) -> str | None:
        """Who paused everything, since when and why; None where nothing is paused."""
        pause = self._installation.pauses.get()
        return None if pause is None else in_words(pause)

    def begin(self, reason: str, *, by: Person) -> None:
        """Raises `UsageError` without a reason."""
        reason = " ".join(reason.split())
        if not reason:
            raise UsageError("Say why: everybody who waits for a run reads it.")
        if len(reason) > MAX_REASON_CHARACTERS:
            raise UsageError(f"The reason has at most {MAX_REASON_CHARACTERS} characters.")
        action, after = Action.PAUSE_ALL, {"reason": reason}
        with acting(self._installation, by, action, _KIND, _NAME, after=after) as person:
            self._installation.pauses.begin(reason, person.name)

    def end(self, *, by: Person) -> None:
        """What came due meanwhile runs now, once."""
        with acting(self._installation, by, Action.RESUME_ALL, _KIND, _NAME):
            self._installation.pauses.end()
