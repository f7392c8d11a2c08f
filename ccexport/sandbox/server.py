"""Running the stand-in: as a program of its own, or in a thread beside a test."""

import asyncio
import contextlib
import gc
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from ccexport.sandbox.account.connections import KnownConnection
from ccexport.sandbox.account.state import SandboxState
from ccexport.sandbox.api.app import create_app
from ccexport.sandbox.api.operations import API_PREFIX, AUTH_PREFIX
from ccexport.sandbox.behaviour import Behaviour

HOST = "127.0.0.1"
START_SECONDS = 30
_SHUTDOWN_SECONDS = 1
_OBJECTS_BETWEEN_COLLECTIONS = 100_000  # a file's rows are many objects, none of them garbage
_SWITCH_SECONDS = 0.001  # so that answers hardly wait for a file that is being read


@dataclass(frozen=True)
class RunningSandbox:
    """A stand-in that answers; `state` is its account, in this process."""

    url: str
    state: SandboxState

    @property
    def api_url(self) -> str:
        return self.url + API_PREFIX

    @property
    def auth_url(self) -> str:
        return self.url + AUTH_PREFIX


def serve(
    port: int,
    behaviour: Behaviour | None = None,
    client_id: str | None = None,
    client_secret: str | None = None,
) -> None:
    """Answer on 127.0.0.1 until SIGINT or SIGTERM; port 0 takes a free one.

    Prints `sandbox ready on http://127.0.0.1:P` once it answers. OSError when the port is taken.
    """
    with _listening(port) as listener:
        sys.setswitchinterval(_SWITCH_SECONDS)
        gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 20, 20)
        app = create_app(behaviour, client_id=client_id, client_secret=client_secret)
        url = _url_of(listener)
        server = _Server(app, lambda: print(f"sandbox ready on {url}", flush=True))  # noqa: T201  # scripts wait for this line
        with _signals_that_only_stop():
            server.run(sockets=[listener])
        app.state.sandbox.close()


class SandboxThread:
    """The stand-in in a thread of this process; `with` starts and stops it."""

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        *,
        port: int = 0,
        client_id: str | None = None,
        client_secret: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._listener = _listening(port)
        app = create_app(behaviour, client_id=client_id, client_secret=client_secret, clock=clock)
        self._ready = threading.Event()
        self._server = _Server(app, self._ready.set)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._listener],), name="sandbox", daemon=True
        )
        self.running = RunningSandbox(_url_of(self._listener), app.state.sandbox)

    def start(self) -> RunningSandbox:
        self._thread.start()
        if not self._ready.wait(START_SECONDS):
            raise RuntimeError("The sandbox does not start.")
        return self.running

    def stop(self) -> None:
        self._server.stop()
        self._thread.join(START_SECONDS)
        self._listener.close()
        self.running.state.close()

    def __enter__(self) -> RunningSandbox:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


@contextlib.contextmanager
def running_sandbox(
    behaviour: Behaviour | None = None,
    *,
    port: int = 0,
    client_id: str | None = None,
    client_secret: str | None = None,
    clock: Callable[[], float] = time.time,
) -> Iterator[RunningSandbox]:
    """A stand-in for as long as the block lasts."""
    thread = SandboxThread(
        behaviour, port=port, client_id=client_id, client_secret=client_secret, clock=clock
    )
    with thread as running:
        yield running


class _Server(uvicorn.Server):
    """uvicorn that says when it is ready, and is quick to stop."""

    def __init__(self, app: Starlette, on_ready: Callable[[], object]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=KnownConnection,
                ws="none",
                lifespan="off",  # a second Ctrl-C would break it off with a traceback
                log_level="warning",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
            )
        )
        self._on_ready = on_ready
        self._asked_to_stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def stop(self) -> None:
        """From any thread: stop now, not at uvicorn's next look at whether it should."""
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has stopped already
                self._loop.call_soon_threadsafe(self._asked_to_stop.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._loop = asyncio.get_running_loop()
            self._on_ready()

    async def main_loop(self) -> None:
        """uvicorn's, unless `stop` ends it earlier."""
        ticks = asyncio.ensure_future(super().main_loop())
        asked = asyncio.ensure_future(self._asked_to_stop.wait())
        ended, waiting = await asyncio.wait((ticks, asked), return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        for task in ended:
            task.result()  # raises what went wrong


def _listening(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def _url_of(listener: socket.socket) -> str:
    return f"http://{HOST}:{listener.getsockname()[1]}"


@contextlib.contextmanager
def _signals_that_only_stop() -> Iterator[None]:
    """uvicorn raises a signal again once it has stopped; that second one shall end nothing."""

    def ignore(number: int, frame: FrameType | None) -> None:
        del number, frame

    stops = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, ignore) for number in stops}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
