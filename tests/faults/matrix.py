"""The fault matrix: every call of ours by every fault by what must follow.

`python -m tests.faults.matrix > docs/faults.md` makes the document of it; `test_matrix.py` plays every cell against the
sandbox over HTTP. To change a cell is to change what ccexport promises.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

from tests.faults import outcomes as then
from tests.faults.calls import (
    ACTIVITIES,
    CALLS,
    COUNTS,
    CREATE,
    DOWNLOAD,
    FAULTS,
    RENEW,
    WHOSE,
    Call,
    Fault,
)
from tests.faults.outcomes import Outcome, Row

_BROKE = "the connection broke"
_UNAUTHORIZED = "Unauthorized"
_NO_ANSWER = "Constant Contact did not answer (%s)"
_NOT_VALID = "The request is not valid."
_SPENT = "The refresh token is invalid or expired."
_WRONG_SECRET = "Client authentication failed."


def _first_rows() -> dict[str, Row]:
    """Refusals: what was asked for is not done, and not asked for again as it is."""
    return {
        "400 array": then.refusal(400, "contacts.api.validation.error", _NOT_VALID),
        "400 object": then.refusal(400, "contacts.api.validation.error", "Not valid."),
        "400 gateway": then.refusal(400, "", "Bad Request"),
        "400 OAuth": then.refusal(400, "invalid_request", "Missing parameter.")
        | then.of_the_sign_in_service("400 invalid_request", "Missing parameter."),
        "400 HTML": then.refusal(400, "", ""),
        "400 empty": then.refusal(400, "", ""),
        "invalid_grant": then.refusal(400, "invalid_grant", _SPENT) | then.ended_sign_in(_SPENT),
        "invalid_client": then.rejected_sign_in(_WRONG_SECRET),
        "401 once": then.goes_well(2)
        | {WHOSE: then.rejected_sign_in(_UNAUTHORIZED)[WHOSE]}
        | then.refused_application(_UNAUTHORIZED),
        "401": then.rejected_sign_in(_UNAUTHORIZED),
        "403 privilege": then.denied(then.LACKS),
        "403 scope": then.denied(then.NOT_GRANTED) | {WHOSE: then.denied(then.UNEXPLAINED)[WHOSE]},
        "403 deactivated": then.denied(then.DEACTIVATED),
        "404": then.not_found(),
        "409": then.conflict(),
        "413": then.refusal(413, "", "Request Entity Too Large"),
        "415": then.refusal(415, "contacts.api.unsupported_media_type", "Unsupported."),
        "429 throttled": then.too_often(),
        "429 quota": then.used_up(),
        "429 queue": then.queue_full(),
        "429 unknown": then.queue_full(),
    }


def _further_rows() -> dict[str, Row]:
    """Trouble: it passes, and what may have been done is looked up before it is done again."""
    rows = {
        str(status): then.trouble(
            f"Constant Contact has trouble of its own ({status})",
            of_sign_in=then.trouble_of_sign_in(status),
        )
        for status in (500, 502, 503, 504)
    }
    broke = _NO_ANSWER % _BROKE
    silence = "no answer in time"
    late = then.lost_sign_in(silence, spent=False, then=then.AFTER_SIGN_IN)
    return rows | {
        "reset before": then.trouble(broke, of_sign_in=then.lost_sign_in(_BROKE, spent=False)),
        "reset after": then.trouble(
            broke, of_sign_in=then.lost_sign_in(_BROKE, spent=True), carried_out=True
        ),
        "lost": rows["504"]
        | {
            CREATE: then.goes_well()[CREATE],
            RENEW: then.lost_sign_in(_BROKE, spent=True)[RENEW],
        },
        "cut": then.trouble(
            broke, of_sign_in=then.lost_sign_in(_BROKE, spent=True), requests=1, carried_out=True
        ),
        "slow": then.goes_well(),
        "silent": then.trouble(_NO_ANSWER % silence, of_sign_in=late, requests=1),
        "empty": then.nonsense("not JSON") | then.no_addresses(DOWNLOAD),
        "truncated": then.nonsense("not JSON") | then.no_addresses(DOWNLOAD),
        "other document": then.nonsense("not {whole}") | then.no_addresses(DOWNLOAD),
        "wrong types": then.nonsense("without {needed}", carried_out=True)
        | then.unimpressed(ACTIVITIES, COUNTS, DOWNLOAD),
        "unknown fields": then.goes_well(),
    }


MATRIX: dict[str, Row] = _first_rows() | _further_rows()
# In which nobody knows whose the new sign-in is, and what became of the one before it.
_UNKNOWN_WHOSE = frozenset(
    {
        *("409", "429 throttled", "429 quota", "429 queue", "429 unknown"),
        *("500", "502", "503", "504", "reset before", "reset after", "lost", "cut", "silent"),
        *("empty", "truncated", "other document", "wrong types"),
    }
)


def cell(call: Call, fault: Fault) -> Outcome:
    """What must follow, in full words."""
    row = MATRIX[fault.name]
    outcome = row[call.name] if call.name in row else row[call.group]
    words = {"purpose": call.purpose, "whole": call.whole, "needed": call.needed}
    says = outcome.says.format(**words)
    if call.group == WHOSE and fault.name in _UNKNOWN_WHOSE:
        says = then.not_kept(says)
    return replace(outcome, says=says)


# --- the document ---------------------------------------------------------------------------------

HEAD = """# What happens when something goes wrong

Made by `python -m tests.faults.matrix > docs/faults.md`; a test plays every cell against the stand-in for Constant
Contact over HTTP (`tests/faults/test_matrix.py`), and another one compares this page with the table it is made of.

One section a call of ccexport's. While the fault lasts, a *run* is in the state given, and a *command* or page is
`done` or `refused`; *requests* are those of this call until then. *After it* says what follows once the fault is over:
a run that waits goes on by itself or after a person signed in again, and then adds up, with every file sent once. What
ended is run or done again by a person; nothing of it was sent, or the run says what was.

Waits for the service and for the queue grow up to a quarter of an hour; a run that waits for the day's requests goes on
after 00:00 UTC. When every answer is a 429 for five minutes, whatever its text, the day's requests are held to be used
up.
"""


def document() -> str:
    """The matrix as a page."""
    return HEAD + "".join(line for call in CALLS for line in _section(call))


def _section(call: Call) -> Iterator[str]:
    of = "" if call.is_of_a_run else " (a command or page)"
    yield f"\n## {call.name[0].upper()}{call.name[1:]}{of}\n\n`{call.request}`\n\n"
    yield "| fault | state | requests | what a person reads | after it |\n| --- | --- | --- | --- | --- |\n"
    for fault in FAULTS:
        outcome = cell(call, fault)
        state = f"`{outcome.state}`" + (f" `{outcome.waits_for}`" if outcome.waits_for else "")
        says = outcome.says or "nothing: nobody notices"
        yield f"| {fault.what} | {state} | {outcome.requests} | {says} | {outcome.then} |\n"


if __name__ == "__main__":
    sys.stdout.write(document())
