"""`demo`: everything on this machine, without an account: stand-in, sample source, connection, export, dashboard."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ccexport.commands.console import run_progress, say
from ccexport.commands.following import EXIT_CODES, follow_run
from ccexport.commands.serving import check_port, end_with_parent, serve_until, stopping
from ccexport.commands.summary import print_run
from ccexport.constantcontact.auth import read_callback
from ccexport.errors import Conflict, SetupError
from ccexport.installation import Installation
from ccexport.preparation.mapping import parse_mapping
from ccexport.sample import write_sample
from ccexport.sandbox.visitor import sign_in_at_once
from ccexport.services.connections.connections import Connections
from ccexport.services.exports.exports import ExportDraft, Exports
from ccexport.services.people.access import local_administrator
from ccexport.settings import PREFIX, Settings

CONNECTION = "Demo account"
EXPORT = "Newsletter"
LIST_ID = "5f0c1e70-9d7a-4a52-8f43-0d1b6a3c2e11"
SEGMENTS = ("Newsletter subscribers", "Spring buyers")
MAPPING = ("email=EMail", "first_name=FirstName", "last_name=LastName")
APPLICATION = "ccexport-demo"
BEHAVIOUR = f"""\
auto_approve: true
processing_seconds: 1
lists:
  - {{list_id: {LIST_ID}, name: Spring newsletter}}
  - Customers
"""
_SAMPLE = Path(__file__).resolve().parents[2] / "data" / "sample"


def run_once(settings: Settings, profiles: int | None) -> int:
    """Set everything up, run the export to its end, print the summary; the exit code."""
    with demo_parts(settings, profiles) as installation:
        by = local_administrator()
        run = Exports(installation).queue(EXPORT, by=by)
        with run_progress() as show:
            document = follow_run(installation, run.id, show)
    print_run(document)
    return EXIT_CODES.get(document["state"], 1)


def serve_demo(settings: Settings, profiles: int | None, port: int) -> None:
    """Set everything up, then dashboard and worker until stopped; the stand-in ends last."""
    check_port(port)
    settings = settings.model_copy(update={"public_url": f"http://localhost:{port}"})
    with stopping() as stop, demo_parts(settings, profiles) as installation:
        say(
            'Connection "Demo account" and export "Newsletter" are set up; nothing leaves this machine.'
        )
        serve_until(stop, installation, port, _variables(installation.settings))


def _variables(settings: Settings) -> dict[str, str]:
    """The demo's settings for the dashboard's process."""
    names = (
        *("data_dir", "database_url", "source_url", "public_url", "poll_seconds"),
        *("cc_client_id", "cc_api_url", "cc_auth_url"),
    )
    variables = {f"{PREFIX}{name.upper()}": str(getattr(settings, name)) for name in names}
    return variables | {f"{PREFIX}CC_CLIENT_SECRET": ""}


@contextmanager
def demo_parts(settings: Settings, profiles: int | None) -> Iterator[Installation]:
    """A demo of its own folder, with the stand-in running beside it (in a process group of its own: it ends last)."""
    folder = settings.data_dir / "demo"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _sandbox(folder) as url:
        installation = Installation(
            settings.model_copy(
                update={
                    "data_dir": folder,
                    "database_url": f"sqlite:///{folder / 'ccexport.db'}",
                    "source_url": f"file:{_source(folder, profiles)}",
                    "cc_client_id": APPLICATION,
                    "cc_client_secret": None,
                    "cc_api_url": f"{url}/v3",
                    "cc_auth_url": f"{url}/oauth2/default/v1",
                    "poll_seconds": min(settings.poll_seconds, 1.0),
                }
            )
        )
        _connect(installation)
        _set_up_export(installation)
        yield installation


@contextmanager
def _sandbox(folder: Path) -> Iterator[str]:
    """The stand-in in a process of its own; gives its address."""
    behaviour = folder / "sandbox.yaml"
    behaviour.write_text(BEHAVIOUR, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "ccexport",
        "sandbox",
        "--port",
        "0",
        "--behaviour",
        str(behaviour),
    ]
    environment = os.environ | {
        "CCEXPORT_CC_CLIENT_ID": APPLICATION,
        "CCEXPORT_CC_CLIENT_SECRET": "",
    }
    with subprocess.Popen(  # noqa: S603  # our own program
        command,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        process_group=0,
        preexec_fn=end_with_parent,  # no thread of ours runs yet
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if "ready on " not in line:
                raise SetupError("The sandbox did not start; its own message says why.")
            yield line.rsplit(" ", 1)[1].strip()
        finally:
            process.terminate()


def _source(folder: Path, profiles: int | None) -> Path:
    if profiles is None and (_SAMPLE / "Customer.csv").exists():
        return _SAMPLE
    wanted = profiles or 5_000
    source = folder / f"source-{wanted}"
    if not (source / "SegmentMembership.parquet").exists():
        say(f"Making {wanted:,} sample profiles …")
        source.mkdir(exist_ok=True)
        write_sample(source, wanted, format="parquet")
    return source


def _connect(installation: Installation) -> None:
    """Sign in as a person would, at the stand-in that approves at once."""
    redirect_uri = installation.settings.redirect_uri
    connections = Connections(installation)
    sign_in = connections.begin(redirect_uri)
    code = read_callback(sign_in_at_once(sign_in.url), sign_in.state)
    connections.finish(CONNECTION, code, sign_in, redirect_uri, by=local_administrator())


def _set_up_export(installation: Installation) -> None:
    draft = ExportDraft(EXPORT, CONNECTION, LIST_ID, SEGMENTS, parse_mapping(MAPPING))
    try:
        Exports(installation).add(draft, by=local_administrator())
    except Conflict:
        say(f'The demo\'s export "{EXPORT}" is there from an earlier demo.')
