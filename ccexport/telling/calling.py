"""One call to an address that somebody typed in: nowhere private, nowhere else by a redirect, limited in size and time.

The address is looked up once, what it resolves to is checked, and that very address is connected to: a name that
resolves to another one on a second look gains nothing. `http.client` follows no redirect and knows no proxy.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from ccexport.errors import UsageError

TIMEOUT_SECONDS = 10.0  # of the whole call
MAX_ANSWER_BYTES = 16_384


class NotReached(Exception):
    """There was no answer; the text says why, in our words."""


def check_url(url: str, whose: str = "webhook") -> None:
    """Raises `UsageError` for what is not an address to call; `whose` it is, for the message."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii():
        raise UsageError(f"The address of a {whose} begins with https:// or http:// and a host.")
    if parts.username is not None or parts.fragment or not url.isprintable() or " " in url:
        raise UsageError(f"The address of a {whose} has no user, fragment or blank in it.")


def post(url: str, headers: Mapping[str, str], body: bytes, allowed: str) -> int:
    """The status of the answer. Raises `NotReached`; `allowed` is what CCEXPORT_WEBHOOK_HOSTS holds."""
    return _call("POST", url, headers, body, allowed, TIMEOUT_SECONDS)


def get(url: str, allowed: str, timeout_seconds: float) -> int:
    """As `post`."""
    return _call("GET", url, {"User-Agent": "ccexport"}, b"", allowed, timeout_seconds)


def _call(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    allowed: str,
    timeout_seconds: float,
) -> int:
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    call = _Call(host, port, parts.scheme == "https", allowed, timeout_seconds)
    watch = threading.Timer(timeout_seconds, call.cut)  # an answer that drips for ever ends here
    watch.daemon = True  # a process that ends does not wait for it
    watch.start()
    try:
        target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        call.request(method, target, body=body or None, headers=dict(headers))
        answer = call.getresponse()
        if call.was_cut:  # the library takes headers that end in the middle for whole
            raise TimeoutError
        answer.read(MAX_ANSWER_BYTES)  # of no account: the status has said what became of it
        return answer.status
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotReached(_say(error, timeout_seconds, was_cut=call.was_cut)) from error
    finally:
        watch.cancel()
        call.close()


class _Call(http.client.HTTPConnection):
    def __init__(
        self, host: str, port: int, is_tls: bool, allowed: str, timeout_seconds: float
    ) -> None:
        super().__init__(host, port, timeout=timeout_seconds)
        self._timeout_seconds = timeout_seconds
        self._is_tls, self._allowed = is_tls, allowed
        self._socket: socket.socket | None = None
        self.was_cut = False

    def connect(self) -> None:
        address = _resolve(self.host, self.port, self._allowed)
        self._connected(socket.create_connection((str(address), self.port), self._timeout_seconds))
        if self._is_tls:
            context = ssl.create_default_context()
            wrapped = context.wrap_socket(
                self.sock, server_hostname=self.host, do_handshake_on_connect=False
            )
            self._connected(wrapped)  # the plain one can be cut no more
            wrapped.do_handshake()

    def _connected(self, by: socket.socket) -> None:
        """Note the socket, then ask whether the time is over; `cut` does the reverse, so one of them sees the other."""
        self.sock = self._socket = by
        if self.was_cut:
            raise TimeoutError

    def cut(self) -> None:
        """End it, whatever it waits for; from another thread."""
        self.was_cut = True
        if self._socket is not None:
            try:
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # below TLS, which is in use
            except OSError:  # it has ended
                return


def _resolve(host: str, port: int, allowed: str) -> IPv4Address | IPv6Address:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [ip_address(str(each[4][0]).partition("%")[0]) for each in found]
    for address in addresses:
        if not may_reach(host, address, allowed):
            raise NotReached(
                "The address is private. Name its host or network in CCEXPORT_WEBHOOK_HOSTS to allow it."
            )
    return addresses[0]


def may_reach(host: str, address: IPv4Address | IPv6Address, allowed: str) -> bool:
    """Whether an address is public, or allowed by its host's name or its network."""
    inner = _within(address)
    if inner.is_global and not inner.is_multicast:
        return True
    for text in filter(None, map(str.strip, allowed.split(","))):
        if text.casefold() == host.casefold():
            return True
        try:
            network = ip_network(text)
        except ValueError:  # the name of another host
            continue
        if inner in network:
            return True
    return False


def _within(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one carries, where it carries one."""
    if isinstance(address, IPv4Address):
        return address
    nat64 = ip_network("64:ff9b::/96")
    if address in nat64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _say(error: Exception, timeout_seconds: float, *, was_cut: bool) -> str:
    if was_cut or isinstance(error, TimeoutError):
        return f"There was no answer within {timeout_seconds:.0f} seconds."
    if isinstance(error, socket.gaierror):
        return "The name of the host is not known."
    if isinstance(error, ssl.SSLError):
        return "The certificate is not accepted."
    if isinstance(error, ConnectionRefusedError):
        return "The connection is refused."
    return "The connection ended without an answer."
