"""`exports add` with the options that a test is not about."""

from __future__ import annotations

from tests.kit.house import LIST_ID

GOOD: dict[str, list[str]] = {
    "--connection": ["Marketing"],
    "--list-id": [LIST_ID],
    "--segment": ["All"],
    "--map": ["email=EMail"],
}


def adding(name: str = "New", **changed: list[str]) -> list[str]:
    """The words of `exports add`, all good but for what is changed."""
    options = GOOD | {f"--{key.replace('_', '-')}": values for key, values in changed.items()}
    pairs = [
        word for option, values in options.items() for value in values for word in (option, value)
    ]
    return ["exports", "add", name, *pairs]
