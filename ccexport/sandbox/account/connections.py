"""Which connection a request came over, so that a fault can break it.

ASGI has no way to reset a connection; uvicorn's protocol class does, since it knows the transport.
"""

import asyncio

from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

_OPEN: dict[tuple[str, int, str, int], asyncio.Transport] = {}


class KnownConnection(H11Protocol):
    """uvicorn's HTTP/1.1 protocol that leaves a note of its transport while it is open."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if self.client and self.server:
            self._key = (*self.client, self.server[0], self.server[1] or 0)
            _OPEN[self._key] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        _OPEN.pop(self._key, None)


def transport_of(scope: Scope) -> asyncio.Transport | None:
    """The transport a request came over; None where another server runs the app."""
    client, server = scope.get("client"), scope.get("server")
    if not client or not server:
        return None
    return _OPEN.get((client[0], client[1], server[0], server[1]))
