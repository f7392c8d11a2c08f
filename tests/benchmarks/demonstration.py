"""A list over some nights, by commands alone against a stand-in of its own process; every number is checked.

    python tests/benchmarks/demonstration.py [--profiles 120000] [--output FILE.json]

Everybody is sent once; in mode `changes` nothing is sent where nothing changed, and exactly who is new or changed where
something has; who is taken off the list by hand is named and stays away, until one of them is restored; in mode
`mirror` who is in no segment any more is taken off, and nobody else. Strangers on the list stay as they are.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.installation import set_mode  # noqa: E402  # the tree is not installed
from tests.benchmarks.measure import machine, report, say  # noqa: E402
from tests.kit.by_commands import Commands, sandbox_process  # noqa: E402
from tests.kit.house import LIST_ID, check_sums, people, write_source  # noqa: E402

EXPORT = "Newsletter"
STRANGERS = {f"stranger{number}@example.org" for number in range(3)}
CHANGED, NEW, OFF, LEAVE = 500, 300, 50, 200
Profiles = list[dict[str, str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--profiles", type=int, default=120_000)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    least = CHANGED + OFF + LEAVE
    if options.profiles < 10 * least:
        parser.error(f"--profiles: at least {10 * least}, so that no run asks first")
    before = machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        behaviour = folder / "behaviour.yaml"
        members = json.dumps(sorted(STRANGERS))
        behaviour.write_text(
            "auto_approve: true\nprocessing_seconds: 1\n"
            f"lists: [{{list_id: {LIST_ID}, name: Spring buyers, members: {members}}}]\n"
        )
        with sandbox_process(behaviour) as url:
            nights = Demonstration(Commands(folder, url), people(options.profiles)).play()
    report({"profiles": options.profiles, "machine": before, "nights": nights}, options.output)


class Demonstration:
    """The nights, one after the other; `profiles` are those of the present one."""

    def __init__(self, commands: Commands, profiles: Profiles) -> None:
        self._commands = commands
        self._profiles = profiles
        self._expected = {each["EMail"]: each["FirstName"] for each in profiles}
        self._nights: list[dict[str, Any]] = []

    def play(self) -> list[dict[str, Any]]:
        """Each night's figures. Ends at the first that is not as it should be."""
        self._set_up()
        count = len(self._profiles)
        self._night("everybody", new=count)
        set_mode(self._commands, EXPORT, "full", "changes")
        self._night("nothing changed", unchanged=count)

        self._change_and_add()
        self._night(
            "some changed and some are new", new=NEW, changed=CHANGED, unchanged=count - CHANGED
        )
        count += NEW

        off = self._take_off_by_hand()
        run = self._night("taken off by hand", unchanged=count - OFF, suppressed=OFF)
        assert self._left_out(run) == set(off), "not those who were taken off are named"
        self._restore(off[0])
        self._night("one restored", new=1, unchanged=count - OFF, suppressed=OFF - 1)

        set_mode(self._commands, EXPORT, "changes", "mirror")
        self._let_leave(kept_away=off[1:])
        stay = count - OFF - LEAVE + 1
        self._night("some left the segment", unchanged=stay, suppressed=OFF - 1, removed=LEAVE)
        self._night("nothing changed again", unchanged=stay, suppressed=OFF - 1)
        return self._nights

    # --- what people do --------------------------------------------------------------------------

    def _set_up(self) -> None:
        self._write()
        self._commands.connect()
        self._commands.run(
            *("exports", "add", EXPORT, "--connection", "Marketing", "--list-id", LIST_ID),
            *("--segment", "All", "--map", "email=EMail"),
            *("--map", "first_name=FirstName", "--map", "last_name=LastName"),
        )

    def _write(self) -> None:
        write_source(self._commands.folder / "source", self._profiles)

    def _change_and_add(self) -> None:
        for each in self._profiles[:CHANGED]:
            each["FirstName"] = f"Other {each['FirstName']}"
        self._profiles += people(NEW, first=len(self._profiles) + 1)
        self._expected = {each["EMail"]: each["FirstName"] for each in self._profiles}
        self._write()

    def _take_off_by_hand(self) -> list[str]:
        off = [each["EMail"] for each in self._profiles[CHANGED : CHANGED + OFF]]
        for email in off:
            self._commands.tell("/_sandbox/leave", {"email": email, "list_id": LIST_ID})
            del self._expected[email]
        return off

    def _restore(self, email: str) -> None:
        self._commands.run("people", "restore", email, "--export", EXPORT)
        [profile] = [each for each in self._profiles if each["EMail"] == email]
        self._expected[email] = profile["FirstName"]

    def _let_leave(self, kept_away: Sequence[str]) -> None:
        leave = self._profiles[-LEAVE:]
        assert not {each["EMail"] for each in leave} & set(kept_away)
        self._profiles = self._profiles[:-LEAVE]
        for each in leave:
            del self._expected[each["EMail"]]
        self._write()

    # --- what a run does -------------------------------------------------------------------------

    def _night(self, what: str, **expected: int) -> int:
        """A run by its command; its counts, the rows that were sent and the list have to be exactly those expected."""
        before, started = len(self._commands.ask("/_sandbox/requests")), time.monotonic()
        document = json.loads(self._commands.run("exports", "run", EXPORT, "--wait", "--json"))
        seconds = time.monotonic() - started
        made = self._commands.ask("/_sandbox/requests")[before:]
        check_sums(document)
        counts = self._counts(document)
        assert document["state"] == "succeeded", document["error"]
        assert counts == dict.fromkeys(counts, 0) | expected, counts
        imports = [each for each in made if each["operation"] == "contactsCSVImport"]
        assert sum(each["rows"] for each in imports) == counts["new"] + counts["changed"]
        self._check_list()
        found = {
            "night": what,
            **{name: count for name, count in counts.items() if count},
            "imports": len(imports),
            "requests": len(made),
            "seconds": round(seconds, 1),
        }
        say(json.dumps(found))
        self._nights.append(found)
        return int(document["id"])

    def _counts(self, document: Mapping[str, Any]) -> dict[str, int]:
        names = ("new", "changed", "unchanged", "suppressed", "removed")
        return {name: document["counts"][name] for name in names}

    def _check_list(self) -> None:
        members = self._commands.ask(f"/_sandbox/members?list={LIST_ID}")
        found = {each["email_address"]: each.get("first_name") or "" for each in members}
        assert found == self._expected | dict.fromkeys(STRANGERS, ""), "the list is another"

    def _left_out(self, run_id: int) -> set[str]:
        file = self._commands.folder / "left-out.csv"
        self._commands.run("runs", "rejected", str(run_id), "--output", str(file))
        with file.open(encoding="utf-8-sig", newline="") as opened:
            rows = list(csv.DictReader(opened))
        file.unlink()
        assert {row["reason"] for row in rows} == {"suppressed"}
        return {row["email"] for row in rows}


if __name__ == "__main__":
    main()
