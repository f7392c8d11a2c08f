"""No token, secret or address in any byte that is left behind: data folder, logs, temporary files, process lists.

Legitimately there: names of connections, exports, lists and segments, ids of lists and profiles, the key in its own
file, and the names of the people who use ccexport. The source's own files lie elsewhere.
"""

from __future__ import annotations

import base64
import signal
from pathlib import Path

import psutil
import pytest
import requests
from sqlalchemy import text

from ccexport.services.connections.sign_ins import SignIns
from ccexport.services.people.access import local_administrator
from ccexport.store.database.engine import writing
from tests.crash.conftest import shorten_tokens
from tests.crash.killed_worker import KILLED, Doom, WorkerProcess
from tests.crash.needles import Needles
from tests.crash.watched import DOMAIN, TIMEOUT, Watched, dashboard_of, look_at_all_pages


@pytest.mark.parametrize("offset", range(3))
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_a_secret_is_found_however_it_is_written(
    encoding: str, offset: int, tmp_path: Path
) -> None:
    needles = Needles({"the secret": "s3cret+word"})
    around = b"\x00\xff" + bytes(range(65, 65 + offset)) + "s3cret+word".encode(encoding) + b"tail"
    assert needles.found_in(around)
    assert needles.found_in(b"s3cret%2Bword")
    if encoding != "utf-16-be":
        assert needles.found_in(base64.b64encode(around))
        assert needles.found_in(base64.urlsafe_b64encode(around))
    (tmp_path / "file").write_bytes(around)
    assert list(needles.found_below([tmp_path])) == [str(tmp_path / "file")]
    assert not needles.found_in(b"s3cret-word and s3cret")


def test_nothing_is_left_in_the_clear_by_runs_refreshes_failures_crashes_and_pages(
    watched: Watched,
) -> None:
    house = watched.house
    with dashboard_of(watched, "dashboard") as url:
        _sign_in_by_page(watched, url)
        house.set_up_export()
        _run_with_crash(watched)
        _run_with_failures(watched)
        assert watched.run("exports", "preview", "Newsletter", "--json") == 0
        assert watched.run("doctor") in (0, 1)
        for number in range(1, 4):
            watched.run("runs", "show", str(number), "--json")
        watched.log("commands").unlink()  # what people ask for on standard output is for them
        look_at_all_pages(url, range(1, 4))
        _return_with_made_up_secrets(watched, url)
        assert (house.settings.data_dir / "ccexport.db-wal").exists()
        assert watched.found() == {}  # while the store is open
    assert watched.found() == {}
    assert watched.seen_in_lists == set()
    assert len([name for name in watched.secrets if "refresh token" in name]) > 2
    said = "".join(path.read_text() for path in (watched.folder / "logs").iterdir())
    assert "run 1: succeeded" in said
    assert DOMAIN not in said


def test_nothing_is_told_by_what_breaks_unexpectedly(watched: Watched) -> None:
    """A value that the store should never hold breaks pages, worker and commands with the value in the message."""
    house = watched.house
    house.connect()
    house.set_up_export()
    house.run()
    house.queue()
    poison = f"person5@{DOMAIN} Bearer {'a1B2' * 8} refresh_token={'q9Z' * 8}"
    watched.secrets |= {"a bearer token": "a1B2" * 8, "a refresh token in a message": "q9Z" * 8}
    with writing(house.installation.engine) as session:
        told = text("UPDATE run SET state = :poison WHERE id = 1")
        session.connection().execute(told, {"poison": poison})
    with dashboard_of(watched, "dashboard") as url:
        broken = look_at_all_pages(url, [1])
    assert broken, "no page broke"
    assert watched.run("runs", "list", log="commands") == 1
    assert watched.run("runs", "show", "1", log="commands") == 1
    assert watched.run("runs", "list", log="commands", CCEXPORT_LOG_FORMAT="json") == 1
    logs = {path.name: path.read_text() for path in (watched.folder / "logs").iterdir()}
    assert "error " in logs["dashboard"]
    assert "LookupError" in logs["dashboard"]
    assert watched.needles.found_below([watched.folder / "logs", watched.folder / "tmp"]) == {}


def test_a_process_that_dies_of_a_signal_leaves_no_memory_behind(watched: Watched) -> None:
    """Core dumps hold tokens and profiles; the traceback of such an end holds places in files alone."""
    with dashboard_of(watched, "dashboard") as url:
        (process,) = [
            each
            for each in psutil.Process().children(recursive=True)
            if "streamlit" in each.cmdline() and url.rsplit(":", 1)[-1] in each.cmdline()
        ]
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        (line,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
        assert line.split()[4:6] == ["0", "0"]
        process.send_signal(signal.SIGSEGV)
        process.wait(TIMEOUT)
    assert watched.found() == {}


def _sign_in_by_page(watched: Watched, url: str) -> None:
    """As the button Connect does, through the dashboard's own routes."""
    installation = watched.house.installation
    ticket = SignIns(installation).prepare(
        "Marketing", contributors=False, agreed=True, by=local_administrator()
    )
    watched.secrets["a ticket"] = ticket
    with requests.Session() as browser:
        answer = browser.get(f"{url}/oauth/start/{ticket}", timeout=TIMEOUT)
        watched.secrets |= {f"cookie {name}": value for name, value in browser.cookies.items()}
    assert answer.ok, answer.text
    (view,) = installation.connections.views()
    assert view.connection.name == "Marketing"


def _run_with_crash(watched: Watched) -> None:
    """A worker that is killed between sending and knowing, and one that goes on after a renewal."""
    house = watched.house
    run_id = house.queue()
    shorten_tokens(house, 900)
    environment = watched.environment()
    killed = WorkerProcess(environment, watched.log("killed"), Doom("at", "posted"))
    watched.look_at_process_list(killed.pid)
    assert killed.end() == KILLED
    shorten_tokens(house, 900)
    assert watched.run("worker", "--until-idle", log="worker") == 0
    assert house.document(run_id)["state"] == "succeeded"


def _run_with_failures(watched: Watched) -> None:
    """The service's own words name addresses; a token is refused; answers break off."""
    house = watched.house
    words = [f"Line 2: person1@{DOMAIN} is not valid", f"person2@{DOMAIN} refused"]
    for fault in (
        {"on": "contactsCSVImport", "do": "activity_failed", "messages": words},
        {"on": "contactsCSVImport", "do": "reject_rows", "lines": [2, 3]},
    ):
        renewals = [{"on": "contactsCSVImport", "do": "unauthorized"}]
        trouble = [
            {"on": "*", "do": "server_error"},
            {"on": "getActivityStatusCollection", "do": "bad_gateway"},
        ]
        house.tell("/_sandbox/behaviour", faults=[*renewals, *trouble, fault])
        run_id = house.queue()
        assert watched.run("worker", "--until-idle", log="worker") == 0
        assert house.document(run_id)["state"] in ("failed", "completed_with_errors", "succeeded")
    house.tell("/_sandbox/behaviour", faults=[])


def _return_with_made_up_secrets(watched: Watched, url: str) -> None:
    given = {"code": "made-up-code-7Hq", "state": "made-up-state-9Lm"}
    watched.secrets |= {f"a made-up {name}": value for name, value in given.items()}
    more = {"error_description": f"person3@{DOMAIN}", "access_token": "made-up-token-3Xy"}
    watched.secrets["a made-up token"] = more["access_token"]
    for query in (given, given | more, given | {"error": "access_denied"} | more):
        answer = requests.get(f"{url}/oauth/callback", params=query, timeout=TIMEOUT)
        assert answer.status_code == 400
    requests.get(f"{url}/oauth/start/made-up-ticket-5Tz", timeout=TIMEOUT)
    watched.secrets["a made-up ticket"] = "made-up-ticket-5Tz"
