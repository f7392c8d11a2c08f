"""The people who can sign in, and what each may do.

Any password does. They stand for the cases a client has to tell apart: the owner of the account, a
role that may not touch contacts, and a person who belongs to another account.
"""

from dataclasses import dataclass, field

from ccexport.sandbox.behaviour import OWNER

_ALL = (
    "account:read",
    "account:update",
    "campaign:create",
    "contacts:lists:read",
    "contacts:lists:write",
    "contacts:read",
    "contacts:write",
)
_CREATOR = ("account:read", "campaign:create", "contacts:lists:read")


@dataclass(frozen=True)
class Person:
    """A user of an account; `privileges` are the names the API's operations ask for."""

    email: str
    first_name: str
    role: str
    account_id: str = "p07e1sandbox"
    organization: str = "Sandbox Traders"
    privileges: tuple[str, ...] = field(default=_ALL)


PEOPLE: dict[str, Person] = {
    person.email: person
    for person in (
        Person(OWNER, "Olivia", "account owner"),
        Person("creator@example.com", "Cleo", "campaign creator", privileges=_CREATOR),
        Person(
            "other@example.com",
            "Oscar",
            "owner of another account",
            account_id="p99x9another",
            organization="Another Company",
        ),
    )
}
