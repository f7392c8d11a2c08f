"""Nights of several exports to one list, with edits by hand, faults and kills: the members are those of a model."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from ccexport.runs import guard
from ccexport.services.runs.putting_back import PuttingBack
from tests.kit.house import ANA, check_sums
from tests.runs.members_model import Model, Row
from tests.runs.nights import IMPORT, Nights

EXPORTS = ("A", "B")
KEYS = [f"{number:07}" for number in range(1, 6)]
EMAILS = [f"person{number}@example.com" for number in range(1, 6)]
ANYBODY = [*EMAILS, "stranger@example.com"]
EDITS = ("leave", "leave", "leave", "put_on", "put_on", "opt_out", "delete")
LOOK_UP, REMOVE, EXPORT = "getContacts", "postListRemoveContact", "postContactsExport"
MODES = st.sampled_from(["mirror", "mirror", "changes", "full"])
BOTH_MODES = st.tuples(MODES, MODES)
POINTS = st.sampled_from(
    [
        *("preparing", "list intended", "list asked for", "list read", "files written"),
        *("batches stored", "intent committed", "posted", "outcome committed", "batch ended"),
        *("removal planned", "removal intended", "removal asked for", "removal submitted"),
        *("removal ended", "before the end"),
    ]
)


def rows_of(most: int, segments: Sequence[str]) -> st.SearchStrategy[dict[str, Row]]:
    """Some or all of the profiles, mostly with an address of their own; what comes first is drawn most."""
    others = [*EMAILS, "", "no address"]
    rows = {
        key: st.builds(
            Row,
            email=st.sampled_from([email] * len(others) + others),
            name=st.sampled_from(["Ana", "Bea"]),
            segments=st.sampled_from(segments).map(frozenset),
        )
        for key, email in zip(KEYS, EMAILS, strict=True)
    }
    everybody = st.fixed_dictionaries(rows)
    if most == len(KEYS):
        return everybody
    chosen = st.sets(st.sampled_from(KEYS), min_size=1, max_size=most)
    return st.builds(lambda found, some: {key: found[key] for key in some}, everybody, chosen)


# what a model has to know of: the list is not to be had, the file or the removal fails
TROUBLE = [(on, "activity_failed") for on in (EXPORT, IMPORT, REMOVE)]
HARMLESS = [
    *((on, do) for on in (IMPORT, REMOVE) for do in ("drop_before", "drop_after", "throttled")),
    *((EXPORT, do) for do in ("drop_after", "unavailable")),
    *((LOOK_UP, "unavailable"), ("getContactsExport", "drop_after")),
]


@dataclass(frozen=True)
class Day:
    """What changes before a night: profiles, modes, the guard of both, the list by hand, who may come back."""

    rows: dict[str, Row]
    modes: dict[str, str]
    guard: str = "off"
    edits: Sequence[tuple[str, str]] = ()
    let_back: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Fate:
    """What befalls a run: trouble at the service, a kill; whether somebody approves it."""

    trouble: tuple[str, str] | None = None
    killed_at: str = ""
    resync: bool = False
    approves: bool = True


DAYS = st.builds(
    Day,
    rows=rows_of(3, ["", "", "AB", "A", "B"]),
    modes=st.just({}) | st.dictionaries(st.sampled_from(EXPORTS), MODES, max_size=1),
    guard=st.sampled_from(["off", "off", "50"]),
    edits=st.lists(
        st.tuples(st.sampled_from(EDITS), st.sampled_from(ANYBODY)), min_size=1, max_size=3
    ),
    let_back=st.lists(st.tuples(st.sampled_from(EXPORTS), st.sampled_from(EMAILS)), max_size=2),
)
FATES = st.builds(
    Fate,
    trouble=st.sampled_from([None, None, None, *TROUBLE, *HARMLESS]),
    killed_at=st.just("") | POINTS,
    resync=st.sampled_from([False, False, False, True]),
    approves=st.booleans(),
)


class AnyNights(RuleBasedStateMachine):
    """Two exports to one list."""

    def __init__(self) -> None:
        super().__init__()
        self._closing = ExitStack()
        patch = self._closing.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(guard, "GUARD_FROM", 2)
        self.nights = Nights(self._closing, EXPORTS)
        self.model = Model(ledgers={name: {} for name in EXPORTS})
        self.modes = dict.fromkeys(EXPORTS, "full")

    def teardown(self) -> None:
        self._closing.close()

    @initialize(rows=rows_of(len(KEYS), ["A", "A", "AB", "B"]), modes=BOTH_MODES)
    def everybody_is_sent_once(self, rows: dict[str, Row], modes: tuple[str, str]) -> None:
        self._meanwhile(Day(rows, dict(zip(EXPORTS, modes, strict=True))))
        for each in EXPORTS:
            self._run(each, Fate())

    @rule(day=DAYS, export=st.sampled_from(EXPORTS), fate=FATES)
    def an_export_runs(self, day: Day, export: str, fate: Fate) -> None:
        self._meanwhile(day)
        self._run(export, fate)

    @rule(day=DAYS, first=st.sampled_from(EXPORTS), point=POINTS, is_killed=st.booleans())
    def both_run_at_once(self, day: Day, first: str, point: str, is_killed: bool) -> None:
        """Nobody who is in a segment is lost meanwhile, and once each has run again it is as if one had been first."""
        self._meanwhile(replace(day, guard="off"))
        [second] = set(EXPORTS) - {first}
        outcomes = [self._in_order(order) for order in ((first, second), (second, first))]
        self.nights.work(first, meanwhile=(point, second), killed_at=point if is_killed else "")
        members = set(self.nights.house.members())
        for model in outcomes:
            for each in EXPORTS:
                assert model.wanted(each).keys() & model.members <= members, "somebody was lost"
        for each in (first, second):
            self.nights.work(each)
            for model in outcomes:
                model.run(each, self.modes[each])
        self.model = outcomes[0]
        self._is_as_the_model()

    def _meanwhile(self, day: Day) -> None:
        """What people do between two nights."""
        self.model.source |= day.rows
        self.nights.write(self.model.source)
        self.modes |= day.modes
        for export, mode in self.modes.items():
            self.nights.set_mode(export, mode, day.guard)
        for edit, who in day.edits:
            getattr(self.nights, edit)(who)
            getattr(self.model, edit)(who)
        for export, who in day.let_back:
            if self.model.let_back(export, who):
                PuttingBack(self.nights.house.installation).restore(who, export, by=ANA)

    def _run(self, export: str, fate: Fate) -> None:
        house, before = self.nights.house, self._imported()
        if fate.trouble:
            on, do = fate.trouble
            house.tell("/_sandbox/behaviour", faults=[{"on": on, "do": do}])
        [document] = self.nights.work(
            export, resync=fate.resync, killed_at=fate.killed_at, approves=fate.approves
        )
        house.tell("/_sandbox/behaviour", faults=[])
        if document["state"] == "canceled":  # declined
            self._is_as_the_model()
            return
        night = self.model.run(
            export,
            self.modes[export],
            is_seen=fate.trouble != (EXPORT, "activity_failed"),
            arrives=fate.trouble != (IMPORT, "activity_failed"),
            removes=fate.trouble != (REMOVE, "activity_failed"),
            resync=fate.resync,
        )
        check_sums(document)
        counts = document["counts"]
        assert counts["submitted"] == len(night.sent)
        assert counts["suppressed"] == len(night.suppressed)
        assert counts["removed"] == len(night.removed)
        assert self._imported() - before == len(night.sent), "somebody is sent twice, or not"
        self._is_as_the_model()

    def _in_order(self, exports: tuple[str, ...]) -> Model:
        model = copy.deepcopy(self.model)
        for each in exports:
            model.run(each, self.modes[each])
        return model

    def _imported(self) -> int:
        made = self.nights.house.requests(IMPORT)
        return sum(each["rows"] for each in made if each["activity_id"])

    def _is_as_the_model(self) -> None:
        members = self.nights.house.members()
        assert set(members) == self.model.members
        names = {who: found.get("first_name") or "" for who, found in members.items()}
        assert names == {who: self.model.names.get(who, "") for who in members}


AnyNights.TestCase.settings = settings(
    max_examples=3,
    stateful_step_count=6,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),  # to shrink what fails takes minutes
    suppress_health_check=list(HealthCheck),
)
TestAnyNights = AnyNights.TestCase
