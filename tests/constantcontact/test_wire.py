"""The client on a real socket: what is certain, and what is not, when a connection breaks."""

from __future__ import annotations

import socket

import pytest

from ccexport.constantcontact.auth import AppCredentials, TokenPair, refresh
from ccexport.constantcontact.client import Client
from ccexport.constantcontact.values import read_time
from ccexport.errors import OutcomeUnknown, ServiceTrouble
from tests.constantcontact.samples import LIST
from tests.constantcontact.wire import BODY, Serve, client_of, server
from tests.kit.ports import free_port


def hang_up(connection: socket.socket) -> None:
    connection.close()


def say_nothing(connection: socket.socket) -> None:
    """The read timeout of the client ends this."""


def answer_half(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 1000\r\n\r\n" + BODY)
    connection.close()


def answer_garbage(connection: socket.socket) -> None:
    connection.sendall(b"\x00\x01garbage\r\n\r\n")
    connection.close()


def answer_whole(connection: socket.socket) -> None:
    length = str(len(BODY)).encode()
    connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: " + length + b"\r\n\r\n" + BODY)
    connection.close()


@pytest.mark.parametrize("serve", [hang_up, say_nothing, answer_half, answer_garbage])
def test_an_import_that_was_sent_and_not_answered_is_unknown(serve: Serve) -> None:
    with server(serve) as port, pytest.raises(OutcomeUnknown):
        client_of(port, 0.2).import_contacts("run1-0001.csv", b"email\r\n", LIST)


@pytest.mark.parametrize("serve", [hang_up, say_nothing, answer_half, answer_garbage])
def test_a_read_that_was_not_answered_is_trouble(serve: Serve) -> None:
    with server(serve) as port, pytest.raises(ServiceTrouble):
        client_of(port, 0.2).activity("a1")


def test_an_import_that_nobody_took_was_not_sent() -> None:
    with pytest.raises(ServiceTrouble, match="no connection"):
        client_of(free_port()).import_contacts("run1-0001.csv", b"email\r\n", LIST)


def test_a_name_that_leads_nowhere_is_no_connection() -> None:
    client = Client("https://nowhere.invalid/v3", lambda: "t", None, lambda operation: None)
    with pytest.raises(ServiceTrouble, match="cannot be reached"):
        client.import_contacts("run1-0001.csv", b"email\r\n", LIST)


def test_an_import_of_the_largest_size_is_taken() -> None:
    with server(answer_whole) as port:
        activity = client_of(port).import_contacts("run1-0001.csv", b"x" * 3_890_000, LIST)
    assert activity.activity_id == "a1"


@pytest.mark.parametrize("serve", [hang_up, answer_half, answer_garbage])
def test_a_renewal_that_was_sent_and_not_answered_is_unknown(serve: Serve) -> None:
    now = read_time("2026-01-05T10:00:00Z")
    assert now is not None
    pair = TokenPair("a", "r", now)
    with server(serve) as port, pytest.raises(OutcomeUnknown):
        refresh(f"http://127.0.0.1:{port}/v1", AppCredentials("id", "secret"), pair, now=now)
