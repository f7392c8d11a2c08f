"""One request of each kind, as the tests of this room use them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import requests
import responses

from ccexport.constantcontact import protocol
from ccexport.constantcontact.answers import Answer, Request
from ccexport.constantcontact.client import Client

LIST = "04fe9a97-a579-43c5-bb1a-58ed29bf0a6a"
GET = protocol.build_get_list(LIST)
IMPORT = protocol.build_file_import("run1-0001.csv", b"email\r\n", [LIST])
REMOVAL = protocol.build_remove_list_memberships(LIST, ["c1"])
CREATE = protocol.build_create_list("Spring buyers")
ALL_REQUESTS = {
    "account": protocol.build_account_summary(),
    "privileges": protocol.build_user_privileges(),
    "lists": protocol.build_get_lists(include_counts=True),
    "list": GET,
    "create": CREATE,
    "fields": protocol.build_custom_fields(),
    "import": IMPORT,
    "activity": protocol.build_activity("a1"),
    "activities": protocol.build_activities(),
    "remove": REMOVAL,
    "contacts": protocol.build_contacts(email="ana+x@example.com"),
    "counts": protocol.build_contact_counts(),
    "export": protocol.build_contact_exports(LIST),
    "download": protocol.build_contact_export("e1"),
}


def answer_with(request: Request, data: object, status: int = 200) -> Answer:
    """An answer whose body is `data` as JSON."""
    return Answer(request, status, {}, json.dumps(data).encode())


API = "https://api.example.test/v3"
NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)
ACTIVITY = {"activity_id": "a1", "state": "initialized", "source_file_name": "run1-0001.csv"}


class World:
    """A client with everything around it recorded."""

    def __init__(self) -> None:
        self.token = "first-token"
        self.rejected: list[str] = []
        self.paced: list[str] = []
        self.slept: list[float] = []
        self.client = Client(
            API,
            lambda: self.token,
            self.renew,
            self.paced.append,
            sleep=self.slept.append,
            now=lambda: NOW,
        )

    def renew(self, rejected: str) -> str:
        self.rejected.append(rejected)
        self.token = "second-token"
        return self.token


def sent(api: responses.RequestsMock) -> list[requests.PreparedRequest]:
    return [call.request for call in api.calls]


def bearers(api: responses.RequestsMock) -> list[str]:
    return [request.headers["Authorization"] for request in sent(api)]
