"""The ledger by columns against a model of a person at a time: verdicts, what a run's end makes of it, what is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ccexport.runs.comparing import OnList, Verdict, compare, count_moved
from ccexport.states import Mode
from ccexport.store.ledger_rows import (
    MOST_BITS,
    PART_ROWS,
    Observed,
    Outcome,
    People,
    Sent,
    Standing,
    TakenOff,
    all_of,
    bits_for,
    no_people,
    nobody,
    nobody_sent,
    parts_of,
    read_observed,
    read_people,
    read_sent,
    settled,
    write_observed,
    write_people,
    write_sent,
)
from ccexport.store.ledgers import Known

LOOK = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
AT = int(LOOK.timestamp())


@dataclass(frozen=True)
class Row:
    """A person of a ledger, one at a time."""

    line: int
    standing: Standing
    at: int = AT - 60


def numbers(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=np.uint64)


def ledger(rows: dict[int, Row]) -> People:
    who = sorted(rows)
    return People(
        numbers(who),
        numbers([each + 1000 for each in who]),
        numbers([rows[each].line for each in who]),
        np.array([rows[each].standing for each in who], dtype=np.uint8),
        np.array([rows[each].at for each in who], dtype=np.uint32),
    )


def as_rows(people: People) -> dict[int, Row]:
    columns = (people.line, people.standing, people.at)
    return {
        int(who): Row(int(line), Standing(int(standing)), int(at))
        for who, line, standing, at in zip(people.who, *columns, strict=True)
    }


def sent(lines: dict[int, int]) -> Sent:
    who = list(lines)
    return Sent(numbers(who), numbers([w + 1000 for w in who]), numbers(list(lines.values())))


def expected(
    who: int,
    line: int,
    own: dict[int, Row],
    other: dict[int, Row],
    seen: set[int] | None,
    mode: Mode,
) -> Verdict:
    """The rule, for one person."""
    row = own.get(who)
    standing = row.standing if row else None
    if (
        seen is not None
        and row
        and standing is Standing.PLACED
        and who not in seen
        and row.at <= AT
    ):
        standing = Standing.LEFT
    came_back = seen is not None and who in seen and standing not in (None, Standing.PLACED)
    placed = standing is Standing.PLACED or came_back
    if mode is Mode.FULL:
        was_placed = row is not None and row.standing is Standing.PLACED
        return Verdict.CHANGED if was_placed or came_back else Verdict.NEW
    elsewhere = other.get(who)
    if standing in (None, Standing.UNSURE) and elsewhere and not (seen and who in seen):
        left = elsewhere.standing is Standing.LEFT
        left |= seen is not None and elsewhere.standing is Standing.PLACED and elsewhere.at <= AT
        if left:
            return Verdict.SUPPRESSED
    if standing is Standing.LEFT and not came_back:
        return Verdict.SUPPRESSED
    if not placed:
        return Verdict.NEW
    return Verdict.UNCHANGED if row and not came_back and row.line == line else Verdict.CHANGED


people_here = st.integers(1, 12)
rows_here = st.builds(
    Row, st.integers(1, 3), st.sampled_from(Standing), st.sampled_from([AT - 60, AT, AT + 60])
)
ledgers = st.dictionaries(people_here, rows_here)


@given(
    ledgers,
    ledgers,
    st.dictionaries(people_here, st.integers(1, 3)),
    st.none() | st.sets(people_here),
    st.sampled_from(Mode),
)
def test_the_verdict_of_each_person_is_that_of_the_rule(
    own: dict[int, Row],
    other: dict[int, Row],
    lines: dict[int, int],
    seen: set[int] | None,
    mode: Mode,
) -> None:
    on_list = None if seen is None else OnList(numbers(sorted(seen)), LOOK)
    found = compare(sent(lines), Known(ledger(own), (ledger(other),), None), on_list, mode)
    assert {who: Verdict(v) for who, v in zip(lines, found.verdicts.tolist(), strict=True)} == {
        who: expected(who, line, own, other, seen, mode) for who, line in lines.items()
    }


@given(ledgers, st.sets(people_here), st.data())
def test_a_runs_end_moves_each_person_by_what_was_confirmed(
    before: dict[int, Row], seen: set[int], data: st.DataObject
) -> None:
    confirmed = data.draw(st.dictionaries(people_here, st.integers(1, 3)))
    unsure = data.draw(
        st.dictionaries(people_here.filter(lambda n: n not in confirmed), st.just(2))
    )
    left = {n for n, r in before.items() if r.standing is Standing.PLACED and n not in seen}
    back = {n for n, r in before.items() if r.standing is not Standing.PLACED and n in seen}
    observed = Observed(numbers(sorted(left)), numbers(sorted(back)))
    gone = data.draw(st.sets(people_here.filter(lambda n: n not in confirmed)))
    perhaps = data.draw(st.sets(people_here.filter(lambda n: n not in {*confirmed, *gone})))
    taken_off = TakenOff(numbers(sorted(gone)), numbers(sorted(perhaps)))
    outcome = Outcome(observed, taken_off, sent(confirmed), sent(unsure))
    after = as_rows(settled(ledger(before), outcome, AT))

    model = dict(before)
    model |= {n: Row(before[n].line, Standing.LEFT, AT) for n in left}
    model |= {n: Row(0, Standing.PLACED, AT) for n in back}
    model = {n: row for n, row in model.items() if n not in gone}
    model |= {n: Row(0, Standing.UNSURE, AT) for n in perhaps if n in model}
    for who, line in unsure.items():
        standing = model[who].standing if who in model else Standing.UNSURE
        if standing is Standing.PLACED:
            model[who] = Row(0, Standing.PLACED, AT)
        elif standing is Standing.UNSURE:  # who had left stays so, and who was allowed back
            model[who] = Row(line, Standing.UNSURE, AT)
    model |= {who: Row(line, Standing.PLACED, AT) for who, line in confirmed.items()}
    assert after == model


def test_what_is_kept_reads_as_it_was_written_and_a_million_people_take_less_than_thirty_megabytes() -> (
    None
):
    random = np.random.default_rng(7)
    who = np.sort(random.integers(0, 2**64, PART_ROWS, dtype=np.uint64))
    columns = [random.integers(0, 2**64, PART_ROWS, dtype=np.uint64) for _ in range(2)]
    standing = np.full(PART_ROWS, Standing.PLACED, dtype=np.uint8)
    at = np.full(PART_ROWS, AT, dtype=np.uint32)
    part = People(who >> np.uint64(7), *columns, standing, at)
    content = write_people(part)
    assert len(content) / PART_ROWS < 30
    found = read_people(content)
    for name in ("who", "key", "line", "standing", "at"):
        assert getattr(found, name).tolist() == getattr(part, name).tolist()
    assert len(all_of([no_people(), found])) == PART_ROWS


def test_parts_are_told_by_the_first_bits_and_grow_in_number_with_the_people() -> None:
    assert [bits_for(n) for n in (0, 100, PART_ROWS, 1_000_000)] == [0, 0, 1, 7]
    assert bits_for(10**9) == MOST_BITS
    top = numbers([0, 2**63, 2**64 - 1])
    assert parts_of(top, 0).tolist() == [0, 0, 0]
    assert parts_of(top, 3).tolist() == [0, 4, 7]


def test_what_a_live_run_keeps_reads_as_it_was_written_and_that_of_earlier_versions_as_nobody() -> (
    None
):
    rows = sent({5: 1, 3: 2})
    assert read_sent(write_sent(rows)).who.tolist() == [5, 3]
    assert read_sent(write_sent(rows)).batch is None
    known = read_sent(write_sent(rows.of_batch(4)))
    assert known.batch is not None
    assert known.batch.tolist() == [4, 4]
    assert len(read_sent(write_sent(nobody_sent()))) == 0
    assert len(read_sent(b"hashes1\0" + bytes(16))) == 0
    seen = read_observed(write_observed(Observed(numbers([1, 2]), numbers([3]))))
    assert (seen.left.tolist(), seen.back.tolist()) == ([1, 2], [3])
    assert read_observed(b"").left.tolist() == []


def test_a_profile_has_moved_where_nobody_has_its_earlier_address_now() -> None:
    placed = ledger({n: Row(1, Standing.PLACED) for n in (1, 2, 3)})
    now = Sent(numbers([1, 9, 2]), numbers([1001, 1002, 1003]), numbers([1, 1, 1]))
    assert count_moved(now, placed) == 0, "9 alone is new, and 2 is that of another profile now"
    now = Sent(numbers([1, 9, 8]), numbers([1001, 1002, 1003]), numbers([1, 1, 1]))
    assert count_moved(now, placed) == 2
    assert count_moved(Sent(nobody(), nobody(), nobody()), placed) == 0
    assert count_moved(now, no_people()) == 0
