"""The events that can be told, and what is told where nobody chose."""

from __future__ import annotations

from collections.abc import Sequence

from ccexport.errors import UsageError
from ccexport.states import Told

EVENTS = tuple(each.value for each in Told)
USUAL = tuple(each for each in EVENTS if each != Told.SUCCEEDED.value)


def check_events(events: Sequence[str]) -> list[str]:
    """Each once; all but good ends where none is named. Raises `UsageError`."""
    for event in events:
        if event not in EVENTS:
            raise UsageError(f'"{event}" is not an event. There are: {", ".join(EVENTS)}.')
    return list(dict.fromkeys(events)) or list(USUAL)
