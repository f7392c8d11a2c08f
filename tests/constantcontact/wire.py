"""A server of a socket alone, and a client of it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ccexport.constantcontact.client import Client

Serve = Callable[[socket.socket], None]
BODY = b'{"activity_id": "a1", "state": "initialized"}'


@contextmanager
def server(serve: Serve) -> Iterator[int]:
    """A server that reads each request whole and then does what `serve` says; gives its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    connections: list[socket.socket] = []

    def loop() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(connection)
            _read_request(connection)
            serve(connection)

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
        for connection in connections:
            connection.close()


def _read_request(connection: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65_536)
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    missing = int(lengths[0].split(b":")[1]) - len(body) if lengths else 0
    while missing > 0:
        missing -= len(connection.recv(65_536))


def client_of(port: int, read_seconds: float = 5) -> Client:
    return Client(
        f"http://127.0.0.1:{port}/v3",
        lambda: "token",
        None,
        lambda operation: None,
        timeout_seconds=(5, read_seconds),
        sleep=lambda seconds: None,
    )
