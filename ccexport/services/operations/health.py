"""Looks at everything an installation relies on, from outside: each finding is ok or says what to do."""

from __future__ import annotations

import difflib
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from ccexport.clock import iso
from ccexport.errors import CcexportError
from ccexport.installation import Installation
from ccexport.processes import is_dead
from ccexport.redaction import mask_password
from ccexport.services.connections.connections import SIGN_IN_DAYS, is_idle
from ccexport.services.operations.attendance import attendance
from ccexport.settings import PREFIX, Settings, is_secret
from ccexport.states import RunState
from ccexport.store.connections import ConnectionView
from ccexport.store.database.engine import shown_address
from ccexport.store.database.holding import holder_of_write_lock, say_stopped
from ccexport.store.database.mounts import network_file_system
from ccexport.store.database.tables import Run
from ccexport.store.vault.backups import BackupStore

MIN_FREE_BYTES = 1_000_000_000  # a run of a million profiles writes about a tenth of that
MAX_CLOCK_OFFSET_SECONDS = 60.0
NOBODY_TAKES_IT = timedelta(
    minutes=5
)  # a worker looks each second, a lease lapses after one minute
NOTHING_HAPPENS = timedelta(hours=6)  # an activity may take hours; a file is given up after 24
BACKUP_TAKES = timedelta(hours=1)
BACKUP_IS_OLD = timedelta(days=8)  # once backups are made at all, a week without one is a failure


_HOW_TO_GO_ON = {  # by whether a worker is alive
    False: "Start one: python -m ccexport worker",
    True: "Look at the log of the worker, and compare the clocks of the machines.",
}


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


def examine(installation: Installation) -> Iterator[Finding]:
    """Look at one thing after the other; what cannot be looked at is a finding, not an error."""
    checks: tuple[tuple[str, Callable[[Installation], str]], ...] = (
        ("settings", _names),
        ("store", _store),
        ("source", _source),
        ("Constant Contact", _application),
        ("workers", _workers),
        ("runs", _runs),
        ("disk", _disk),
        ("files", _files),
        ("backups", _backups),
    )
    for subject, check in checks:
        yield _finding(subject, check, installation)
    yield from _connections(installation)


class _NotWell(CcexportError):
    """A check's way of saying what to do."""


def _finding(
    subject: str, check: Callable[[Installation], str], installation: Installation
) -> Finding:
    try:
        return Finding(subject, True, check(installation))
    except CcexportError as error:
        return Finding(subject, False, str(error))


def _store(installation: Installation) -> str:
    unfinished = len(installation.runs.unfinished())
    holder = holder_of_write_lock(installation.engine)
    if holder is not None and holder.is_stopped:
        raise _NotWell(f"nobody can write to it: {say_stopped(holder)}")
    _check_local(installation)
    ended = "1 run" if unfinished == 1 else f"{unfinished:,} runs"
    return f"{shown_address(installation.engine)}, {ended} not ended"


def _check_local(installation: Installation) -> None:
    """SQLite's file has to lie on this machine's own disk."""
    url = installation.engine.url
    if installation.engine.dialect.name != "sqlite" or not url.database:
        return
    if (kind := network_file_system(Path(url.database))) is not None:
        raise _NotWell(
            f"{url.database} lies on a network file system ({kind}), where SQLite's locks do not hold: two processes "
            "can damage it. Set CCEXPORT_DATA_DIR to a disk of this machine, or use PostgreSQL (CCEXPORT_DATABASE_URL)."
        )


def _source(installation: Installation) -> str:
    with installation.open_source() as source:
        segments = source.segments()
        return f"{len(source.attribute_names)} attributes, {len(segments)} segments"


def _application(installation: Installation) -> str:
    budget = installation.budget.today()
    app = installation.app
    secret = "with a secret" if app.client_secret else "without a secret (PKCE alone)"
    return f"application set {secret}; {budget.used:,} of {budget.limit:,} requests used today"


def _workers(installation: Installation) -> str:
    alive = [worker for worker in installation.workers.alive() if not is_dead(worker.id)]
    if not alive and any(map(_goes_on_by_itself, installation.runs.unfinished())):
        raise _NotWell(
            "runs are queued and no worker is alive. Start one: python -m ccexport worker"
        )
    if (found := attendance(installation)).is_overdue:
        raise _NotWell(f"{found.in_words}. {_HOW_TO_GO_ON[bool(alive)]}")
    return f"{len(alive)} alive"


def _goes_on_by_itself(run: Run) -> bool:
    """Whether a worker is all that a run needs, now or at its time."""
    return run.state is not RunState.WAITING or run.waiting_until is not None


def _runs(installation: Installation) -> str:
    """A run that nobody works on, or with which nothing happens, though it could go on."""
    live = installation.runs.unfinished()
    for run in live:
        if why := _why_stuck(run, installation):
            raise _NotWell(
                f'run {run.id} of "{run.export_name}" is stuck: {why}. Look at the log of the worker; '
                "when it is started anew, the run goes on."
            )
    return f"{len(live):,} live, none stuck"


def _why_stuck(run: Run, installation: Installation) -> str:
    now = installation.now()
    begins = max(run.queued_at, run.waiting_until or run.queued_at)
    if run.state is RunState.WAITING and (run.waiting_until is None or begins > now):
        return ""
    if run.lease_until is None and now - begins > NOBODY_TAKES_IT:
        return f"no worker has taken it since {iso(begins)}"
    if run.lease_until is not None and now - run.lease_until > NOBODY_TAKES_IT:
        return f"its worker fell silent at {iso(run.lease_until)} and no other took it over"
    last = max((event.at for event in installation.runs.events(run.id)), default=run.queued_at)
    if run.lease_until is not None and now - last > NOTHING_HAPPENS:
        return f"nothing has happened since {iso(last)}"
    return ""


def _disk(installation: Installation) -> str:
    folder = installation.settings.data_dir
    try:
        free = shutil.disk_usage(folder if folder.exists() else ".").free
    except OSError as error:
        raise _NotWell(f"{folder} cannot be looked at: {error.strerror}.") from error
    if free < MIN_FREE_BYTES:
        raise _NotWell(f"only {free / 1e9:.1f} GB are free for {folder}. Make room.")
    return f"{free / 1e9:.0f} GB free for {folder}"


def _files(installation: Installation) -> str:
    """Store, key and run files are for their owner alone."""
    folder = installation.settings.data_dir
    looked_at = 0
    for path in (folder, *folder.rglob("*")) if folder.exists() else ():
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:  # a run's files may go while we look
            continue
        looked_at += 1
        if not stat.S_ISLNK(mode) and mode & 0o077:
            raise _NotWell(
                f"{path} is open to other users of this machine. Run: chmod -R go= {folder}"
            )
    return f"{looked_at:,} below {folder}, all for their owner alone"


def _backups(installation: Installation) -> str:
    attempts = BackupStore(installation.engine).latest()
    if not attempts:
        return "none made yet (python -m ccexport backup FILE)"
    newest, now = attempts[0], installation.now()
    good = next((each for each in attempts if each.finished_at and not each.error), None)
    last_good = (
        f"the last good one is of {iso(good.started_at)}" if good else "none was good so far"
    )
    if newest.error:
        raise _NotWell(f"the one of {iso(newest.started_at)} failed ({newest.error}); {last_good}")
    if newest.finished_at is None and now - newest.started_at > BACKUP_TAKES:
        raise _NotWell(f"the one of {iso(newest.started_at)} never ended; {last_good}")
    if good and now - good.started_at > BACKUP_IS_OLD:
        raise _NotWell(f"{last_good}. Make one: python -m ccexport backup FILE")
    return last_good


def _connections(installation: Installation) -> Iterator[Finding]:
    """Ask Constant Contact about each sign-in, and compare clocks with the first answer."""
    try:
        views = installation.connections.views()
    except CcexportError:
        views = []  # the store's own finding says it
    offset: float | None = None
    for connection in (view.connection for view in views):
        subject = f'connection "{connection.name}"'
        try:
            with closing(installation.client_for(connection.id)) as client:
                organization = client.account().organization
                offset = client.clock_offset_seconds if offset is None else offset
        except CcexportError as error:
            yield Finding(subject, False, str(error))
        else:
            yield Finding(subject, True, f"signed in to {organization}")
    yield from _idle(installation, [view for view in views if is_idle(view, installation.now())])
    yield _clock(installation, offset)


def _idle(installation: Installation, idle: Sequence[ConnectionView]) -> Iterator[Finding]:
    """Sign-ins that were about to end for want of use, as they were before they were asked about."""
    for view in idle:
        days, name = view.unused_days(installation.now()), view.connection.name
        text = (
            f"had not been used for {days} days; unused for {SIGN_IN_DAYS} it ends. Asking about it just now renews it "
            "where Constant Contact answers; run an export over it, or remove it"
        )
        yield Finding(f'sign-in of "{name}"', False, text)


def _clock(installation: Installation, offset: float | None) -> Finding:
    if offset is None:
        return Finding(
            "clock",
            True,
            f"{iso(installation.now())}; compared once Constant Contact answers a connection",
        )
    if abs(offset) > MAX_CLOCK_OFFSET_SECONDS:
        away = f"{abs(offset):.0f} s away from Constant Contact's. Set this machine's clock."
        return Finding("clock", False, away)
    return Finding("clock", True, f"{iso(installation.now())}, as Constant Contact's")


def _names(_parts: Installation) -> str:
    """A variable that is not a setting is most likely a misspelled one."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else " Take it away."
            raise _NotWell(f"{name} is not a setting.{hint}")
    return "each in range"
