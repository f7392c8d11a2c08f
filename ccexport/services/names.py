"""Names that people give to connections and exports."""

from __future__ import annotations

from ccexport.errors import UsageError

MAX_NAME_CHARACTERS = 200


def check_name(name: str, kind: str) -> str:
    """The trimmed name. Raises `UsageError` when it is blank or too long."""
    name = name.strip()
    if not name:
        raise UsageError(f"The {kind}'s name is blank. Give it one that people will recognize.")
    if len(name) > MAX_NAME_CHARACTERS:
        raise UsageError(
            f"The {kind}'s name has {len(name)} characters; {MAX_NAME_CHARACTERS} are allowed."
        )
    return name
