"""`doctor`: a line a setting, secrets masked; a line a thing looked at, ok or what to do."""

from __future__ import annotations

from pathlib import Path

from ccexport.settings import PREFIX, Settings
from tests.commands.running import Here
from tests.kit.house import House

SECRET = "opensesame"
SUBJECTS = (
    *("settings", "store", "source", "Constant Contact", "workers", "runs", "disk", "files"),
    *("backups", "clock"),
)


def findings(out: str) -> dict[str, tuple[bool, str]]:
    """What was looked at → whether it is well, and what was said."""
    lines = [line for line in out.splitlines() if not line.startswith(PREFIX)]
    assert all(line.startswith(("ok  ", "BAD ")) for line in lines)
    parts = [line[4:].partition(": ") for line in lines]
    return {
        part[0]: (line.startswith("ok"), part[2]) for line, part in zip(lines, parts, strict=True)
    }


def test_a_healthy_installation(here: Here, house: House) -> None:
    outcome = here("doctor", environment=house.environment())
    assert (outcome.code, outcome.err) == (0, "")
    found = findings(outcome.out)
    assert set(found) == {*SUBJECTS, 'connection "Marketing"'}
    assert all(ok for ok, _ in found.values())
    assert found['connection "Marketing"'][1] == "signed in to Sandbox Traders"
    assert "as Constant Contact's" in found["clock"][1]


def test_every_setting_is_shown_and_no_secret(here: Here, quiet_house: House) -> None:
    outcome = here(
        "doctor",
        environment=quiet_house.environment(),
        CCEXPORT_CC_CLIENT_SECRET=SECRET,
        CCEXPORT_OIDC_CLIENT_SECRET=SECRET,
        CCEXPORT_SECRET_KEY="A" * 43 + "=",
        CCEXPORT_SOURCE_URL=f"nosuch://ana:{SECRET}@db.example.com/shop",
        CCEXPORT_DATABASE_URL=f"postgresql+psycopg://ana:{SECRET}@127.0.0.1:1/shop",
    )
    assert outcome.code == 1
    shown = dict(line.split("=", 1) for line in outcome.out.splitlines() if line.startswith(PREFIX))
    assert set(shown) == {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    assert shown["CCEXPORT_SECRET_KEY"] == "set (not shown)"
    assert shown["CCEXPORT_SOURCE_URL"] == "nosuch://ana:***@db.example.com/shop"
    assert SECRET not in outcome.out + outcome.err
    assert "AAAA" not in outcome.out + outcome.err


def test_each_trouble_is_a_line_of_its_own_and_the_others_are_looked_at(
    here: Here, house: House, tmp_path: Path
) -> None:
    house.queue()
    outcome = here(
        "doctor",
        environment=house.environment(),
        CCEXPORT_SOURCE_URL=f"file:{tmp_path / 'nowhere'}",
        CCEXPORT_CC_CLIENT_ID="",
        CCEXPORT_POLL_SECOND="5",
    )
    assert (outcome.code, outcome.err) == (1, "")
    found = findings(outcome.out)
    bad = {subject: text for subject, (ok, text) in found.items() if not ok}
    assert set(bad) == {
        "settings",
        "source",
        "Constant Contact",
        "workers",
        'connection "Marketing"',
    }
    assert "CCEXPORT_POLL_SECONDS" in bad["settings"]
    assert "CCEXPORT_SOURCE_URL" in bad["source"]
    assert "CCEXPORT_CC_CLIENT_ID" in bad["Constant Contact"]
    assert "worker" in bad["workers"]


def test_a_new_installation_has_a_clock_too(here: Here, house: House, tmp_path: Path) -> None:
    outcome = here(
        "doctor",
        environment=house.environment(),
        CCEXPORT_DATABASE_URL=f"sqlite:///{tmp_path / 'new.db'}",
    )
    assert outcome.code == 0
    assert set(findings(outcome.out)) == set(SUBJECTS)


def test_a_store_that_is_damaged_does_not_keep_the_rest_from_being_looked_at(
    here: Here, house: House, tmp_path: Path
) -> None:
    path = tmp_path / "ccexport.db"
    path.write_bytes(b"this is no database " * 1_000)
    outcome = here(
        "doctor", environment=house.environment(), CCEXPORT_DATABASE_URL=f"sqlite:///{path}"
    )
    assert (outcome.code, outcome.err) == (1, "")
    found = findings(outcome.out)
    assert "damaged" in found["store"][1]
    assert found["source"][0]
    assert found["disk"][0]
