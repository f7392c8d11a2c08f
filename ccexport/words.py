"""How numbers, times and reasons are written, on screens, in messages and by commands: one form each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ccexport.states import Mode, Rejection

DASH = "–"  # noqa: RUF001  # stands where there is nothing to show
REASONS = {
    Rejection.MISSING_EMAIL: "No email address",
    Rejection.INVALID_EMAIL: "The email address is not valid",
    Rejection.EMAIL_TOO_LONG: "The email address has more than 80 characters",
    Rejection.DUPLICATE: "Another profile with the same address is sent",
    Rejection.VALUE_TOO_LONG: "A value is too long and cannot be cut",
    Rejection.INVALID_VALUE: "A value is not valid for its field",
}
SUPPRESSED = "suppressed"  # beside the reasons for which a profile is left out
_SUPPRESSED_WORDS = "They left the list, so they are not put back"
MODE_WORDS = {  # for a label, and in one sentence
    Mode.FULL: (
        "Everybody",
        "Each run sends everybody again, and puts back people who had left the list.",
    ),
    Mode.CHANGES: (
        "New and changed people",
        "Each run sends people who are new or have changed since the last one; people who left the list stay away.",
    ),
    Mode.MIRROR: (
        "A mirror of the segments",
        "As new and changed people; people who are in none of the segments any more are taken off the list too, where "
        "an export placed them. They stay in the account.",
    ),
}


def counted(number: int, singular: str, plural: str = "") -> str:
    """`1 profile`, `12,345 profiles`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def moment(at: datetime | None) -> str:
    """`2026-01-05 10:00 UTC`; a dash where there is none."""
    return DASH if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def duration(seconds: float) -> str:
    """`3 s`, `2 min 5 s`, `1 h 20 min`: two units at most."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def lasting(span: timedelta) -> str:
    """`under a second`, `45 s`, `3 min`, `2 h 5 min`: rough, as a forecast is."""
    seconds = round(span.total_seconds())
    if seconds < 1:
        return "under a second"
    return duration(seconds if seconds < 90 else round(seconds / 60) * 60)


def reason(rejection: str) -> str:
    """Why a profile is left out, for a label; a reason of a newer version as it is called."""
    if rejection == SUPPRESSED:
        return _SUPPRESSED_WORDS
    try:
        return REASONS[Rejection(rejection)]
    except ValueError:
        return rejection.replace("_", " ").capitalize()
