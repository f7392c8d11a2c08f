"""Two hosts: one store, one secret key, two data folders. The other one goes on without the run files of the first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from ccexport.sandbox.server import running_sandbox
from tests.crash.conftest import two_files_of_people
from tests.crash.killed_worker import KILLED, Doom, WorkerProcess
from tests.kit.house import House, behaviour, check_sums, people, write_source

Profiles = Sequence[Mapping[str, str]]


class TwoHosts:
    """The first has a queued run; each has a source of its own, which may differ."""

    def __init__(self, folder: Path, hosts: list[House]) -> None:
        self.first, self.second = hosts
        self._log = folder / "log"
        self.profiles = two_files_of_people()
        write_source(self.first.source, self.profiles)
        self.first.connect()
        self.first.add_export()
        self.run_id = self.first.queue()

    def die_on_the_first(self, point: str) -> None:
        worker = WorkerProcess(self.first.environment(), self._log, Doom("at", point))
        assert worker.end() == KILLED

    def go_on_at_the_second(self, profiles: Profiles) -> None:
        write_source(self.second.source, profiles)
        self.second.work()

    def check(self, members: set[str]) -> None:
        """These are on the list, and no address was in two of the files."""
        document = self.second.document(self.run_id)
        check_sums(document)
        assert document["state"] == "succeeded", document["error"]
        assert set(self.second.members()) == members
        made = [each for each in self.second.requests("contactsCSVImport") if each["activity_id"]]
        assert sum(each["rows"] for each in made) == len(members)
        assert document["counts"]["submitted"] == len(members)
        assert len({each["file_name"] for each in made}) == len(made)

    def was_prepared_again(self) -> bool:
        events = self.second.installation.runs.events(self.run_id)
        return any(event.what == "prepared again" for event in events)


@pytest.fixture
def hosts(tmp_path: Path, database_url: str) -> Iterator[TwoHosts]:
    key = Fernet.generate_key().decode()
    with running_sandbox(behaviour()) as sandbox:
        both = [
            House(tmp_path / name, sandbox, database_url=database_url, secret_key=key)
            for name in ("first", "second")
        ]
        yield TwoHosts(tmp_path, both)
        for house in both:
            house.close()


@pytest.mark.parametrize("point", ["batches stored", "intent committed", "posted", "batch ended"])
def test_the_other_host_prepares_the_same_files_again(hosts: TwoHosts, point: str) -> None:
    hosts.die_on_the_first(point)
    hosts.go_on_at_the_second(hosts.profiles)
    hosts.check(addresses(hosts.profiles))
    assert not hosts.was_prepared_again()


def changed(profiles: Profiles) -> list[dict[str, str]]:
    """Person 3's address is another's, who comes first; 5 and 15 have left; two have come."""
    after = [dict(each) for each in profiles if each["CustomerId"] not in ("0000005", "0000015")]
    took_over = dict(people(1)[0], CustomerId="0000000", EMail=profiles[2]["EMail"])
    newcomers = [dict(each) for each in people(2, first=100)]
    newcomers[1]["EMail"] = f"an.address.long.enough.for.a.file.of.its.own.{newcomers[1]['EMail']}"
    return [took_over, *after, *newcomers]


def addresses(profiles: Profiles) -> set[str]:
    return {each["EMail"] for each in profiles}


@pytest.mark.parametrize("point", ["posted", "outcome committed", "batch ended"])
def test_where_the_source_has_changed_what_was_sent_stays_and_the_rest_is_prepared_anew(
    hosts: TwoHosts, point: str
) -> None:
    """The first file was sent, with the address that has another owner now; the second was not."""
    hosts.die_on_the_first(point)
    after = changed(hosts.profiles)
    hosts.go_on_at_the_second(after)
    sent = {
        batch.number for batch in hosts.second.installation.batches.of_run(1) if batch.first_row < 0
    }
    if sent == {1}:
        hosts.check(addresses(hosts.profiles[:10]) | addresses(after))
        assert hosts.was_prepared_again()
    else:
        assert point == "batch ended", "only then both files may have been sent"
        hosts.check(addresses(hosts.profiles))


def test_a_file_that_never_arrived_is_made_of_the_source_as_it_is_now(hosts: TwoHosts) -> None:
    hosts.die_on_the_first("intent committed")
    after = changed(hosts.profiles)
    hosts.go_on_at_the_second(after)
    hosts.check(addresses(after))
    document = hosts.second.document(hosts.run_id)
    assert document["counts"]["read"] == len(after)
    assert document["rejections"] == {"duplicate": 1}


def test_the_first_host_come_back_does_not_send_from_its_old_files(hosts: TwoHosts) -> None:
    """They are not those of the batches any more, whose digests say so."""
    hosts.die_on_the_first("outcome committed")
    after = changed(hosts.profiles)
    write_source(hosts.second.source, after)
    worker = WorkerProcess(
        hosts.second.environment(), hosts.second.source / "log", Doom("at", "prepared again")
    )
    assert worker.end() == KILLED
    write_source(hosts.first.source, after)
    hosts.first.work()
    hosts.check(addresses(hosts.profiles[:10]) | addresses(after))
