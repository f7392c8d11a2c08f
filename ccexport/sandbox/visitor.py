"""A person who signs in at the stand-in without a browser; it has to be told to `auto_approve`."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: object) -> None:
        return None


def sign_in_at_once(url: str) -> Mapping[str, str]:
    """What the browser would bring back to the redirect address: `code` and `state`.

    Raises `ValueError` where the page at `url`, which is on this machine, does not redirect.
    """
    try:
        urllib.request.build_opener(_Stay).open(url, timeout=10).close()
    except urllib.error.HTTPError as answer:
        with answer:
            if answer.code in (302, 303):
                return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))
    raise ValueError("the stand-in does not sign in at once: set auto_approve")
