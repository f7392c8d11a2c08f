"""What people are told, in words: what happened, to which export, what to do, where. Pure.

One source: HTML, out of which Apprise makes plain text, Slack's marks and Teams' for who wants them. Names of exports
and connections are the only things in it that somebody typed in; they are escaped, and an address among them is masked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from ccexport.redaction import redact
from ccexport.states import Told
from ccexport.telling.links import link_of
from ccexport.words import counted

MAX_NAMED = 20  # exports in one message
FOOT = "Sent by ccexport; who is told what is set under Settings &gt; Notifications."


@dataclass(frozen=True)
class Message:
    """One message, whatever it goes to."""

    title: str
    html: str


@dataclass(frozen=True)
class _Words:
    one: str  # completes the name of an export
    many: str  # completes "12 exports "
    to_do: str


_AGAIN = "The run goes on by itself then."
WORDS: dict[tuple[Told, str], _Words] = {
    (Told.FAILED, ""): _Words(
        "failed",
        "failed",
        "Open the run: it says why and what to do. Its next run is told only if that ends another way.",
    ),
    (Told.COMPLETED_WITH_ERRORS, ""): _Words(
        "ended, some contacts were not accepted",
        "ended, some contacts were not accepted",
        "Open the run to see which, and select Retry to send them again.",
    ),
    (Told.NEEDS_PERSON, "sign_in"): _Words(
        "waits for a sign-in",
        "wait for a sign-in",
        f"Open Settings > Connections, choose the connection and select Authenticate. {_AGAIN}",
    ),
    (Told.NEEDS_PERSON, "approval"): _Words(
        "waits for an approval",
        "wait for an approval",
        f"Open the run: it says for what, and who gives it. {_AGAIN}",
    ),
    (Told.NEEDS_PERSON, ""): _Words(
        "waits for a person", "wait for a person", f"Open the run: it says for what. {_AGAIN}"
    ),
    (Told.RECOVERED, ""): _Words("is well again", "are well again", "Nothing is to be done."),
    (Told.SUCCEEDED, ""): _Words("succeeded", "succeeded", "Nothing is to be done."),
    (Told.OVERDUE, ""): _Words(
        "is overdue: its time has passed and no run began",
        "are overdue: their time has passed and no run began",
        "Open Settings > System and see whether a worker is there, then Runs for what is before it.",
    ),
    (Told.SIGN_IN_EXPIRES, ""): _Words(
        "loses its sign-in soon: nobody has used it for months",
        "lose their sign-in soon: nobody has used them for months",
        "Open Settings > Connections and select Authenticate, or remove the connection.",
    ),
}
_ALONE: dict[Told, tuple[str, str]] = {
    Told.REFRESH_FAILED: (
        "The refresh of the segments failed",
        "No export that runs with it was queued. Open Settings > Refresh: it says why and what to do.",
    ),
    Told.WORKER_MISSING: (
        "No worker is there",
        "Work is due and nobody does it. Start one with: python -m ccexport worker",
    ),
}
_TEST = "Messages of ccexport arrive here. Nothing is to be done."


def compose(
    what: Told, reason: str, bodies: Sequence[Mapping[str, Any]], message_id: str, public_url: str
) -> Message:
    """One message about one or several tellings of a kind."""
    if what in _ALONE:
        said, to_do = _ALONE[what]
        return _message(
            said, to_do, [("Open the page", link_of(bodies[-1], public_url))], message_id
        )
    words = WORDS.get((what, reason)) or WORDS[what, ""]
    names = [_name(body) for body in bodies]
    distinct = list(dict.fromkeys(names))
    if len(distinct) == 1:
        said = f"{distinct[0]} {words.one}"
    else:
        kind = "connection" if what is Told.SIGN_IN_EXPIRES else "export"
        said = f"{counted(len(distinct), kind)} {words.many}"
    links = [
        (_label(name, body), link_of(body, public_url))
        for name, body in zip(names, bodies, strict=True)
    ]
    return _message(said, words.to_do, links, message_id)


def compose_test(public_url: str) -> Message:
    """What `notifications test` sends."""
    return _message("A test", _TEST, [("Open the dashboard", public_url)], "")


def _message(said: str, to_do: str, links: Sequence[tuple[str, str]], message_id: str) -> Message:
    items = "".join(  # the address itself is seen, since plain text has no other
        f'<li>{escape(label)}: <a href="{escape(url)}">{escape(url)}</a></li>'
        for label, url in links[:MAX_NAMED]
    )
    if len(links) > MAX_NAMED:
        items += f"<li>and {len(links) - MAX_NAMED:,} more</li>"
    id_words = f" Message {escape(message_id)}." if message_id else ""
    return Message(
        title=f"ccexport: {said}",
        html=f"<p><strong>{escape(said)}.</strong></p><p>{escape(to_do)}</p><ul>{items}</ul><p>{FOOT}{id_words}</p>",
    )


def _name(body: Mapping[str, Any]) -> str:
    data = body["data"]
    name = str(data.get("export") or data.get("connection") or "")
    return f'"{redact(name)}"'


def _label(name: str, body: Mapping[str, Any]) -> str:
    run = body["data"].get("run")
    return f"Run {run} of {name}" if run is not None else name
