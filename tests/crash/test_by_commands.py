"""120,000 messy profiles over two overlapping segments, by commands alone, whole and with the worker killed."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.kit.by_commands import Commands, sandbox_process
from tests.kit.house import LIST_ID, check_sums, write_source

PROFILES = 120_000
# the HTML standard's rule for a valid e-mail address, and what is asked for besides
HTML_EMAIL = re.compile(
    r"[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
    r"(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)+"
)


@dataclass
class Expected:
    """What must arrive, and what must be left out for which reason."""

    members: dict[str, tuple[str, str]] = field(default_factory=dict)
    rejected: dict[str, tuple[str, str]] = field(default_factory=dict)


def messy_profiles(seed: int) -> list[dict[str, str]]:
    """Duplicates, padding, capitals, broken, missing and long addresses, long and odd names."""
    rng = random.Random(seed)
    profiles = []
    for number in range(PROFILES):
        email = f"user{rng.randrange(PROFILES)}@shop{number % 7}.example"
        dirt = rng.random()
        if dirt < 0.02:
            email = rng.choice(["", "  ", "\t"])
        elif dirt < 0.04:
            email = rng.choice(
                [f"u{number}", f"u{number}@x", f".u{number}@a.example", f"u{number}..x@a.example"]
            )
        elif dirt < 0.05:
            email = f"{'l' * 60}{number}@{'d' * 20}.example"
        elif dirt < 0.06:
            email = f"{'m' * 45}{number}@shop.example"
        elif dirt < 0.08:
            email = f"ü{number}@shop.example"
        elif dirt < 0.3:
            email = f" {email.upper()} "
        name = rng.choice(
            ["Ana", "O'Neill", 'Jo "J"', "Smith, Jr", "Ελένη", "李", "🎉", "n" * 57, "a\r\nb", ""]
        )
        profiles.append(
            {
                "CustomerId": f"C{rng.randrange(10**9):09}-{number}",
                "EMail": email,
                "FirstName": name,
                "LastName": f" Last {number}\x07 ",
            }
        )
    return profiles


def members_of(profiles: list[dict[str, str]], seed: int) -> list[tuple[str, str]]:
    rng = random.Random(seed)
    rows = []
    for profile in profiles:
        draw = rng.random()
        if draw < 0.6:
            rows.append((profile["CustomerId"], "North"))
        if draw > 0.4:
            rows.append((profile["CustomerId"], "South"))
        if draw > 0.99:
            rows.append((profile["CustomerId"], "Other"))
    rows.append(("nobody", "North"))
    return rows


def clean(value: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", value).strip()


def expect(profiles: list[dict[str, str]], rows: list[tuple[str, str]]) -> Expected:
    """By the written rules, a profile at a time."""
    chosen = {customer for customer, segment in rows if segment in ("North", "South")}
    expected, winners = Expected(), {}
    for profile in sorted(profiles, key=lambda each: each["CustomerId"]):
        if profile["CustomerId"] not in chosen:
            continue
        email = clean(profile["EMail"]).lower()
        local = email.partition("@")[0]
        dots = local.startswith(".") or local.endswith(".") or ".." in local
        if not email:
            reason = "missing_email"
        elif len(email) > 80:
            reason = "email_too_long"
        elif dots or not HTML_EMAIL.fullmatch(email):
            reason = "invalid_email"
        elif email in winners:
            reason = "duplicate"
        else:
            winners[email] = profile["CustomerId"]
            names = [clean(profile[key])[:50].strip() for key in ("FirstName", "LastName")]
            expected.members[email] = (names[0], names[1])
            continue
        expected.rejected[profile["CustomerId"]] = (
            reason,
            winners.get(email, "") if reason == "duplicate" else "",
        )
    return expected


@contextmanager
def commands(folder: Path) -> Iterator[Commands]:
    """A sandbox of its own process; a source; a connection and an export made by commands."""
    behaviour = folder / "behaviour.yaml"
    behaviour.write_text(
        f"auto_approve: true\nprocessing_seconds: 1\nlists: [{{list_id: {LIST_ID}, name: Spring buyers}}]\n"
    )
    with sandbox_process(behaviour) as url:
        found = Commands(folder, url)
        found.connect()
        found.run(
            *("exports", "add", "Newsletter", "--connection", "Marketing", "--list-id", LIST_ID),
            *("--segment", "North", "--segment", "South", "--map", "email=EMail"),
            *("--map", "first_name=FirstName", "--map", "last_name=LastName"),
        )
        yield found


def check_everything(found: Commands, expected: Expected, run_id: int) -> None:
    """Members and rejections exact, nothing truncated or imported twice, the pace kept, nothing in the clear."""
    document = json.loads(found.run("runs", "show", str(run_id), "--json"))
    check_sums(document)
    assert document["state"] == "succeeded"
    members = found.ask(f"/_sandbox/members?list={LIST_ID}")
    arrived = {
        each["email_address"]: (each.get("first_name") or "", each.get("last_name") or "")
        for each in members
    }
    assert arrived == expected.members
    assert document["counts"]["accepted"] == len(expected.members)
    found.run("runs", "rejected", str(run_id), "--output", "rejected.csv")
    with (found.folder / "rejected.csv").open(encoding="utf-8-sig", newline="") as file:
        rejected = {
            row["customer_id"]: (row["reason"], row["sent_instead"]) for row in csv.DictReader(file)
        }
    assert rejected == expected.rejected
    (found.folder / "rejected.csv").unlink()
    for batch in document["batches"]:
        assert batch["person_count"] == batch["rows"]
    requests = found.ask("/_sandbox/requests")
    made = [each["file_name"] for each in requests if each["activity_id"]]
    assert len(made) == len(set(made)) == len(document["batches"])
    at = sorted(each["at"] for each in requests if each["path"].startswith("/v3/"))
    crowded = [n for n in range(len(at) - 4) if at[n + 4] - at[n] < 1.0]
    assert crowded == [], "more than 4 requests in a second"
    for path in [*(found.folder / "var").rglob("*"), found.folder / "log"]:
        if path.is_file():
            content = path.read_bytes()
            assert b"@shop3.example" not in content, path
            assert b"Bearer" not in content, path


@pytest.mark.parametrize("kills", [0, 3], ids=["whole", "killed in three places"])
def test_the_list_holds_exactly_who_should_be_in_it(tmp_path: Path, kills: int) -> None:
    profiles = messy_profiles(7)
    rows = members_of(profiles, 8)
    write_source(tmp_path / "source", profiles, rows)
    expected = expect(profiles, rows)
    with commands(tmp_path) as found:
        found.run("exports", "run", "Newsletter")
        for kill in range(kills):
            worker = found.start("worker", "--until-idle")
            wait_for_posts(found, kill + 1, worker)
            os.kill(worker.pid, signal.SIGKILL)
            worker.communicate(timeout=30)
        found.run("worker", "--until-idle")
        check_everything(found, expected, 1)


def wait_for_posts(found: Commands, count: int, worker: subprocess.Popen[str]) -> None:
    """Until the sandbox has so many files."""
    deadline = time.monotonic() + 120
    while worker.poll() is None:
        assert time.monotonic() < deadline
        made = [each for each in found.ask("/_sandbox/requests") if each["activity_id"]]
        if len(made) >= count:
            return
