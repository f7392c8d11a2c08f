"""When an export runs by itself: with each refresh, daily at a time of a zone, or never."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ccexport.errors import UsageError

_DAILY = re.compile(r"daily ([01]\d|2[0-3]):([0-5]\d) (\S+)")


def check_schedule(text: str) -> str:
    """`refresh`, `off`, or `daily HH:MM ZONE`; spaces folded. Raises `UsageError`."""
    text = " ".join(text.split())
    if text in ("refresh", "off"):
        return text
    found = _DAILY.fullmatch(text)
    if found is None:
        raise UsageError(
            f'"{text}" is no schedule. Use refresh, off, or a daily time with its zone: "daily 06:30 Europe/Berlin".'
        )
    try:
        ZoneInfo(found[3])
    except (ZoneInfoNotFoundError, ValueError):
        raise UsageError(
            f'"{found[3]}" is no time zone. Use a name such as Europe/Berlin, America/New_York or UTC.'
        ) from None
    return text
