"""`exports add --schedule`: the next five times are said, and what never comes is refused before anything is stored."""

from __future__ import annotations

import re

import pytest

from tests.commands.adding import adding
from tests.commands.running import Here, assert_one_line
from tests.kit.house import House


@pytest.mark.parametrize(
    "schedule",
    [
        "weekly mon,thu 06:30 Europe/Berlin",
        "every 30 minutes",
        "cron 30 6 * * 1-5 Europe/Berlin",
    ],
)
def test_an_export_is_added_with_its_next_five_times(
    house: House, here: Here, schedule: str
) -> None:
    found = here(*adding(schedule=[schedule]), environment=house.environment())
    assert found.code == 0
    assert len(re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", found.err)) == 5
    assert house.installation.exports.by_name("New").export.schedule == schedule


def test_a_cron_that_never_comes_is_refused_in_one_line(house: House, here: Here) -> None:
    found = here(*adding(schedule=["cron 0 6 30 2 * UTC"]), environment=house.environment())
    assert_one_line(found, "never comes", code=2)
    assert [view.export.name for view in house.installation.exports.views()] == ["Newsletter"]
