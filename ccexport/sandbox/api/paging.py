"""Pages of a collection: `limit`, opaque path-relative `next` links, and pages that are odd."""

import base64
import binascii
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, Response

from ccexport.sandbox.api.answers import invalid
from ccexport.sandbox.api.gate import Call


@dataclass(frozen=True)
class Place:
    """Where in which collection a request is: its query as first asked, and the start."""

    path: str
    query: Mapping[str, str]
    start: int = 0

    def limit(self, at_most: int, default: int = 50) -> int:
        """How many items the page holds; refused outside 1 to `at_most`."""
        text = self.query.get("limit", str(default))
        if not text.isdecimal() or not 1 <= int(text) <= at_most:
            raise invalid(f"limit must be between 1 and {at_most}")
        return int(text)

    def link_to(self, start: int) -> str:
        """The link to the page that starts there; never twice the same."""
        inside = {"q": dict(self.query), "s": start, "n": secrets.token_hex(4)}
        text = base64.urlsafe_b64encode(json.dumps(inside).encode()).decode().rstrip("=")
        return f"{self.path}?cursor={text}"


def place_of(call: Call) -> Place:
    """Read a request's query or, with a cursor, the query the cursor came from."""
    query, path = dict(call.request.query_params), call.request.url.path
    if "cursor" not in query:
        return Place(path, query)
    text = query["cursor"]
    try:
        inside = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return Place(path, inside["q"], inside["s"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise invalid("cursor is not valid") from error


def page_of(
    call: Call, place: Place, key: str, items: list[Any], next_start: int | None, **more: Any
) -> Response:
    """One page; `next_start` is where the next one begins, None on the last."""
    links = {} if next_start is None else {"next": {"href": place.link_to(next_start)}}
    page: dict[str, Any] = {key: items, **more, "_links": links}
    fault = call.take("page")
    if fault is not None:
        _distort(page, fault.do, key, call, place)
    return JSONResponse(page)


def _distort(page: dict[str, Any], do: str, key: str, call: Call, place: Place) -> None:
    if do == "empty_page":
        page[key] = []
        page["_links"] = {"next": {"href": place.link_to(place.start)}}
    elif do == "no_links":
        del page["_links"]
    elif do == "null_links":
        page["_links"] = None
    elif do == "foreign_next":
        page["_links"] = {"next": {"href": f"https://elsewhere.example.com{place.link_to(0)}"}}
    else:
        url = call.request.url
        page["_links"] = {"next": {"href": f"{url.path}?{url.query}" if url.query else url.path}}
