"""One message to one channel, by Apprise: which addresses there are, how they are shown, and a call that ends in time.

What a service answers may hold anything, so an error is a sentence of ours.
"""

from __future__ import annotations

import logging
import re
import threading
from typing import TYPE_CHECKING

from ccexport.errors import UsageError
from ccexport.redaction import redact
from ccexport.telling.messages import Message

if TYPE_CHECKING:
    import apprise

TIMEOUT_SECONDS = 30.0  # of the whole call
MAIL = ("mailto", "mailtos")
NOT_TAKEN = "The message was not taken."
_STATUS = re.compile(r"error=(\d{3})\b")
_UNREACHED = re.compile(r"connection error|socket|timed? ?out|refused", re.IGNORECASE)
_SECRET_PARTS = re.compile(r"[?#].*", re.DOTALL)  # options may hold anything


def check_address(url: str) -> str:
    """The address as people see it, its secrets masked. Raises `UsageError`."""
    plugin = _plugin(url)
    if plugin is None:
        raise UsageError(
            "That is not an address that Apprise knows. For mail: mailto://USER:PASSWORD@HOST?to=ADDRESS; "
            "for others see docs/notifications.md."
        )
    address: str = plugin.url(privacy=True)  # type: ignore[no-untyped-call]
    shown = _SECRET_PARTS.sub("", address)
    return f"{plugin.service_name}: {redact(shown)}"


def send(url: str, message: Message) -> str:
    """What went wrong, in our words; nothing where the message was taken. Comes back within `TIMEOUT_SECONDS`."""
    outcome: list[str] = []
    call = threading.Thread(
        target=lambda: outcome.append(_send(url, message)), name="notification", daemon=True
    )
    call.start()
    call.join(TIMEOUT_SECONDS)
    if call.is_alive():  # an answer that drips for ever is left to itself
        return f"There was no answer within {TIMEOUT_SECONDS:.0f} seconds."
    return outcome[0] if outcome else NOT_TAKEN


def _send(url: str, message: Message) -> str:
    import apprise

    try:
        plugin = _plugin(url)
        if plugin is None:
            return "Apprise does not know its address any more. Remove it and add it again."
        channel = apprise.Apprise(plugin, asset=plugin.asset)
        result = channel.notify(title=message.title, body=message.html, body_format="html")
    except Exception:  # noqa: BLE001  # of any of its many services; what it says may hold secrets
        return NOT_TAKEN
    return "" if result else _say(" ".join(entry.message for entry in result.logs()))


def _say(said: str) -> str:
    if status := _STATUS.search(said):
        return f"The service answers {status[1]}."
    return "The service is not reached." if _UNREACHED.search(said) else NOT_TAKEN


def _plugin(url: str) -> apprise.NotifyBase | None:
    import apprise  # only who tells needs it

    logging.getLogger("apprise").propagate = False  # it says addresses and tokens
    asset = apprise.AppriseAsset(
        app_id="ccexport",
        app_desc="ccexport",
        app_url="",
        async_mode=False,
        http_redirects=False,
        allow_templates=False,  # they are read from files
        service_timeout=0,  # ours counts
        image_url_mask="",  # of somebody else's host
        image_url_logo="",
    )
    if url.partition("://")[0].lower() in MAIL:
        return _mail(url, asset)
    return apprise.Apprise.instantiate(url, asset=asset)


def _mail(url: str, asset: apprise.AppriseAsset) -> apprise.NotifyBase | None:
    """As `instantiate` makes it, without the hundred other services: to import them takes 0.4 s from a run."""
    from apprise.plugins.email import NotifyEmail

    parts = NotifyEmail.parse_url(url)  # type: ignore[no-untyped-call]
    try:
        return NotifyEmail(**parts | {"asset": asset}) if parts else None  # type: ignore[no-untyped-call]
    except Exception:  # noqa: BLE001  # as there: an address that it makes nothing of
        return None
