"""An installation whose worker can be killed, and what must hold of it whatever was done to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ccexport.sandbox.server import running_sandbox
from tests.crash.killed_worker import KILLED, Doom, WorkerProcess
from tests.crash.watched import APP_SECRET, DOMAIN, LAST_NAME, Watched
from tests.kit.house import House, behaviour, check_sums, people, write_source


def two_files_of_people(count: int = 20) -> list[dict[str, str]]:
    """Addresses above 50 characters go in a file of their own."""
    profiles = people(count)
    for profile in profiles[count // 2 :]:
        profile["EMail"] = f"a.rather.long.local.part.of.{profile['EMail']:.>34}".replace("..", "x")
    return profiles


class CrashHouse:
    """Twenty people in two files, a connection, an export; its workers are processes that may be killed."""

    def __init__(self, folder: Path, house: House) -> None:
        self.house = house
        self.profiles = two_files_of_people()
        self.variables: dict[str, str] = {}  # of its workers, besides those of the house
        self._log = folder / "log"
        self._rewritten = 0  # versions of the stored pair that no renewal made
        write_source(house.source, self.profiles)
        house.connect()
        house.add_export()

    def shorten_tokens(self, seconds: int) -> None:
        """The present token is at its end, later ones live so long: the run begins with a renewal."""
        shorten_tokens(self.house, seconds)
        self._rewritten += 1

    def start(
        self,
        doom: Doom | None = None,
        *,
        until_idle: bool = True,
        lease_seconds: float | None = None,
    ) -> WorkerProcess:
        return WorkerProcess(
            self.house.environment() | self.variables,
            self._log,
            doom,
            until_idle=until_idle,
            lease_seconds=lease_seconds,
        )

    def work_in_process(self, doom: Doom | None = None) -> int:
        """A worker's exit code."""
        return self.start(doom).end()

    def kill_at(self, *dooms: Doom) -> None:
        """One worker after the other goes on with the run, and each is killed where its doom says."""
        for doom in dooms:
            assert self.work_in_process(doom) == KILLED, f"not killed {doom}: {self.said()}"

    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def finish(self, run_id: int) -> dict[str, Any]:
        """Work until the run has ended; sign in again where a renewal's answer died with its worker."""
        self.house.work()
        if self.house.document(run_id)["waiting_for"] == "sign_in":
            assert self.lost_pairs() > 0, "the sign-in was lost, but not by a kill"
            self.house.connect()
            self.house.work()
        return self.house.document(run_id)

    def files_taken(self, run_id: int) -> list[str]:
        """The run's files that Constant Contact made into jobs, in order."""
        return [
            each["file_name"]
            for each in self.house.requests("contactsCSVImport")
            if each["activity_id"] and each["file_name"].startswith(f"ccexport-run{run_id}-")
        ]

    def lost_pairs(self) -> int:
        """Pairs that the sandbox gave out and that died with a worker before it had stored them."""
        stored = self.house.tokens.read(1)
        counters = self.house.ask("/_sandbox/tokens")
        assert stored is not None
        return int(counters["issued"]) - (stored.version - self._rewritten)

    def check(self, run_id: int, document: dict[str, Any]) -> None:
        """The run adds up; members exact; each file imported once; no spent token used."""
        check_sums(document)
        assert document["state"] == "succeeded", document["error"]
        assert document["counts"]["accepted"] == len(self.profiles)
        assert set(self.house.members()) == {profile["EMail"] for profile in self.profiles}
        made = self.files_taken(run_id)
        assert sorted(made) == sorted(batch["file_name"] for batch in document["batches"])
        assert len(set(made)) == 2, "a file was imported twice"
        spent = self.house.ask("/_sandbox/tokens")["spent_refresh_tokens_used"]
        assert spent <= self.lost_pairs(), "a token that was known to be spent was used"


def shorten_tokens(house: House, seconds: int) -> None:
    """Later tokens live so long, and the present one is at its end as far as the store knows."""
    house.tell("/_sandbox/behaviour", expires_in=seconds)
    tokens = house.tokens
    stored = tokens.read(1)
    assert stored is not None
    tokens.write(1, stored.content, house.now())


@pytest.fixture
def crash_house(tmp_path: Path, database_url: str) -> Iterator[Callable[..., CrashHouse]]:
    """Makes one at a sandbox of its own, on each database; keys change the sandbox once all is set up."""
    closing: list[Callable[[], object]] = []

    def make(**keys: object) -> CrashHouse:
        running = running_sandbox(behaviour())
        house = House(tmp_path, running.__enter__(), database_url=database_url)
        closing.extend((lambda: running.__exit__(None, None, None), house.close))
        crash = CrashHouse(tmp_path, house)
        house.tell("/_sandbox/behaviour", **keys)
        return crash

    yield make
    for close in reversed(closing):
        close()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    account = behaviour(expires_in=900)
    with running_sandbox(account, client_secret=APP_SECRET) as sandbox:
        found = Watched(tmp_path, sandbox)
        profiles = [
            {
                "CustomerId": f"{number:07}",
                "FirstName": f"First{number}",
                "LastName": f"{LAST_NAME}-{number}",
                "EMail": f"person{number}@{DOMAIN}" if number % 9 else f"broken {number}@{DOMAIN}",
            }
            for number in range(400)
        ]
        write_source(found.house.source, profiles)
        yield found
        found.house.close()
