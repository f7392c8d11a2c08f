"""`serve`: the dashboard in a process of its own and a worker in this one; one Ctrl-C or SIGTERM ends both in order."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from ccexport.commands.console import print_text
from ccexport.errors import SetupError, StoreError, UsageError
from ccexport.installation import Installation
from ccexport.processes import is_this_machine
from ccexport.settings import Settings

log = logging.getLogger(__name__)

DEFAULT_PORT = 8501
APP = Path(__file__).resolve().parents[2] / "app.py"
HERE = "127.0.0.1"
_START_SECONDS = 60.0
_LOOK_SECONDS = 0.1
_END_SECONDS = 10.0
_WATCH_SECONDS = 60.0
_READY_PATH = "/readyz"  # of web/health.py
_CHECK_SECONDS = 5.0
_CHECK_BYTES = 1_000
_PR_SET_PDEATHSIG = 1  # of Linux's prctl(2)


def serve(settings: Settings, port: int, *, with_worker: bool, address: str = HERE) -> None:
    """Dashboard and worker until stopped. Before anything starts raises `SetupError` for a busy port, and
    `UsageError` for an address that others reach where nobody signs in."""
    if not settings.people_sign_in and not is_this_machine(address):
        raise UsageError(
            f"--address {address} would answer others although nobody signs in. Leave it out, or set up OpenID Connect "
            "(CCEXPORT_OIDC_ISSUER, CCEXPORT_OIDC_CLIENT_ID, CCEXPORT_OIDC_CLIENT_SECRET)."
        )
    check_port(port, address)
    variables = {}
    if "public_url" not in settings.model_fields_set:  # nobody said where people reach it: here
        variables["CCEXPORT_PUBLIC_URL"] = f"http://localhost:{port}"
    with stopping() as stop:
        installation = Installation(settings)
        serve_until(stop, installation, port, variables, with_worker=with_worker, address=address)


def serve_until(
    stop: threading.Event,
    installation: Installation,
    port: int,
    variables: Mapping[str, str],
    *,
    with_worker: bool = True,
    address: str = HERE,
) -> None:
    """As `serve`, with further environment variables for the dashboard, until `stop` is set or the dashboard ends."""
    from ccexport.worker import Worker  # brings Ibis: a busy port is told without it

    _ = installation.engine  # the store is brought to our tables once, before two processes want to
    variables = {**variables, "FORWARDED_ALLOW_IPS": installation.settings.believed_proxies}
    with _dashboard(stop, port, variables, _options(installation.settings, port, address)):
        if not stop.is_set():
            print_text(f"dashboard on {_public_address(installation.settings, port, variables)}")
            sys.stdout.flush()
        if with_worker:
            Worker(installation, stop).work()
        else:
            look_after(installation, stop)


def look_after(installation: Installation, stop: threading.Event) -> None:
    """Look after what nobody else would tell: where no worker is there, this process says so, and delivers it."""
    while not stop.wait(_WATCH_SECONDS):
        try:
            installation.watch.look()
            if not installation.workers.alive():
                give_up_at = time.monotonic() + _WATCH_SECONDS
                installation.teller.deliver_due(give_up_at)
                installation.notifier.deliver_due(give_up_at)
        except StoreError as error:
            log.error("%s", error)
        except Exception:  # the dashboard goes on
            log.exception("what is to be told could not be looked after")


def check_port(port: int, address: str = HERE) -> None:
    """Raises `SetupError` when the port is in use."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
            probe.listen(1)
    except OSError as error:
        raise SetupError(
            f"Port {port} cannot be used ({error.strerror or error}). Choose another with --port."
        ) from error


def check_ready(settings: Settings, port: int) -> str:
    """What the dashboard on this machine says of itself. Raises `SetupError` where it is not ready."""
    path = f"{settings.base_path}{_READY_PATH}"
    try:
        with closing(HTTPConnection(HERE, port, timeout=_CHECK_SECONDS)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            status, said = answer.status, answer.read(_CHECK_BYTES).decode(errors="replace").strip()
    except (OSError, HTTPException) as error:
        raise SetupError(
            f"Nothing answers on port {port}. Start the dashboard with `serve`, or name its port."
        ) from error
    if status != HTTPStatus.OK:
        raise SetupError(
            f"The dashboard on port {port} is not ready ({status}); its log says more."
        )
    return said


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """An event that Ctrl-C, SIGTERM and a closed terminal set; a second one ends the process at once."""
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _public_address(settings: Settings, port: int, variables: Mapping[str, str]) -> str:
    if not settings.people_sign_in:
        return f"http://localhost:{port}"
    return variables.get("CCEXPORT_PUBLIC_URL", settings.public_url)


def _options(settings: Settings, port: int, address: str) -> list[str]:
    """What Streamlit has to know: where to listen, and how browsers see it from outside."""
    options = ["--server.port", str(port), "--server.address", address, "--server.headless", "true"]
    if settings.base_path:
        options += ["--server.baseUrlPath", settings.base_path.strip("/")]
    outside = urlsplit(settings.public_url)
    if settings.people_sign_in and outside.hostname:
        options += ["--browser.serverAddress", outside.hostname]
    return options


@contextmanager
def _dashboard(
    stop: threading.Event, port: int, variables: Mapping[str, str], options: Sequence[str]
) -> Iterator[None]:
    """The dashboard, answering. It has a process group of its own: Ctrl-C comes to us, and we end it in order."""
    command = (sys.executable, "-m", "streamlit", "run", str(APP), *options)
    process = subprocess.Popen(  # noqa: S603  # our own program
        command,
        stdout=subprocess.DEVNULL,
        env=os.environ | variables,
        process_group=0,
        preexec_fn=end_with_parent,  # no thread of ours runs yet
    )
    ended = threading.Thread(target=_wait_for, args=(process, stop), daemon=True)
    ended.start()
    try:
        _wait_until_it_answers(process, options, stop)
        yield
        _check_alive(process)
    finally:
        process.terminate()
        ended.join(_END_SECONDS)
        process.kill()
        process.wait()


def end_with_parent() -> None:
    """For a child about to start: end when the parent is killed, so that nothing keeps the port (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_for(process: subprocess.Popen[bytes], stop: threading.Event) -> None:
    process.wait()
    stop.set()


def _wait_until_it_answers(
    process: subprocess.Popen[bytes], options: Sequence[str], stop: threading.Event
) -> None:
    port, address = int(options[1]), options[3]
    here = {"0.0.0.0": HERE, "::": "::1"}.get(address, address)  # noqa: S104  # where we look, not listen
    give_up_at = time.monotonic() + _START_SECONDS
    while time.monotonic() < give_up_at:
        _check_alive(process)
        try:
            socket.create_connection((here, port), timeout=1).close()
        except OSError:
            if stop.wait(_LOOK_SECONDS):
                _check_alive(process)
                return
        else:
            return
    raise SetupError(f"The dashboard did not answer within {_START_SECONDS:.0f} s.")


def _check_alive(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        raise SetupError(
            f"The dashboard ended by itself (code {process.returncode}); the lines above say why."
        )
