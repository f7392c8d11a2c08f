"""The account's contacts, kept small: a million of them in a few hundred megabytes.

A contact is a number. Its properties are one string, the values joined by a separator, beside the
(shared) tuple of their names. Not safe for threads: the account's lock is held around every call.
"""

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Sequence

Layout = tuple[str, ...]
SEPARATOR = "\x1f"
_MASK = (1 << 48) - 1
_STEP = 0x5DEECE66D  # odd, so that every number gets an id of its own
_STEP_BACK = pow(_STEP, -1, 1 << 48)


class ContactBook:
    """Contacts by email address; `deleted` and `opted_out` hold when, by number."""

    def __init__(self, seed: int) -> None:
        digest = hashlib.sha256(f"contacts {seed}".encode()).hexdigest()
        self._prefix = f"{digest[:8]}-{digest[8:12]}-4{digest[12:15]}-a{digest[15:18]}-"
        self._numbers: dict[str, int] = {}
        self._layouts: list[Layout] = []
        self._values: list[str] = []
        self._known_layouts: dict[Layout, Layout] = {(): ()}
        self.emails: list[str] = []  # "" for a contact that only has a number for SMS
        self.created: array[float] = array("d")
        self.updated: array[float] = array("d")
        self.deleted: dict[int, float] = {}
        self.opted_out: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self.emails)

    def find(self, email: str) -> int | None:
        """The number of the contact with this address, whatever its case."""
        return self._numbers.get(email.strip().lower())

    def add(self, email: str, now: float) -> int:
        """The contact with this address, made if there is none."""
        return self.upsert((), [(email.strip().lower(), "")], now)[0]

    def upsert(self, layout: Layout, rows: Sequence[tuple[str, str]], now: float) -> list[int]:
        """Store rows of (key, joined values) in order; give the contacts' numbers in that order.

        A key is a lower-cased address, or `sms:` and a phone number. Blank values leave what is
        there as it is. A deleted contact is active again.
        """
        layout = self._known_layouts.setdefault(layout, layout)
        numbers, emails = self._numbers, self.emails
        touched: list[int] = []
        for key, joined in rows:
            number = numbers.get(key)
            if number is None:
                number = numbers[key] = len(emails)
                emails.append("" if key.startswith("sms:") else key)
                self._layouts.append(layout)
                self._values.append(joined)
                self.created.append(now)
                self.updated.append(now)
            else:
                self._merge(number, layout, joined)
                self.updated[number] = now
            touched.append(number)
        if self.deleted:
            for number in touched:
                self.deleted.pop(number, None)
        return touched

    def _merge(self, number: int, layout: Layout, joined: str) -> None:
        values = joined.split(SEPARATOR)
        if self._layouts[number] is layout and "" not in values:
            self._values[number] = joined
            return
        properties = self.properties(number)
        for name, value in zip(layout, values, strict=bool(layout)):
            if value:
                properties[name] = value
        merged = tuple(properties)
        self._layouts[number] = self._known_layouts.setdefault(merged, merged)
        self._values[number] = SEPARATOR.join(properties.values())

    def properties(self, number: int) -> dict[str, str]:
        """Import names (`first_name`, `cf:tier`, …) and their values, without blank ones."""
        layout = self._layouts[number]
        if not layout:
            return {}
        pairs = zip(layout, self._values[number].split(SEPARATOR), strict=True)
        return {name: value for name, value in pairs if value}

    def stored(self, number: int) -> tuple[Layout, str]:
        """The names and the joined values, blank ones too, for those in a hurry."""
        return self._layouts[number], self._values[number]

    def contact_id(self, number: int) -> str:
        return f"{self._prefix}{number * _STEP & _MASK:012x}"

    def number_of(self, contact_id: str) -> int | None:
        """The contact with this id, None if there is none."""
        if not contact_id.startswith(self._prefix):
            return None
        try:
            number = int(contact_id[len(self._prefix) :], 16) * _STEP_BACK & _MASK
        except ValueError:
            return None
        return number if number < len(self.emails) else None

    def is_active(self, number: int) -> bool:
        return number not in self.deleted and number not in self.opted_out


class Members:
    """Which contacts are on one list: a byte per contact."""

    def __init__(self) -> None:
        self._flags = bytearray()

    def __len__(self) -> int:
        return self._flags.count(1)

    def __contains__(self, number: int) -> bool:
        return number < len(self._flags) and self._flags[number] == 1

    def __iter__(self) -> Iterator[int]:
        return self.from_number(0)

    def from_number(self, start: int) -> Iterator[int]:
        number = self._flags.find(1, start)
        while number >= 0:
            yield number
            number = self._flags.find(1, number + 1)

    def add(self, numbers: Iterable[int], how_many_contacts: int) -> None:
        """Put contacts on the list; `how_many_contacts` is how many the account has."""
        missing = how_many_contacts - len(self._flags)
        if missing > 0:
            self._flags.extend(bytes(missing))
        flags = self._flags
        for number in numbers:
            flags[number] = 1

    def remove(self, numbers: Iterable[int]) -> int:
        """Take contacts off the list; how many were on it."""
        removed = 0
        for number in numbers:
            if number in self:
                self._flags[number] = 0
                removed += 1
        return removed
