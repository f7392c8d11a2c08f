"""Looks at everything an installation relies on, from outside: each finding is ok or says what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

from pydantic import SecretStr

from ccexport.assembly import Parts
from ccexport.errors import CcexportError
from ccexport.settings import PREFIX, Settings, is_secret, mask_password

MIN_FREE_BYTES = 1_000_000_000  # a run of a million profiles writes about a tenth of that
MAX_CLOCK_OFFSET_SECONDS = 60.0


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, whether it is well, and what was seen or is to be done."""

    subject: str
    ok: bool
    text: str


def shown_settings(settings: Settings) -> Iterator[tuple[str, str]]:
    """Each variable with its value, secrets masked."""
    for name in Settings.model_fields:
        value = getattr(settings, name)
        text = "" if value is None else str(value)
        if isinstance(value, SecretStr) or is_secret(name):
            text = "set (not shown)" if value else ""
        yield f"{PREFIX}{name.upper()}", mask_password(text) or "not set"


def examine(parts: Parts) -> Iterator[Finding]:
    """Look at one thing after the other; what cannot be looked at is a finding, not an error."""
    checks: tuple[tuple[str, Callable[[Parts], str]], ...] = (
        ("store", _store),
        ("source", _source),
        ("Constant Contact", _application),
        ("workers", _workers),
        ("disk", _disk),
    )
    for subject, check in checks:
        yield _finding(subject, check, parts)
    yield from _connections(parts)


class _NotWell(CcexportError):
    """A check's way of saying what to do."""


def _finding(subject: str, check: Callable[[Parts], str], parts: Parts) -> Finding:
    try:
        return Finding(subject, True, check(parts))
    except CcexportError as error:
        return Finding(subject, False, str(error))


def _store(parts: Parts) -> str:
    unfinished = len(parts.runs.unfinished())
    return f"{parts.engine.url.render_as_string(hide_password=True)}, {unfinished} runs not ended"


def _source(parts: Parts) -> str:
    with parts.open_source() as source:
        segments = source.segments()
        return f"{len(source.attribute_names)} attributes, {len(segments)} segments"


def _application(parts: Parts) -> str:
    budget = parts.budget.today()
    app = parts.app
    secret = "with a secret" if app.client_secret else "without a secret (PKCE alone)"
    return f"application set {secret}; {budget.used:,} of {budget.limit:,} requests used today"


def _workers(parts: Parts) -> str:
    alive = parts.workers.alive()
    if not alive and any(run.state == "queued" for run in parts.runs.unfinished()):
        raise _NotWell(
            "runs are queued and no worker is alive. Start one: python -m ccexport worker"
        )
    return f"{len(alive)} alive"


def _disk(parts: Parts) -> str:
    folder = parts.settings.data_dir
    try:
        free = shutil.disk_usage(folder if folder.exists() else ".").free
    except OSError as error:
        raise _NotWell(f"{folder} cannot be looked at: {error.strerror}.") from error
    if free < MIN_FREE_BYTES:
        raise _NotWell(f"only {free / 1e9:.1f} GB are free for {folder}. Make room.")
    return f"{free / 1e9:.0f} GB free for {folder}"


def _connections(parts: Parts) -> Iterator[Finding]:
    try:
        connections = [view.connection for view in parts.connections.views()]
    except CcexportError:
        return  # the store's own finding says it
    for connection in connections:
        subject = f'connection "{connection.name}"'
        try:
            with closing(parts.client_for(connection.id)) as client:
                organization = client.account().organization
                offset = client.clock_offset_seconds or 0.0
        except CcexportError as error:
            yield Finding(subject, False, str(error))
            continue
        yield Finding(subject, True, f"signed in to {organization}")
        if abs(offset) > MAX_CLOCK_OFFSET_SECONDS:
            text = f"{abs(offset):.0f} s away from Constant Contact's. Set this machine's clock."
            yield Finding("clock", False, text)
        else:
            yield Finding("clock", True, "agrees with Constant Contact's")
