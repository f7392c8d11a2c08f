"""A worker killed by SIGKILL at each commit point of a run: the next one goes on, nothing is lost or sent twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ccexport.sandbox.server import running_sandbox
from tests.house import House, behaviour, check_sums, people, write_source

POINTS = [
    ("preparing", 1),
    ("files written", 1),
    ("batches stored", 1),
    ("intent committed", 1),
    ("posted", 1),
    ("outcome committed", 1),
    ("intent committed", 2),
    ("posted", 2),
    ("batch ended", 1),
    ("before the end", 1),
]


def two_files_of_people() -> list[dict[str, str]]:
    """Addresses above 50 characters go in a file of their own."""
    profiles = people(20)
    for profile in profiles[10:]:
        profile["EMail"] = f"a.rather.long.local.part.of.{profile['EMail']:.>34}".replace("..", "x")
    return profiles


@pytest.mark.parametrize(("point", "count"), POINTS, ids=[f"{p} {n}" for p, n in POINTS])
def test_a_run_killed_at_any_point_ends_as_if_nothing_had_happened(
    tmp_path: Path, database_url: str, point: str, count: int
) -> None:
    profiles = two_files_of_people()
    with running_sandbox(behaviour()) as sandbox:
        house = House(tmp_path, sandbox, database_url=database_url)
        write_source(house.source, profiles)
        house.connect()
        house.add_export()
        run_id = house.queue()
        killed = subprocess.run(
            [sys.executable, "-m", "tests.crash.killed_worker", point, str(count)],
            env=house.environment(),
            cwd=Path(__file__).resolve().parents[2],
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
        house.work()
        document = house.document(run_id)
        check_sums(document)
        assert document["state"] == "succeeded"
        assert len(document["batches"]) == 2
        assert set(house.members()) == {profile["EMail"] for profile in profiles}
        made = [
            each["file_name"] for each in house.requests("contactsCSVImport") if each["activity_id"]
        ]
        assert len(made) == len(set(made)) == 2, "a file was imported twice"
        house.close()
