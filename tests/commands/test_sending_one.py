"""`exports test`: the file and the answer, as words and as a document; what is refused."""

from __future__ import annotations

from tests.commands.running import Here, assert_one_line
from tests.kit.house import LIST_ID, House

FILE = "email,first_name,last_name\r\nperson5@example.com,First5,Last5\r\n"


def test_one_profile_is_shown_then_sent_and_followed(here: Here, lone_house: House) -> None:
    house, environment = lone_house, lone_house.environment()
    one = ("exports", "test", "Newsletter", "--customer-id", "0000005")
    shown = here(*one, "--dry-run", environment=environment)
    assert (shown.code, shown.out) == (0, FILE.replace("\r", ""))
    assert "Nothing was sent" in shown.err
    assert "person5@example.com" not in house.members()

    sent = here(*one, environment=environment)
    assert sent.code == 0, sent.err
    assert sent.out.startswith(FILE.replace("\r", ""))
    assert "Constant Contact took the profile." in sent.out
    assert "They are on" in sent.out
    assert "person5@example.com" in house.members()

    document = here(*one, "--json", environment=environment).document
    assert (document["export"], document["list_id"]) == ("Newsletter", LIST_ID)
    assert (document["content"], document["outcome"], document["on_list"]) == (
        FILE,
        "accepted",
        True,
    )
    assert document["state"] == "completed"
    assert document["activity_id"]


def test_what_constant_contact_does_not_take_is_told_by_the_exit_code(
    here: Here, house: House
) -> None:
    reject = {"on": "contactsCSVImport", "do": "reject_rows", "lines": [2], "messages": ["No."]}
    house.tell("/_sandbox/behaviour", faults=[reject])
    one = ("exports", "test", "Newsletter", "--customer-id", "0000006")
    found = here(*one, environment=house.environment())
    assert found.code == 3
    assert "did not take the profile" in found.out
    assert "Line 2: No." in found.out
    unknown = here(*one[:-1], "nobody", environment=house.environment())
    assert_one_line(unknown, "No profile of the segments", '"nobody"')
