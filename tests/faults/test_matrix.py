"""Every cell of the fault matrix, played over HTTP against the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ccexport.sandbox.server import running_sandbox
from tests.faults.calls import CALLS, FAULTS, Call, Fault
from tests.faults.matrix import MATRIX, cell, document
from tests.faults.stage import Stage
from tests.kit.clocks import MovedClock
from tests.kit.house import behaviour

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "faults.md"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One installation and one sandbox for all cells."""
    clock = MovedClock()
    with running_sandbox(
        behaviour(custom_fields=["tier"], processing_seconds=0), clock=clock.seconds
    ) as sandbox:
        stage = Stage(tmp_path_factory.mktemp("matrix"), sandbox, clock)
        yield stage
        stage.close()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_what_the_matrix_says_of_a_fault_is_what_follows(
    stage: Stage, call: Call, fault: Fault
) -> None:
    assert stage.play(call, fault) == cell(call, fault)


def test_no_cell_of_the_matrix_is_empty() -> None:
    assert set(MATRIX) == {fault.name for fault in FAULTS}
    for call in CALLS:
        for fault in FAULTS:
            outcome = cell(call, fault)
            nobody_notices = outcome.state in ("succeeded", "done")
            assert bool(outcome.says) is not nobody_notices
            assert outcome.requests >= 1
            assert outcome.then


def test_the_document_is_made_of_the_matrix() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), (
        "make it again: python -m tests.faults.matrix > docs/faults.md"
    )
