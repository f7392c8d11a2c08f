"""An OpenID Connect provider in a process of its own, with people who can be signed in at one click."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from tests.kit.ports import free_port

START_SECONDS = 60
PEOPLE: Sequence[Mapping[str, object]] = (
    {"sub": "olivia", "name": "Olivia", "groups": ["ccexport-admins"]},
    {"sub": "adam", "name": "Adam"},
    {"sub": "cleo", "name": "Cleo"},
    {"sub": "vera", "name": "Vera", "groups": ["everybody", "readers"]},
    {"sub": "nobody", "name": "Nobody"},
    {"sub": "unverified", "name": "Una", "email_verified": False},
)


def address_of(person: str) -> str:
    """The address that the provider says."""
    return f"{person}@example.com"


@contextmanager
def running_provider() -> Iterator[str]:
    """Its issuer."""
    port = free_port()
    people = [
        {"email": address_of(str(person["sub"])), "email_verified": True, **person}
        for person in PEOPLE
    ]
    options = [text for each in people for text in ("--user-claims", json.dumps(each))]
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_it_answers(f"http://localhost:{port}", process)
        yield f"http://localhost:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_it_answers(issuer: str, process: subprocess.Popen[bytes]) -> None:
    give_up_at = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up_at and process.poll() is None:
        try:
            urllib.request.urlopen(f"{issuer}/.well-known/openid-configuration", timeout=5).close()
            return
        except urllib.error.URLError:
            time.sleep(0.1)  # a process that starts says nothing to wait for
    raise RuntimeError("the OpenID Connect provider did not start")
