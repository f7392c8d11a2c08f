"""A stand-in of Dataverse's Web API and of Entra's token endpoint, written from their public pages; no code of ours.

Tables are served in pages of at most 5,000 rows, whatever is asked for, each with the address of the next one. What is
asked is noted; faults are played in the order in which they are given, one an answer.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

TENANT, CLIENT, SECRET = "contoso.example", "reader", "s3cret~of.the_app"
MOST = 5_000
BROKEN, NONSENSE = (
    1,
    2,
)  # beside the statuses of HTTP: an answer that stops half way, and one that is not JSON


@dataclass(frozen=True)
class Table:
    """Rows by their number; made as they are asked for."""

    count: int
    row: Callable[[int], Mapping[str, Any]]


@dataclass(frozen=True)
class Fault:
    """A status instead of the answer, with `Retry-After` where one is given."""

    status: int
    retry_after: str | None = None


@dataclass
class Organization:
    """What is there, what was asked, and what goes wrong next. `faults`: a number of an answer → what it is instead."""

    tables: dict[str, Table]
    faults: dict[int, Fault] = field(default_factory=dict)
    token_faults: deque[Fault] = field(default_factory=deque)
    most: int = MOST  # rows of a page
    next_host: str = ""  # where next pages are said to be, if it is not here
    asked: list[str] = field(default_factory=list)
    preferred: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    url: str = ""

    def environment(self) -> dict[str, str]:
        """The settings of an application that may read here."""
        return {
            "AZURE_AUTHORITY_HOST": self.url,
            "AZURE_TENANT_ID": TENANT,
            "AZURE_CLIENT_ID": CLIENT,
            "AZURE_CLIENT_SECRET": SECRET,
        }

    def sign_everybody_out(self) -> None:
        """No token that was given so far is accepted any more."""
        self.tokens.clear()


def rows_of(rows: Sequence[Mapping[str, Any]]) -> Table:
    """A table of rows that are there already."""
    return Table(len(rows), lambda number: rows[number])


@contextmanager
def running(organization: Organization) -> Iterator[Organization]:
    """Serve an organization on this machine."""

    class Handler(_Handler):
        here = organization

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    organization.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield organization
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    here: Organization
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        self.here.forms.append(form)
        if self.here.token_faults:
            self._fail(self.here.token_faults.popleft())
            return
        if self.path != f"/{TENANT}/oauth2/v2.0/token":
            self._answer(404, {})
        elif form.get("client_secret") != SECRET or form.get("client_id") != CLIENT:
            said = f"AADSTS7000215: Invalid client secret provided: {form.get('client_secret')}"
            document = {"error": "invalid_client", "error_description": said}
            self._answer(401, document | {"error_codes": [7000215]})
        else:
            token = f"token-{len(self.here.forms)}"
            self.here.tokens.add(token)
            self._answer(200, {"token_type": "Bearer", "expires_in": 3599, "access_token": token})

    def do_GET(self) -> None:
        here = self.here
        here.asked.append(self.path)
        here.preferred.append(self.headers.get("Prefer", ""))
        if (fault := here.faults.get(len(here.asked))) is not None:
            self._fail(fault)
            return
        if self.headers.get("Authorization", "").removeprefix("Bearer ") not in here.tokens:
            self._answer(401, {"error": {"code": "0x80040220", "message": "no token"}})
            return
        parts = urlsplit(self.path)
        name = parts.path.removeprefix("/api/data/v9.2/")
        if name not in here.tables:
            self._answer(404, {"error": {"message": f"Resource not found for '{name}'."}})
            return
        self._page(name, here.tables[name], parse_qs(parts.query))

    def _page(self, name: str, table: Table, query: Mapping[str, Sequence[str]]) -> None:
        prefer = self.headers.get("Prefer", "")
        size = min(int(prefer.partition("odata.maxpagesize=")[2] or MOST), self.here.most)
        selected = query.get("$select", [""])[0]
        columns = [column for column in selected.split(",") if column]
        known = table.row(0) if table.count else {}
        if table.count and not set(columns) <= set(known):
            self._answer(400, {"error": {"message": "Could not find a property"}})
            return
        first = int(unquote(query.get("$skiptoken", ["0"])[0]).rpartition("=")[2])
        until = min(first + size, table.count)
        rows = [self._row(table, number, columns) for number in range(first, until)]
        document: dict[str, Any] = {"@odata.context": f"{self.here.url}/$metadata#{name}"}
        document["value"] = rows
        if until < table.count:
            host = self.here.next_host or self.here.url
            token = quote(f"<cookie last={until}", safe="")
            select = f"$select={selected}&" if selected else ""
            document["@odata.nextLink"] = f"{host}/api/data/v9.2/{name}?{select}$skiptoken={token}"
        self._answer(200, document)

    def _row(self, table: Table, number: int, columns: Sequence[str]) -> dict[str, Any]:
        row = table.row(number)
        shown = {column: row[column] for column in columns} if columns else dict(row)
        return {"@odata.etag": f'W/"{number}"'} | shown

    def _fail(self, fault: Fault) -> None:
        if fault.status == NONSENSE:
            self._send(200, b"<html>please wait</html>", {})
        elif fault.status == BROKEN:
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b'{"value": [{"msdynci_customerid": "1", ')
            self.close_connection = True
        else:
            extra = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
            self._send(fault.status, b'{"error": {"message": "not now"}}', extra)

    def _answer(self, status: int, document: object) -> None:
        self._send(status, json.dumps(document).encode(), {})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json; odata.metadata=minimal")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
