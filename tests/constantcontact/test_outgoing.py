"""What leaves this machine: to a verified host alone, never further with the token, never for ever."""

from __future__ import annotations

import ast
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ccexport.constantcontact.auth import (
    MAX_TOKEN_ANSWER_BYTES,
    AppCredentials,
    TokenPair,
    finish_sign_in,
    refresh,
)
from ccexport.constantcontact.transport import UnreadableAnswer, read_bounded
from ccexport.errors import CcexportError
from tests.constantcontact.wire import client_of, server

ROOM = Path(__file__).resolve().parents[2] / "ccexport" / "constantcontact"
APP = AppCredentials("app", "app-secret")
NOW = datetime(2026, 1, 5, tzinfo=UTC)
PAIR = TokenPair("access-token", "refresh-token", NOW)


def _read_by_client(url: str) -> None:
    client = client_of(1)
    client._api_url = f"{url}/v3"
    client.account()


def _renew(url: str) -> None:
    refresh(url, APP, PAIR, now=NOW)


def _exchange(url: str) -> None:
    finish_sign_in(url, APP, "http://localhost/callback", "code", "verifier")


CALLS = pytest.mark.parametrize("call", [_read_by_client, _renew, _exchange])
Call = Callable[[str], None]


@CALLS
def test_nothing_is_said_to_a_host_whose_certificate_is_not_trusted(
    call: Call, tmp_path: Path
) -> None:
    with _tls_server(tmp_path) as (port, heard):
        with pytest.raises(CcexportError, match="certificate could not be verified"):
            call(f"https://localhost:{port}")
        assert heard == []


@CALLS
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_redirect_is_not_followed_with_token_or_secret(
    call: Call, status: int, scheme: str
) -> None:
    visits: list[socket.socket] = []
    with server(visits.append) as elsewhere:

        def redirect(connection: socket.socket) -> None:
            head = f"HTTP/1.1 {status} Moved\r\nLocation: {scheme}://127.0.0.1:{elsewhere}/v3/x\r\n"
            connection.sendall(head.encode() + b"Content-Length: 0\r\n\r\n")
            connection.close()

        with server(redirect) as port, pytest.raises(CcexportError):
            call(f"http://127.0.0.1:{port}")
    assert visits == []


@pytest.mark.parametrize("call", [_renew, _exchange])
def test_an_answer_of_the_token_endpoint_is_read_no_further_than_its_bound(call: Call) -> None:
    sent = 0

    def pour(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        try:
            while sent < 50 * MAX_TOKEN_ANSWER_BYTES:
                sent += connection.send(b" " * 65_536)
        except OSError:
            pass
        connection.close()

    with server(pour) as port, pytest.raises(CcexportError, match="answer"):
        call(f"http://127.0.0.1:{port}")
    assert sent < 20 * MAX_TOKEN_ANSWER_BYTES  # what the sockets held


def test_an_answer_that_trickles_is_not_waited_for_for_ever() -> None:
    ended = threading.Event()

    def trickle(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not ended.wait(0.02):
            connection.sendall(b"1\r\nx\r\n")
        connection.close()

    with server(trickle) as port:
        answer = requests.get(f"http://127.0.0.1:{port}", stream=True, timeout=30)
        started = time.monotonic()
        with answer, pytest.raises(UnreadableAnswer, match="took longer"):
            read_bounded(answer, max_seconds=0.3)
        ended.set()
    assert time.monotonic() - started < 20


def test_every_call_of_the_room_has_a_time_out_and_follows_no_redirect() -> None:
    """Read from the source, so that one more call cannot go without."""
    calls = [
        (path.name, node)
        for path in sorted(ROOM.glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("send", "request", "get", "post")
        and ("session" in ast.unparse(node.func.value).lower())
    ]
    assert {name for name, _ in calls} == {"auth.py", "client.py"}
    for name, call in calls:
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert "timeout" in given, f"{name}:{call.lineno}"
        assert given["allow_redirects"] == "False", f"{name}:{call.lineno}"


def test_no_other_room_calls_out_and_nobody_turns_verification_off() -> None:
    texts = {path: path.read_text() for path in ROOM.parent.rglob("*.py")}
    for path, text in texts.items():
        assert "verify=False" not in text.replace(" ", ""), path
        assert "_create_unverified_context" not in text, path
        assert "CERT_NONE" not in text, path


@contextmanager
def _tls_server(folder: Path) -> Iterator[tuple[int, list[bytes]]]:
    """A server with a certificate of its own for this machine; gives its port and what it heard inside of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(folder))
    heard: list[bytes] = []
    listener = socket.create_server(("localhost", 0))

    def loop() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) as secured:
                    if data := secured.recv(65_536):
                        heard.append(data)
            except OSError:
                connection.close()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], heard
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def _certificate(folder: Path) -> Path:
    """Signed by itself, right in everything else."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path
