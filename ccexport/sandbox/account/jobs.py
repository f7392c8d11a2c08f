"""What bulk activities do to the account when their time has come."""

from array import array
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from ccexport.sandbox.account.activities import Report, Troubles
from ccexport.sandbox.account.rows import ReadRows
from ccexport.sandbox.account.state import SandboxState

MAX_LISTS_PER_CONTACT = 50


@dataclass(frozen=True)
class Selection:
    """Which contacts a job is about."""

    contact_ids: tuple[str, ...] = ()
    list_ids: tuple[str, ...] = ()
    everybody_active: bool = False
    except_contact_ids: tuple[str, ...] = ()

    def numbers(self, state: SandboxState) -> list[int]:
        """Their numbers in order; hold the lock."""
        chosen = dict.fromkeys(self._chosen(state))
        for contact_id in self.except_contact_ids:
            number = state.contacts.number_of(contact_id)
            if number is not None:
                chosen.pop(number, None)
        return list(chosen)

    def _chosen(self, state: SandboxState) -> Iterable[int]:
        if self.everybody_active:
            return (n for n in range(len(state.contacts)) if state.contacts.is_active(n))
        if self.list_ids:
            lists = [state.lists.get(list_id) for list_id in self.list_ids]
            return (number for entry in lists if entry for number in entry.members)
        numbers = (state.contacts.number_of(contact_id) for contact_id in self.contact_ids)
        return (number for number in numbers if number is not None)


def import_rows(
    state: SandboxState, read: Callable[[], ReadRows], list_ids: list[str], troubles: Troubles
) -> Report:
    """Read and store the rows of an import, put their contacts on the lists, count."""
    rows = read()
    _reject(rows, troubles)
    end = troubles.get("end")
    opted_out: list[int] = []
    if end is None or end.apply:
        with state.lock:
            pairs = list(zip(rows.keys, rows.values, strict=True))
            numbers = state.contacts.upsert(rows.layout, pairs, state.clock())
            numbers = _without_full(state, rows, numbers, list_ids)
            opted_out = state.put_on_lists(numbers, list_ids)
    silent = troubles.get("rows")
    said = {} if silent and silent.do == "reject_rows_silently" else rows.errors
    lines = sorted({**rows.correctable, **said}.items())
    counters = {
        "items_total_count": rows.total + 1,
        "items_completed_count": rows.total + 1,
        "person_count": rows.total,
        "error_count": len(rows.errors),
        "correctable_count": len(rows.correctable),
        "cannot_add_to_list_count": len(opted_out),
    }
    return Report(counters, [f"Line {line}: {text}" for line, text in lines])


def _reject(rows: ReadRows, troubles: Troubles) -> None:
    fault = troubles.get("rows")
    if fault is None:
        return
    wanted = {line for line in fault.lines if line < rows.total + 2}
    for line in wanted:
        rows.correctable.pop(line, None)
        rows.errors[line] = fault.messages[0] if fault.messages else "contact was refused"
    kept = [i for i, line in enumerate(rows.lines) if line not in wanted]
    rows.keys = [rows.keys[i] for i in kept]
    rows.values = [rows.values[i] for i in kept]
    rows.lines = [rows.lines[i] for i in kept]


def _without_full(
    state: SandboxState, rows: ReadRows, numbers: list[int], list_ids: list[str]
) -> list[int]:
    """Leave out contacts that are on as many lists as one may be; each is an error of its row."""
    wanted = set(list_ids)
    others = [one.members for one in state.lists.all() if one.list_id not in wanted]
    others = [members for members in others if len(members)]
    if len(others) + len(wanted) <= MAX_LISTS_PER_CONTACT:
        return numbers
    most = MAX_LISTS_PER_CONTACT - len(wanted)
    kept = []
    for line, number in zip(rows.lines, numbers, strict=True):
        if sum(number in members for members in others) > most:
            rows.errors[line] = f"contact is on {MAX_LISTS_PER_CONTACT} lists"
        else:
            kept.append(number)
    return kept


def add_memberships(state: SandboxState, source: Selection, list_ids: list[str]) -> Report:
    with state.lock:
        numbers = source.numbers(state)
        for number in numbers:
            state.contacts.deleted.pop(number, None)
        state.put_on_lists(numbers, list_ids)
        _touch(state, numbers)
    return _membership_report(len(numbers), list_ids)


def remove_memberships(state: SandboxState, source: Selection, list_ids: list[str]) -> Report:
    with state.lock:
        numbers = source.numbers(state)
        for list_id in list_ids:
            entry = state.lists.get(list_id)
            if entry is not None:
                entry.members.remove(numbers)
        _touch(state, numbers)
    return _membership_report(len(numbers), list_ids)


def delete_contacts(state: SandboxState, source: Selection) -> Report:
    with state.lock:
        numbers = source.numbers(state)
        for entry in state.lists.all():
            entry.members.remove(numbers)
        now = state.clock()
        state.contacts.deleted.update(dict.fromkeys(numbers, now))
        _touch(state, numbers)
    return _membership_report(len(numbers), source.list_ids)


def export_contacts(
    state: SandboxState, source: Selection | None, status: str | None, fields: tuple[str, ...]
) -> Report:
    """Note whom the export is about; the file is written when it is fetched."""
    with state.lock:
        chosen: Iterable[int] = source.numbers(state) if source else range(len(state.contacts))
        book = state.contacts
        if status == "unsubscribed":
            chosen = (number for number in chosen if number in book.opted_out)
        elif status == "active":
            chosen = (number for number in chosen if book.is_active(number))
        elif status == "removed":
            chosen = (number for number in chosen if number in book.deleted)
        else:
            chosen = (number for number in chosen if number not in book.deleted)
        exported = array("I", chosen)
    counters = {"items_total_count": len(exported), "items_completed_count": len(exported)}
    return Report(counters, exported=exported, fields=fields)


def _touch(state: SandboxState, numbers: Iterable[int]) -> None:
    now = state.clock()
    for number in numbers:
        state.contacts.updated[number] = now


def _membership_report(contacts: int, list_ids: Collection[str]) -> Report:
    return Report(
        {
            "items_total_count": contacts,
            "items_completed_count": contacts,
            "list_count": len(list_ids),
        }
    )
