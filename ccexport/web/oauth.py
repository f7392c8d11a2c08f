"""Start and return of the sign-in at Constant Contact: one request, one exchange, not a page that may run twice.

The handlers are plain functions: Starlette runs them in a thread, so an exchange that takes long holds nobody up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import ceil
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ccexport.constantcontact.auth import is_prefetch
from ccexport.errors import CcexportError, NotAllowed, RetryableError
from ccexport.installation import Installation
from ccexport.redaction import with_their_words
from ccexport.services.connections.sign_ins import COOKIE_SECONDS, SignIns
from ccexport.services.people.access import Person
from ccexport.web.attempts import FailedAttempts
from ccexport.web.plain_page import plain_page

log = logging.getLogger(__name__)

MAX_PARAMETER_CHARACTERS = 4_096
Who = Callable[[Request], Person]  # raises `NotAllowed` for one who is not signed in, or may not
_TOO_MANY = (
    "Too many sign-ins from here have failed. Nothing was stored. Wait a few minutes, then open Settings > "
    "Connections and start the sign-in again."
)


def oauth_routes(
    get_parts: Callable[[], Installation], who: Who, failures: FailedAttempts, base_path: str
) -> list[Route]:
    """`/oauth/start/<ticket>` and `/oauth/callback`, the redirect address registered at Constant Contact.

    Both ask who it is: only the person who made the ticket goes and comes back, and only as an administrator.
    """
    cookie_path = f"{base_path}/oauth"

    @_held_back(failures, base_path)
    def start(request: Request) -> Response:
        installation = get_parts()
        try:
            ticket = request.path_params["ticket"]
            departure = SignIns(installation).start(ticket, by=who(request))
        except CcexportError as error:
            return _refusal("The sign-in cannot begin", error, base_path)
        answer = RedirectResponse(departure.url, 302, {"Cache-Control": "no-store"})
        answer.set_cookie(
            departure.cookie_name,
            departure.cookie_value,
            max_age=COOKIE_SECONDS,
            path=cookie_path,
            secure=urlsplit(installation.settings.public_url).scheme == "https",
            httponly=True,
            samesite="lax",
        )
        return answer

    @_held_back(failures, base_path)
    def callback(request: Request) -> Response:
        params = {k: v[:MAX_PARAMETER_CHARACTERS] for k, v in request.query_params.items()}
        try:
            by = who(request)
            connection = SignIns(get_parts()).finish(params, request.cookies, by=by)
        except CcexportError as error:
            answer: Response = _refusal("Not connected", error, base_path)
        else:
            log.info("connection %d signed in", connection.id)
            target = f"{base_path}/connections?{urlencode({'connected': connection.name})}"
            answer = RedirectResponse(target, 303, {"Cache-Control": "no-store"})
        return answer  # the cookie stays its ten minutes: a second fetch of the same return is known by it

    return [
        Route(f"{base_path}/oauth/start/{{ticket}}", start, methods=["GET"]),
        Route(f"{base_path}/oauth/callback", callback, methods=["GET"]),
    ]


Handler = Callable[[Request], Response]


def _held_back(failures: FailedAttempts, base_path: str) -> Callable[[Handler], Handler]:
    """Who keeps failing has to wait: nobody finds a ticket or a state by trying, nor fills the log."""

    def hold_back(handle: Handler) -> Handler:
        def held_back(request: Request) -> Response:
            if request.method == "HEAD":  # a look, not a visit: the ticket is for the visit
                return Response(status_code=405)
            if is_prefetch(request.headers):  # the person will ask again
                return Response(status_code=503, headers={"Cache-Control": "no-store"})
            address = request.client.host if request.client else ""
            if seconds := ceil(failures.seconds_to_wait(address)):
                answer: Response = plain_page(
                    "Too many attempts", _TOO_MANY, 429, base_path=base_path
                )
                answer.headers["Retry-After"] = str(seconds)
                return answer
            answer = handle(request)
            if answer.status_code in (400, 403):
                failures.failed(address)
            return answer

        return held_back

    return hold_back


def _refusal(title: str, error: CcexportError, base_path: str) -> Response:
    """400, 403 where the person may not, or 502 where it was Constant Contact that did not manage."""
    log.warning("%s: %s", title, error)
    text = with_their_words(str(error), error.detail)
    if isinstance(error, RetryableError):
        return plain_page(title, f"{text} Nothing was stored.", 502, base_path=base_path)
    status = 403 if isinstance(error, NotAllowed) else 400
    return plain_page(title, text, status, base_path=base_path)
