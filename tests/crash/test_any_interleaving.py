"""Whatever two workers, a faulty service, kills and sleeps do to each other: the run's promises hold."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ccexport.states import RUN_MOVES, RunState, WaitingFor
from tests.crash.world import ERRORS, PEOPLE, World
from tests.kit.house import check_sums

MOST_HOURS = 60
ANSWERS = st.sampled_from(["ok", "ok", "ok", "ok", "ok", *ERRORS])
IMPORTS = st.sampled_from(["ok", "ok", "lost after", "lost after", "lost after", *ERRORS])
RENEWALS = st.sampled_from(["ok", "ok", "ok", "lost before", "lost after", "killed after"])
FATES = st.lists(
    st.tuples(st.integers(1, 16), st.sampled_from(["kill", "hang"])), min_size=1, max_size=2
)


class TwoWorkers(RuleBasedStateMachine):
    """Steps of two workers in any order, with any trouble; at the end all trouble ends, and so must every run."""

    def __init__(self) -> None:
        super().__init__()
        self._closing = ExitStack()
        folder = self._closing.enter_context(tempfile.TemporaryDirectory())
        self.world = World(Path(folder))
        self._closing.enter_context(self.world.in_place())
        self.runs: list[int] = []

    @precondition(lambda self: not self.world.office.runs.unfinished())
    @rule()
    def somebody_runs_the_export(self) -> None:
        self.runs.append(self.world.queue().id)

    @rule(host=st.sampled_from("ab"), fates=FATES)
    def a_worker_meets_its_fate(self, host: str, fates: list[tuple[int, str]]) -> None:
        self.world.work(host, fates)

    @rule(
        host=st.sampled_from("ab"),
        answers=st.just([]) | st.lists(ANSWERS, max_size=8),
        imports=st.lists(IMPORTS, max_size=3),
        fates=st.just([]) | FATES,
    )
    def a_worker_meets_a_faulty_service(
        self, host: str, answers: list[str], imports: list[str], fates: list[tuple[int, str]]
    ) -> None:
        service = self.world.service
        service.answers.extend(answers)
        service.imports.extend(imports)
        self.world.work(host, fates)
        service.answers.clear()
        service.imports.clear()

    @rule(host=st.sampled_from("ab"))
    def a_worker_goes_on_a_little_later(self, host: str) -> None:
        """After the first wait, before a job is listed."""
        self.world.clock.move(seconds=6)
        self.world.work(host)

    @rule(answers=st.lists(RENEWALS, min_size=1, max_size=3))
    def renewals_go_wrong(self, answers: list[str]) -> None:
        self.world.service.renewals.extend(answers)

    @rule(seconds=st.sampled_from([1, 20, 61, 1_000, 40_000]))
    def time_passes(self, seconds: int) -> None:
        self.world.clock.move(seconds=seconds)

    @rule(hours=st.sampled_from([1, -1]))
    def the_clocks_are_set(self, hours: int) -> None:
        self.world.set_clocks(hours=hours)

    @rule()
    def a_person_signs_in_again(self) -> None:
        self.world.sign_in()

    @invariant()
    def nothing_is_sent_twice_unless_it_was_proven_absent(self) -> None:
        assert self.world.service.twice == []
        for run_id in self.runs:
            assert set(self.world.arrivals(run_id).values()) <= {1}

    @invariant()
    def no_refresh_token_is_used_again_that_was_known_to_be_spent(self) -> None:
        assert self.world.service.spent_used <= self.world.service.lost_pairs

    @invariant()
    def every_move_was_legal(self) -> None:
        for run_id in self.runs:
            assert illegal(event.what for event in self.world.office.runs.events(run_id)) == []
            run = self.world.office.runs.get(run_id)
            assert "error of its own" not in (run.error or "")

    def teardown(self) -> None:
        try:
            self._all_trouble_ends()
        finally:
            self._closing.close()

    def _all_trouble_ends(self) -> None:
        self.world.service.renewals.clear()
        for _ in range(MOST_HOURS):
            live = self.world.office.runs.unfinished()
            if not live:
                break
            if any(run.waiting_for is WaitingFor.SIGN_IN for run in live):
                self.world.sign_in()
            self.world.clock.move(hours=1)
            self.world.work("a")
        for run_id in self.runs:
            document = self.world.document(run_id)
            check_sums(document)
            assert document["state"] == "succeeded", document["error"]
            everybody = {person["EMail"]: 1 for person in PEOPLE}
            assert self.world.arrivals(run_id) == everybody, "somebody is unaccounted for"


def illegal(words: Iterable[str]) -> list[tuple[str, str]]:
    """The moves in a run's history that no table of moves has."""
    states = [RunState(word) for word in words if word in set(RunState)]
    pairs = itertools.pairwise(states)
    return [(before, after) for before, after in pairs if after not in RUN_MOVES[before]]


TwoWorkers.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(
        Phase.explicit,
        Phase.generate,
    ),  # what fails is shown as it is: to shrink it takes minutes
    suppress_health_check=list(HealthCheck),
)
TestTwoWorkers = TwoWorkers.TestCase


@pytest.mark.parametrize(
    "meanwhile",
    [
        pytest.param(lambda world: world.clock.move(seconds=6), id="a while passes"),
        pytest.param(lambda world: world.set_clocks(hours=1), id="the clock is set forward"),
    ],
)
def test_a_file_that_arrived_but_is_not_listed_yet_is_waited_for_and_not_sent_again(
    tmp_path: Path, meanwhile: Callable[[World], None]
) -> None:
    world = World(tmp_path)
    with world.in_place():
        run_id = world.queue().id
        world.service.imports.append("lost after")
        world.work("a")
        meanwhile(world)
        world.work("b")
        assert world.service.twice == []
        assert "found by its file name" in details_of(world, run_id)
        assert world.document(run_id)["state"] == "succeeded"


def test_a_file_that_never_arrived_is_sent_again_though_the_clock_was_set_back(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    with world.in_place():
        run_id = world.queue().id
        world.work("a", [(6, "kill")])  # when the intent is committed
        assert world.document(run_id)["batches"][0]["state"] == "sending"
        world.set_clocks(hours=-1)
        began = world.clock()
        world.work("b")
        assert world.clock() - began < timedelta(minutes=5)
        assert "not at Constant Contact: sent again" in details_of(world, run_id)
        assert world.document(run_id)["state"] == "succeeded"


def details_of(world: World, run_id: int) -> list[str]:
    return [event.detail for event in world.office.runs.events(run_id)]
