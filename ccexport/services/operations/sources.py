"""The source as a whole: what was found there, and what to do where something does not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ccexport.errors import SourceError
from ccexport.installation import Installation

if TYPE_CHECKING:
    from ccexport.segments.checking import SourceCheck


def check(installation: Installation) -> SourceCheck:
    """Open the source and count everything in it. Raises `SourceError` with the next step."""
    from ccexport.segments.checking import check_source

    with installation.open_source() as source:
        if source.opened is None:
            raise SourceError("The source was not opened by its address. Set CCEXPORT_SOURCE_URL.")
        return check_source(source, source.opened)


def check_document(found: SourceCheck) -> dict[str, Any]:
    """As `sources check --json` prints it."""
    strangers = found.strangers
    return {
        "address": found.address,
        "kind": found.kind,
        "engine": found.engine,
        "profiles": {
            "table": found.profiles_table,
            "key": found.key,
            "rows": found.profiles,
        },
        "memberships": [
            {"table": each.table, "shape": each.shape, "rows": each.rows}
            for each in found.memberships
        ],
        "segments": found.segments,
        "members_without_profile": strangers.without_profile,
        "example_of_each_side": strangers.example_of_each_side,
        "written": dict(found.written),
    }
