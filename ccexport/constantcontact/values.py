"""Reads single values out of an answer that may hold anything. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ccexport.constantcontact.answers import Answer, nonsense


def object_of(answer: Answer, value: object) -> Mapping[str, Any]:
    """A JSON object, or `ServiceTrouble`."""
    if not isinstance(value, Mapping):
        raise nonsense(answer, "not an object")
    return value


def array_of(answer: Answer, value: object) -> list[Any]:
    """A JSON array, or `ServiceTrouble`."""
    if not isinstance(value, list):
        raise nonsense(answer, "not an array")
    return value


def required(answer: Answer, data: Mapping[str, Any], name: str) -> str:
    """A text that every answer of this kind has, or `ServiceTrouble`."""
    value = data.get(name)
    if not isinstance(value, str) or not value:
        raise nonsense(answer, f"without {name}")
    return value


def string(data: Mapping[str, Any], name: str) -> str:
    """A text, "" where there is none."""
    value = data.get(name)
    return value if isinstance(value, str) else ""


def count(data: Mapping[str, Any], name: str) -> int | None:
    """A whole number from 0 up, None where there is none: not known is not zero."""
    value = data.get(name)
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,15}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def read_time(value: object) -> datetime | None:
    """Any of the forms in which the API says a time, in UTC; None for what is not a time."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def next_path(links: object) -> str | None:
    """Where the next page is, below the API's base; None at the end, in each of the ways an end is said.

    Raises `ValueError` for a link that is not relative and below /v3/: the token goes nowhere else.
    """
    following = links.get("next") if isinstance(links, Mapping) else None
    href = following.get("href") if isinstance(following, Mapping) else following
    if not href:
        return None
    if not isinstance(href, str) or not re.fullmatch(r"/v3/[!-\[\]-~]+", href):
        raise ValueError("a link that leads elsewhere")
    path = href.split("?", 1)[0]
    if "//" in path or re.search(r"(?i)/(\.|%2e){1,2}(/|$)", path) or "#" in href:
        raise ValueError("a link that leads elsewhere")
    return href.removeprefix("/v3")
