"""Every error of ours, grouped by what the reader should do about it.

    CcexportError
    ├── SetupError            a person must act; the message is one line: what happened, what to do
    │   ├── UsageError        the command or form was filled in wrongly (exit code 2)
    │   ├── SettingError      a setting is out of range
    │   ├── SourceError       the source of profiles cannot be read as it is
    │   │   └── SourceUnavailable   … just now: also a RetryableError, so that a run waits and reads again
    │   ├── MappingError      the field mapping does not fit
    │   ├── StoreError        the store cannot be used as it is
    │   ├── NotFound          nothing of that name
    │   ├── Conflict          the name is taken, or somebody was faster
    │   ├── NotAllowed        the person's role does not reach; the message says who may
    │   ├── NeedsAdministrator   an administrator has to act for a connection; its runs wait until then
    │   └── ConstantContactRefused   a request was refused for good (most 4xx)
    │       ├── NotConnected         the sign-in is no longer accepted
    │       ├── AccessDenied         privilege or scope missing, or the application deactivated
    │       ├── ApplicationRefused   the application's id, secret or settings are not accepted
    │       └── NotFoundThere        Constant Contact knows no such list, activity, …
    └── RetryableError        the worker tries again by itself
        ├── RateLimited       more than so many requests a second; wait a moment
        ├── QuotaExceeded     the day's requests are used up; resumes after 00:00 UTC
        ├── QueueFull         the account's queue of activities is full
        ├── ServiceTrouble    5xx, gateway page, nonsense in the answer
        │   └── InTheWay      409: beside something else that it was doing
        └── OutcomeUnknown    the request may or may not have arrived

A profile that is left out is a value (`states.Rejection`), not an exception. Anything else is a bug of ours.
No message holds a token, a secret or an address.
"""

from __future__ import annotations


class CcexportError(Exception):
    """Base of all errors of ours. `detail`: Constant Contact's own words, where it said any."""

    detail: str = ""


class SetupError(CcexportError):
    """A person must act. The message is one line that says what happened and what to do."""


class UsageError(SetupError):
    """The command or form was filled in wrongly."""


class SettingError(SetupError):
    """A setting holds what it should not."""


class SourceError(SetupError):
    """The source of profiles cannot be read as it is."""


class MappingError(SetupError):
    """The field mapping does not fit the source or the account."""


class StoreError(SetupError):
    """The store cannot be used as it is."""


class NotFound(SetupError):
    """Nothing of that name or number."""


class Conflict(SetupError):
    """The name is taken, or another run or person was faster."""


class NotAllowed(SetupError):
    """The person's role does not reach. The message says who may."""


class NeedsAdministrator(SetupError):
    """An administrator has to act for a connection. Its runs wait and go on by themselves afterwards."""


class ConstantContactRefused(SetupError):
    """Constant Contact refused a request for good.

    `status` is the HTTP status, `error_key` theirs (or ""), `request_id` theirs (or ""). Their own words are in
    `detail` and not in the message: they can quote contact data.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        error_key: str = "",
        detail: str = "",
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error_key = error_key
        self.detail = detail
        self.request_id = request_id


class NotConnected(ConstantContactRefused):
    """The sign-in is not, or no longer, accepted: a person has to sign in again."""


class AccessDenied(ConstantContactRefused):
    """A privilege or scope is missing, or the application was deactivated."""


class ApplicationRefused(ConstantContactRefused):
    """The sign-in service refuses the application: its id, secret or settings. Says nothing about any other request."""


class NotFoundThere(ConstantContactRefused):
    """Constant Contact knows nothing by this id."""


class RetryableError(CcexportError):
    """Not lasting: the worker tries again by itself. `retry_after_seconds` where the service said so."""

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class SourceUnavailable(SourceError, RetryableError):
    """The source is away, or written to, just now. A person who asks is told so; a run waits and reads again."""


class RateLimited(RetryableError):
    """Too many requests in this second."""


class QuotaExceeded(RetryableError):
    """The day's requests are used up, by our count or by theirs."""


class QueueFull(RetryableError):
    """The account has 1,000 activities queued."""


class ServiceTrouble(RetryableError):
    """The service is down or answers nonsense; nothing was done by the request as far as the answer tells."""


class InTheWay(ServiceTrouble):
    """409: something else that the service was doing stands in the way. Where it stays so, it is a refusal."""


class OutcomeUnknown(RetryableError):
    """No usable answer came: the request may or may not have been carried out. Look before sending again."""
