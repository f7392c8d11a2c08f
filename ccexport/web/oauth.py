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

from ccexport.assembly import Parts
from ccexport.errors import CcexportError, RetryableError
from ccexport.redaction import with_their_words
from ccexport.services.sign_ins import COOKIE_SECONDS, SignIns, cookie_name
from ccexport.web.attempts import FailedAttempts
from ccexport.web.plain_page import plain_page

log = logging.getLogger(__name__)

MAX_PARAMETER_CHARACTERS = 4_096
_COOKIE_PATH = "/oauth"
_TOO_MANY = (
    "Too many sign-ins from here have failed. Nothing was stored. Wait a few minutes, then open Settings > "
    "Connections and start the sign-in again."
)


def oauth_routes(get_parts: Callable[[], Parts], failures: FailedAttempts) -> list[Route]:
    """`/oauth/start/<ticket>` and `/oauth/callback`, the redirect address registered at Constant Contact."""

    @_held_back(failures)
    def start(request: Request) -> Response:
        parts = get_parts()
        try:
            departure = SignIns(parts).start(request.path_params["ticket"])
        except CcexportError as error:
            return _refusal("The sign-in cannot begin", error)
        answer = RedirectResponse(departure.url, 302, {"Cache-Control": "no-store"})
        answer.set_cookie(
            departure.cookie_name,
            departure.cookie_value,
            max_age=COOKIE_SECONDS,
            path=_COOKIE_PATH,
            secure=urlsplit(parts.settings.public_url).scheme == "https",
            httponly=True,
            samesite="lax",
        )
        return answer

    @_held_back(failures)
    def callback(request: Request) -> Response:
        params = {k: v[:MAX_PARAMETER_CHARACTERS] for k, v in request.query_params.items()}
        try:
            connection = SignIns(get_parts()).finish(params, request.cookies)
        except CcexportError as error:
            answer: Response = _refusal("Not connected", error)
        else:
            log.info("connection %d signed in", connection.id)
            target = "/connections?" + urlencode({"connected": connection.name})
            answer = RedirectResponse(target, 303, {"Cache-Control": "no-store"})
        if (cookie := cookie_name(params.get("state", ""))) in request.cookies:
            answer.delete_cookie(cookie, path=_COOKIE_PATH)
        return answer

    return [
        Route("/oauth/start/{ticket}", start, methods=["GET"]),
        Route("/oauth/callback", callback, methods=["GET"]),
    ]


Handler = Callable[[Request], Response]


def _held_back(failures: FailedAttempts) -> Callable[[Handler], Handler]:
    """Who keeps failing has to wait: nobody finds a ticket or a state by trying, nor fills the log."""

    def hold_back(handle: Handler) -> Handler:
        def held_back(request: Request) -> Response:
            if request.method == "HEAD":  # a look, not a visit: the ticket is for the visit
                return Response(status_code=405)
            address = request.client.host if request.client else ""
            if seconds := ceil(failures.seconds_to_wait(address)):
                answer: Response = plain_page("Too many attempts", _TOO_MANY, 429)
                answer.headers["Retry-After"] = str(seconds)
                return answer
            answer = handle(request)
            if answer.status_code == 400:
                failures.failed(address)
            return answer

        return held_back

    return hold_back


def _refusal(title: str, error: CcexportError) -> Response:
    """400, or 502 where it was Constant Contact that did not manage."""
    log.warning("%s: %s", title, error)
    text = with_their_words(str(error), error.detail)
    if not isinstance(error, RetryableError):
        return plain_page(title, text, 400)
    return plain_page(title, f"{text} Nothing was stored.", 502)
