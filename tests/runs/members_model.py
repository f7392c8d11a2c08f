"""Who should be on a list, by the words of the modes: a source, the list, what each export knows. No code of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Row:
    """A profile: its address, which may be none; its first name; the segments it is in."""

    email: str
    name: str
    segments: frozenset[str]


@dataclass(frozen=True)
class Entry:
    """What an export knows of an address.

    `placed`; `maybe`, where nobody knows; `left`; `allowed` back. `name`: confirmed last, where known.
    """

    standing: str
    key: str
    name: str | None = None


@dataclass(frozen=True)
class Night:
    """What a run did: the addresses it sent, those it kept away, those it took off."""

    sent: frozenset[str]
    suppressed: frozenset[str]
    removed: frozenset[str]


@dataclass
class Model:
    """One list, and the exports to it, each of the segment of its name."""

    source: dict[str, Row] = field(default_factory=dict)
    members: set[str] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)
    opted_out: set[str] = field(default_factory=set)
    ledgers: dict[str, dict[str, Entry]] = field(default_factory=dict)

    def run(
        self,
        export: str,
        mode: str,
        *,
        is_seen: bool = True,
        arrives: bool = True,
        removes: bool = True,
        resync: bool = False,
    ) -> Night:
        """`is_seen`: who is on the list can be had; `arrives`: the file is taken; `removes`: so is a removal."""
        own, wanted = self.ledgers[export], self.wanted(export)
        on = set(self.members) if is_seen and mode != "full" else None
        if on is not None:
            self._look(own, wanted, on)
        away = {who for who in wanted if mode != "full" and self._has_left(export, who, on)}
        sent = {
            who: entry
            for who, entry in wanted.items()
            if who not in away
            and (mode == "full" or resync or not _is_placed_as(own.get(who), entry))
        }
        for who, entry in sent.items():
            self._send(own, who, entry, arrives=arrives)
        gone = self._gone(export, mode, on, may_remove=arrives or not sent)
        for who in gone:
            if removes:
                self.members.discard(who)
                del own[who]
            else:
                own[who] = replace(own[who], standing="maybe", name=None)
        removed = gone if removes else ()
        return Night(frozenset(sent), frozenset(away), frozenset(removed))

    # --- what people do --------------------------------------------------------------------------

    def put_on(self, who: str) -> None:
        if who not in self.opted_out:
            self.members.add(who)

    def leave(self, who: str) -> None:
        self.members.discard(who)

    def opt_out(self, who: str) -> None:
        self.members.discard(who)
        self.opted_out.add(who)

    def delete(self, who: str) -> None:
        self.members.discard(who)
        self.opted_out.discard(who)

    def let_back(self, export: str, who: str) -> bool:
        """Whether an export that has run knows them as one who left, or another does where it does not know them."""
        own = self.ledgers[export]
        others = {self._standing(each, who) for each in self.ledgers if each != export}
        by_own = self._standing(export, who)
        if not own or not (by_own == "left" or (by_own is None and "left" in others)):
            return False
        own[who] = Entry("allowed", "")
        return True

    # --- what a run makes of it ------------------------------------------------------------------

    def wanted(self, export: str) -> dict[str, Entry]:
        """Of several profiles with one address the one with the smallest key."""
        found: dict[str, Entry] = {}
        for key, row in sorted(self.source.items()):
            if export in row.segments and "@" in row.email:
                found.setdefault(row.email, Entry("placed", key, row.name))
        return found

    def _look(self, own: dict[str, Entry], wanted: Mapping[str, Entry], on: set[str]) -> None:
        """Who was placed and is not there has left; who is there and in a segment is placed again."""
        for who, entry in list(own.items()):
            if entry.standing == "placed" and who not in on:
                own[who] = replace(entry, standing="left")
            elif who in on and (entry.standing == "maybe" or who in wanted):
                own[who] = entry if entry.standing == "placed" else Entry("placed", entry.key)

    def _has_left(self, export: str, who: str, on: set[str] | None) -> bool:
        """By what the export knows; where it does not know them, by what another does."""
        standing = self._standing(export, who)
        if standing in ("placed", "allowed", "left"):
            return standing == "left"
        others = {self._standing(each, who) for each in self.ledgers if each != export}
        if on is None:
            return "left" in others
        return who not in on and bool(others & {"left", "placed"})

    def _send(self, own: dict[str, Entry], who: str, entry: Entry, *, arrives: bool) -> None:
        if arrives:
            self.names[who] = entry.name or ""
            own[who] = entry
            if who not in self.opted_out:
                self.members.add(who)
        elif who not in own or own[who].standing == "maybe":
            own[who] = replace(entry, standing="maybe", name=None)
        else:
            own[who] = replace(own[who], name=None)

    def _gone(self, export: str, mode: str, on: set[str] | None, *, may_remove: bool) -> list[str]:
        """Of those it placed, who is in no segment; whom another export placed is left to that one."""
        own, wanted = self.ledgers[export], self.wanted(export)
        members = {key: row for key, row in self.source.items() if export in row.segments}
        if mode != "mirror" or not members:
            return []
        stay = {key for key, row in members.items() if "@" not in row.email}
        gone = []
        for who, entry in list(own.items()):
            if entry.standing != "placed" or who in wanted or entry.key in stay:
                continue
            others = {self._standing(each, who) for each in self.ledgers if each != export}
            if others & {"placed", "maybe"}:
                del own[who]
            elif on is not None and may_remove:
                gone.append(who)
        return gone

    def _standing(self, export: str, who: str) -> str | None:
        entry = self.ledgers[export].get(who)
        return entry.standing if entry else None


def _is_placed_as(known: Entry | None, now: Entry) -> bool:
    return known is not None and (known.standing, known.name) == ("placed", now.name)
