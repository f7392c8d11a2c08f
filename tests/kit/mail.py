"""A mail server on this machine that keeps what it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from tests.kit.ports import free_port


class MailServer:
    """Takes messages, as long as `refuses` says nothing else."""

    def __init__(self) -> None:
        self.got: list[EmailMessage] = []
        self.refuses = ""  # such as "451 try later"
        self._controller = Controller(self, hostname="127.0.0.1", port=free_port())
        self._controller.start()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        if self.refuses:
            return self.refuses
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.got.append(message)
        return "250 taken"

    @property
    def url(self) -> str:
        """As Apprise writes it, without encryption, since it is on this machine."""
        port = self._controller.port
        return (
            f"mailto://127.0.0.1:{port}?mode=insecure&from=ccexport@example.com&to=team@example.com"
        )

    @property
    def subjects(self) -> list[str]:
        return [str(message["Subject"]) for message in self.got]

    def end(self) -> None:
        self._controller.stop()


def parts_of(message: EmailMessage) -> tuple[str, str]:
    """What a mail says, as plain text and as HTML."""
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    return plain.get_content(), html.get_content()


@pytest.fixture
def mail() -> Iterator[MailServer]:
    server = MailServer()
    yield server
    server.end()
