"""The guard by commands: set with an export, asked by a run, answered, and kept in a YAML file."""

from __future__ import annotations

from pathlib import Path

from tests.commands.adding import adding
from tests.commands.running import Here, assert_one_line
from tests.kit.house import House, people, write_source


def test_a_run_that_asks_is_approved_or_declined_by_commands(here: Here, house: House) -> None:
    environment = house.environment()

    def ask(count: int) -> str:
        write_source(house.source, people(count))
        here("exports", "run", "Newsletter", environment=environment)
        house.work()
        return str(here("runs", "list", "--json", environment=environment).document[0]["id"])

    ask(10)
    run_id = ask(200)
    shown = here("runs", "show", run_id, environment=environment).out
    assert "would send 190 new or changed people, beside 10 whom this export has" in shown
    document = here("runs", "show", run_id, "--json", environment=environment).document
    asked = {"percent": 20, "sent": 190, "removed": 0, "placed": 10, "approved_by": None}
    assert (document["waiting_for"], document["guard"]) == ("approval", asked)
    assert here("runs", "decline", run_id, environment=environment).code == 0
    again = here("runs", "approve", run_id, environment=environment)
    assert_one_line(again, f"Run {run_id}", "ended", "canceled")

    run_id = ask(200)
    assert "is approved" in here("runs", "approve", run_id, environment=environment).err
    house.work()
    document = here("runs", "show", run_id, "--json", environment=environment).document
    assert (document["state"], document["counts"]["new"]) == ("succeeded", 190)
    again = here("runs", "approve", run_id, environment=environment)
    assert_one_line(again, f"Run {run_id}", "ended", "succeeded")


def test_the_guard_is_kept_in_a_file_of_exports_and_put_back(
    here: Here, house: House, tmp_path: Path
) -> None:
    environment, file = house.environment(), tmp_path / "exports.yaml"

    def guards() -> dict[str, str]:
        found = here("exports", "list", "--json", environment=environment).document
        return {each["name"]: each["guard"] for each in found}

    assert here(*adding("Off", guard=["off"]), environment=environment).code == 0
    assert here(*adding("Five", guard=["5%"]), environment=environment).code == 0
    before = {"Five": "5", "Newsletter": "20", "Off": "off"}
    assert guards() == before
    text = here("exports", "dump", environment=environment).out
    file.write_text(text.replace("guard: '5'", "guard: off"))
    assert here("exports", "apply", str(file), environment=environment).code == 0
    assert guards() == before | {"Five": "off"}
    file.write_text("".join(line for line in text.splitlines(True) if "guard:" not in line))
    here("exports", "apply", str(file), environment=environment)
    assert guards() == dict.fromkeys(before, "20"), "what a file does not name is as for a new one"
    file.write_text(text.replace("guard: '5'", "guard: half"))
    assert_one_line(
        here("exports", "apply", str(file), environment=environment), '"half"', "line", code=2
    )
