"""The loopback address that a sign-in on the command line returns to.

Browsers fetch an address twice for reasons of their own: a prefetch spends nothing, and every fetch of the return that
counted is answered with how the sign-in ended.
"""

from __future__ import annotations

import hmac
import select
import socket
import threading
import time
from collections.abc import Mapping
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qsl, urlsplit

from ccexport.constantcontact.auth import is_prefetch
from ccexport.errors import SetupError

LOOK_SECONDS = 0.1
LINGER_SECONDS = 1.0  # for a second fetch, after one that was answered
UNSEEN_SECONDS = 10.0  # for somebody to fetch the answer, where nobody has yet
_NOT_OURS = "This is not the sign-in that was started. Nothing was stored."
_DONE = "You are signed in. Close this page and go back to the terminal."
_NOT_DONE = "You are not signed in. Close this page and go back to the terminal: it says why."


class CallbackServer:
    """Answers `http://localhost:PORT/callback` as a context, whose end is what the browser sees."""

    def __init__(self, port: int) -> None:
        self.redirect_uri = f"http://localhost:{port}/callback"
        self._state = ""
        self._params: Mapping[str, str] | None = None
        self._one_at_a_time = threading.Lock()
        self._arrived, self._ended, self._seen = (threading.Event() for _ in range(3))
        self._answer = _NOT_DONE
        try:
            self._server = _Server(("127.0.0.1", port), self._handler())
        except OSError as error:
            raise SetupError(
                f"Port {port} is in use ({error.strerror}). Choose another with --callback-port and register its "
                "address at Constant Contact."
            ) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(LOOK_SECONDS,), name="callback", daemon=True
        )

    def __enter__(self) -> CallbackServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._answer = _DONE
        self._ended.set()
        if self._arrived.is_set() and (kind is None or issubclass(kind, Exception)):
            self._linger()
        self._server.shutdown()
        self._server.server_close()

    def expect(self, state: str) -> None:
        """Take the return with this `state`; other calls are answered 400 and ignored.

        Told before the address is, since a browser that is signed in already returns at once.
        """
        self._state = state

    def wait(self, timeout_seconds: float) -> Mapping[str, str]:
        """The parameters of the return that is expected."""
        if not self._arrived.wait(timeout_seconds):
            raise SetupError(
                f"Nobody signed in within {timeout_seconds:.0f} s; nothing was stored. Start the command again."
            )
        return self._params or {}

    def _linger(self) -> None:
        """Stay for a browser that hung up before the answer, or that fetches once more."""
        give_up_at = time.monotonic() + UNSEEN_SECONDS
        if self._seen.wait(give_up_at - time.monotonic()):
            time.sleep(LINGER_SECONDS)

    def _take(self, params: Mapping[str, str]) -> bool:
        """Whether this is the return that is waited for; the first counts, and each further one ends as it does."""
        expected, given = self._state.encode(), params.get("state", "").encode()
        with self._one_at_a_time:
            if not self._state or not hmac.compare_digest(expected, given):
                return False
            if self._params is None:
                self._params = params
                self._arrived.set()
            return True

    def _how_it_ended(self) -> str:
        """Waits for the end."""
        self._ended.wait()
        return self._answer

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take, how_it_ended, seen = self._take, self._how_it_ended, self._seen

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                if parts.path != "/callback":
                    self._answer(404, "There is nothing here.")
                elif is_prefetch(self.headers):
                    self._answer(503, "Nobody has come yet.")
                elif take(dict(parse_qsl(parts.query))):
                    text = how_it_ended()
                    if not _has_hung_up(self.connection):
                        self._answer(200, text)
                        seen.set()
                else:
                    self._answer(400, _NOT_OURS)

            def _answer(self, status: int, text: str) -> None:
                body = f"<!doctype html><meta charset=utf-8><title>ccexport</title><p>{escape(text)}".encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the address holds the code."""

        return Handler


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: a browser that went away in the middle is not for the terminal."""


def _has_hung_up(connection: socket.socket) -> bool:
    """Whether the browser has closed its side, so that an answer would reach nobody."""
    try:
        readable, _, _ = select.select([connection], [], [], 0)
        return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True
