"""What must follow a fault, as the fault matrix says it: outcomes, and rows of them by kind of fault."""

from __future__ import annotations

from dataclasses import dataclass

from tests.faults.calls import (
    ACTIVITIES,
    ACTIVITY,
    ASK,
    CREATE,
    EXCHANGE,
    FOLLOW,
    GROUPS,
    IMPORT,
    JOB,
    LIST,
    OFF_A_LIST,
    RENEW,
    RIGHTS,
    RUN_GROUPS,
    WHOSE,
)

BY_ITSELF, AFTER_SIGN_IN, ENDED = "goes on by itself", "goes on after a sign-in", "ended"
AGAIN = "done when done again"
QUOTA, QUEUE, SERVICE, SIGN_IN = "quota", "queue", "service", "sign_in"


@dataclass(frozen=True)
class Outcome:
    """What must follow: of a run its state, of a command `done` or `refused`.

    `requests` are those of the call while the fault lasts. `says` is what a person reads, with {purpose} for what was
    to be done. `then` is what follows once the fault is over.
    """

    state: str
    waits_for: str | None
    requests: int
    says: str
    then: str


Row = dict[str, Outcome]  # by a call's name, else by its group


def waits(reason: str, requests: int, says: str, then: str = BY_ITSELF) -> Outcome:
    return Outcome("waiting", reason, requests, says, then)


def fails(requests: int, says: str) -> Outcome:
    return Outcome("failed", None, requests, says, ENDED)


def not_kept(says: str) -> str:
    """A refusal of a sign-in of which it could not be found out whose it is."""
    return (
        f"{says} Whose account it is could not be read, so the new sign-in is not kept, and with it Constant Contact "
        "may have ended the one before. Sign in again once Constant Contact answers."
    )


def refused(requests: int, says: str) -> Outcome:
    return Outcome("refused", None, requests, says, AGAIN)


def goes_well(requests: int = 1) -> Row:
    """Nobody notices."""
    run = Outcome("succeeded", None, requests, "", ENDED)
    done = Outcome("done", None, requests, "", ENDED)
    return {group: run if group in RUN_GROUPS else done for group in GROUPS}


def everywhere(of_runs: Outcome, of_commands: Outcome) -> Row:
    return {group: of_runs if group in RUN_GROUPS else of_commands for group in GROUPS}


_CHANGE = "Change what its own words name, and run again."
_AGAIN = "It is tried again."
_UNKNOWN = (
    "so it is not known whether it did {purpose}. This is looked up before it is tried again."
)
_SIGN_IN_AGAIN = (
    'Constant Contact no longer accepts the sign-in of "Marketing". Sign in again: open Settings '
    "> Connections and select "
    'Authenticate, or run `connections add "Marketing" --agree`. Runs that wait for it then '
    "continue by themselves."
)
_REJECTED = (
    "Constant Contact no longer accepts the sign-in of this connection. Open Settings > "
    "Connections, choose it and select "
    "Authenticate; the run then continues by itself."
)
_APPLICATION = (
    "Constant Contact does not accept the application's id or secret. Compare "
    "CCEXPORT_CC_CLIENT_ID and "
    "CCEXPORT_CC_CLIENT_SECRET with the developer portal, where a new secret ends the old one."
)
_SETTINGS = (
    "Constant Contact refused to {purpose} (%s). Compare the application's settings in the "
    "developer portal (redirect "
    "address, kind of sign-in) with those of this installation."
)
_NO_ANSWER_OF_ITS_OWN = (
    "Constant Contact's sign-in service gives an answer that is none (%d). Try again in a few "
    "minutes; if it stays so, "
    "compare CCEXPORT_CC_AUTH_URL with the documentation."
)
_RENEWED_ONCE_MORE = "The renewal is tried once more."
_NONE_ACCEPTED = (
    "Constant Contact accepted none of the files. Their words are with each batch; then run the "
    "export again."
)
_TOO_OFTEN = "Constant Contact asks for fewer requests a second. It goes on in a moment."
_USED_UP = "Constant Contact's requests of this day are used up. It goes on after 00:00 UTC."
_FULL = "The account's queue at Constant Contact is full. It goes on when some of its work is done."
_BUSY_SIGN_IN = "Constant Contact asks for fewer sign-ins a second. Wait a moment and try again."
_START_AGAIN = "Start the sign-in again."
_DENIED = "Request forbidden due to insufficient user privileges."
DEACTIVATED = (
    "Constant Contact does not serve this application at present. Look in the developer portal "
    "whether the application is "
    "deactivated."
)
LACKS = (
    "The user who signed in at Constant Contact lacks contacts:write. Sign in as the account's "
    "owner or an account manager: "
    "Settings > Connections, Authenticate."
)
NOT_GRANTED = (
    "The sign-in did not grant contact_data. Open Settings > Connections, choose the connection, "
    "select Authenticate and "
    "allow everything asked for."
)
UNEXPLAINED = (
    "The user who signed in at Constant Contact has the rights an export needs, yet was denied. "
    "Sign in as the account's "
    "owner or an account manager; if that changes nothing, look in the developer portal whether "
    "the application is "
    "restricted."
)
_HALVINGS = 5  # three rows: the file, its halves, and the halves of the larger one


def theirs(ours: str, words: str) -> str:
    return f'{ours} Constant Contact says: "{words}"' if words else ours


def refusal(status: int, key: str, words: str) -> Row:
    """For good: what was to be done ends, and a person reads Constant Contact's own words."""
    code = f"{status} {key}".strip()
    plain = theirs(f"Constant Contact refused to {{purpose}} ({code}). {_CHANGE}", words)
    unseen = (
        f"Constant Contact does not show what became of the files ({status}). It is asked again."
    )
    return everywhere(fails(1, plain), refused(1, plain)) | {
        IMPORT: fails(_HALVINGS, _NONE_ACCEPTED),
        FOLLOW: waits(SERVICE, 1, theirs(unseen, words)),
        **not_of_the_sign_in_service(status),
    }


def not_of_the_sign_in_service(status: int) -> Row:
    says = _NO_ANSWER_OF_ITS_OWN % status
    return {RENEW: waits(SERVICE, 3, says), EXCHANGE: refused(1, says)}


def of_the_sign_in_service(code: str, words: str) -> Row:
    says = theirs(_SETTINGS % code, words)
    return {RENEW: fails(1, says), EXCHANGE: refused(1, says)}


def rejected_sign_in(words: str) -> Row:
    """A new token is taken once; then a person has to sign in."""
    says = theirs(_REJECTED, words)
    return everywhere(waits(SIGN_IN, 2, _REJECTED, AFTER_SIGN_IN), refused(2, says)) | {
        WHOSE: refused(1, says),
        **refused_application(words),
    }


def ended_sign_in(words: str) -> Row:
    """Final: the token endpoint is not asked again, a person has to sign in."""
    return {
        RENEW: waits(SIGN_IN, 1, _SIGN_IN_AGAIN, AFTER_SIGN_IN),
        EXCHANGE: refused(
            1, theirs(f"The sign-in took too long or was used before. {_START_AGAIN}", words)
        ),
    }


def refused_application(words: str) -> Row:
    says = theirs(_APPLICATION, words)
    return {RENEW: fails(1, says), EXCHANGE: refused(1, says)}


def denied(explained: str) -> Row:
    """A run that has sent nothing ends; one that has sent something waits until a person has "
    "signed in anew."""
    says = theirs(explained, _DENIED)
    return everywhere(fails(1, says), refused(1, says)) | {
        FOLLOW: waits(SIGN_IN, 1, says, AFTER_SIGN_IN),
        RIGHTS: refused(1, theirs(DEACTIVATED, _DENIED)),
        **not_of_the_sign_in_service(403),
    }


def not_found() -> Row:
    words = "The requested resource was not found."
    plain = (
        "Constant Contact did not find what was needed to {purpose}: it was deleted there, or the "
        "id is wrong. Choose again "
        "among what the account holds now."
    )
    stopped = (
        f"{plain} 3 of 3 contacts were not sent. Change what this names, then run the export again."
    )
    unseen = "Constant Contact does not show what became of the files (404). It is asked again."
    return everywhere(fails(1, theirs(plain, words)), refused(1, theirs(plain, words))) | {
        LIST: fails(
            1,
            'Constant Contact knows no list "Spring buyers" '
            "(5f0c1e70-9d7a-4a52-8f43-0d1b6a3c2e11). Choose another list for "
            "the export.",
        ),
        IMPORT: fails(1, stopped),
        FOLLOW: waits(SERVICE, 1, theirs(unseen, words)),
        ACTIVITY: fails(1, _NONE_ACCEPTED),
        **not_of_the_sign_in_service(404),
    }


def conflict() -> Row:
    beside = f"Constant Contact could not {{purpose}} beside something else that it was doing (409). {_AGAIN}"
    return everywhere(waits(SERVICE, 3, beside), refused(3, beside)) | {
        IMPORT: waits(SERVICE, 1, beside),
        OFF_A_LIST: refused(1, beside),
        CREATE: refused(
            1, 'The account has a list "New" already. Refresh the lists and choose it.'
        ),
        **not_of_the_sign_in_service(409),
    }


def too_often() -> Row:
    return everywhere(waits(SERVICE, 3, _TOO_OFTEN), refused(3, _TOO_OFTEN)) | busy_sign_in()


def busy_sign_in() -> Row:
    return {RENEW: waits(SERVICE, 5, _BUSY_SIGN_IN), EXCHANGE: refused(5, _BUSY_SIGN_IN)}


def used_up() -> Row:
    return everywhere(waits(QUOTA, 1, _USED_UP), refused(1, _USED_UP)) | busy_sign_in()


def queue_full() -> Row:
    """What makes an activity waits for the queue; elsewhere it can only be about the requests of "
    "a second."""
    return too_often() | {IMPORT: waits(QUEUE, 1, _FULL), JOB: refused(1, _FULL)}


def trouble(what: str, *, of_sign_in: Row, requests: int = 3, carried_out: bool = False) -> Row:
    """Theirs, or the network's. Reads are repeated; what may have been done is looked up before "
    "it is done again."""
    again, unknown = f"{what}. {_AGAIN}", f"{what}, {_UNKNOWN}"
    created = Outcome("done", None, 1, "", ENDED)
    return everywhere(waits(SERVICE, requests, again), refused(requests, again)) | {
        IMPORT: waits(SERVICE, 1, unknown),
        CREATE: created if carried_out else refused(1, unknown),
        OFF_A_LIST: refused(1, unknown),
        **of_sign_in,
    }


def trouble_of_sign_in(status: int) -> Row:
    says = f"Constant Contact's sign-in service has trouble of its own ({status}). Try again in a few minutes."
    return {RENEW: waits(SERVICE, 3, says), EXCHANGE: refused(1, says)}


def lost_sign_in(why: str, *, spent: bool, then: str = BY_ITSELF) -> Row:
    """The renewal is tried once more at once; a spent token then means that a person has to sign "
    "in."""
    what = f"Constant Contact's sign-in service did not answer ({why})."
    renewal = (
        waits(SIGN_IN, 2, _SIGN_IN_AGAIN, AFTER_SIGN_IN)
        if spent
        else waits(SERVICE, 2, f"{what} {_RENEWED_ONCE_MORE}", then)
    )
    return {RENEW: renewal, EXCHANGE: refused(1, f"{what} {_START_AGAIN}")}


def nonsense(why: str, *, carried_out: bool = False) -> Row:
    return trouble(
        f"Constant Contact's answer could not be read ({why})",
        of_sign_in=lost_sign_in("its answer was not usable (no token in it)", spent=carried_out),
        requests=1,
        carried_out=carried_out,
    )


def no_addresses(download: str) -> Row:
    """A file of addresses without addresses is no empty list."""
    says = "Constant Contact's export holds no column of email addresses. Its format has changed: report this."
    return {download: refused(1, says)}


def unimpressed(*calls: str) -> Row:
    """Calls whose answers hold nothing that one could not do without."""
    well = goes_well()
    return {name: well[FOLLOW] if name == ACTIVITIES else well[ASK] for name in calls}
