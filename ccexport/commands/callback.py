"""The loopback address that a sign-in on the command line returns to."""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Mapping
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qsl, urlsplit

from ccexport.errors import SetupError

LOOK_SECONDS = 0.2


class CallbackServer:
    """Answers `http://localhost:PORT/callback` while used as a context."""

    def __init__(self, port: int) -> None:
        self.redirect_uri = f"http://localhost:{port}/callback"
        self._state = ""
        self._params: Mapping[str, str] | None = None
        self._one_at_a_time = threading.Lock()
        self._arrived = threading.Event()
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        except OSError as error:
            raise SetupError(
                f"Port {port} is in use ({error.strerror}). Choose another with --callback-port and register its "
                "address at Constant Contact."
            ) from error
        self._server.timeout = LOOK_SECONDS

    def __enter__(self) -> CallbackServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.server_close()

    def wait(self, state: str, timeout_seconds: float) -> Mapping[str, str]:
        """The parameters of the return with this `state`; other calls are answered 400 and ignored."""
        self._state = state
        give_up_at = time.monotonic() + timeout_seconds
        while not self._arrived.is_set():
            self._server.handle_request()  # begins a thread a call, or returns after LOOK_SECONDS
            if not self._arrived.is_set() and time.monotonic() > give_up_at:
                raise SetupError(
                    f"Nobody signed in within {timeout_seconds:.0f} s; nothing was stored. Start the command again."
                )
        return self._params or {}

    def _take(self, params: Mapping[str, str]) -> bool:
        """Whether these are the parameters that are waited for; they count once."""
        expected, given = self._state.encode(), params.get("state", "").encode()
        with self._one_at_a_time:
            if self._params is not None or not hmac.compare_digest(expected, given):
                return False
            self._params = params
            return True

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take, arrived = self._take, self._arrived

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                if parts.path != "/callback":
                    self._answer(404, "There is nothing here.")
                    return
                params = dict(parse_qsl(parts.query))
                if not take(params):
                    self._answer(
                        400, "This is not the sign-in that was started. Nothing was stored."
                    )
                    return
                declined = (
                    "The sign-in was declined." if "error" in params else "You are signed in."
                )
                try:
                    self._answer(200, f"{declined} Close this page and go back to the terminal.")
                finally:
                    arrived.set()  # not before: the process may end right after

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
