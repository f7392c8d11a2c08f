"""The page Export: a new one from nothing to saved, an edit, its preview, and what can go wrong on the way."""

from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from ccexport.installation import Installation
from ccexport.preparation.mapping import parse_mapping
from ccexport.sandbox.server import RunningSandbox
from ccexport.services.connections.connections import Connections
from ccexport.services.exports.exports import ExportDraft, Exports
from ccexport.services.people.access import Person, Role, local_administrator
from ccexport.store.database.tables import Connection
from ccexport.store.exports import ExportView
from ccexport.ui import identity
from ccexport.worker import Worker
from tests.kit.house import write_source
from tests.ui.conftest import LIST_ID, LIST_NAME, MAPPING, SEGMENTS, OpenPage, connect, texts

BY = local_administrator()


def metrics(test: AppTest) -> dict[str, int]:
    return {each.label: int(each.value.replace(",", "")) for each in test.metric}


def cards(test: AppTest) -> str:
    """The profiles of the preview, as HTML."""
    return "\n".join(str(each.proto.body) for each in test.get("html"))


def fill_in(test: AppTest, name: str = "Summer") -> AppTest:
    """Everything that a new export needs; the one connection is chosen already."""
    test.selectbox(key="export_list").select(LIST_ID)
    test.multiselect(key="export_segments").set_value(["Spring buyers"])
    test.text_input(key="export_name").set_value(name)
    return test.run()


def break_lists(
    sandbox: RunningSandbox, operation: str = "getLists", do: str = "unavailable"
) -> None:
    sandbox.state.change({"faults": [{"on": operation, "do": do, "times": -1}]})


def delete_list(sandbox: RunningSandbox) -> None:
    sandbox.state.change({"lists": [{"name": LIST_NAME, "list_id": LIST_ID, "deleted": True}]})


# --- a new one -----------------------------------------------------------------------------------


def test_export_without_a_connection_leads_to_connections(open_page: OpenPage) -> None:
    test = open_page("export")
    assert not test.exception
    assert "no connection that you may use yet" in test.info[0].value
    assert "/connections" in texts(test)
    assert test.button(key="export_save").disabled


def test_export_begins_with_the_one_connection_and_what_names_suggest(
    open_page: OpenPage, connection: Connection
) -> None:
    test = open_page("export")
    assert test.selectbox(key="export_connection").value == connection.id
    assert test.selectbox(key="export_from_0").value == "attribute:EMail"
    assert test.selectbox(key="export_field_1").value == "first_name"
    assert test.selectbox(key="export_from_1").value == "attribute:FirstName"
    assert "Choose a segment" in test.info[0].value
    assert "Still needs a list, a segment and a name" in texts(test)


def test_export_is_saved_and_nothing_runs(
    open_page: OpenPage, installation: Installation, connection: Connection
) -> None:
    test = fill_in(open_page("export"))
    test.button(key="export_save").click().run()
    assert not test.exception
    view = installation.exports.by_name("Summer")
    assert (view.export.list_name, view.segments) == (LIST_NAME, ("Spring buyers",))
    assert dict(view.mapping) == dict(parse_mapping(MAPPING).pairs)
    assert "Nothing was sent" in test.success[0].value
    assert installation.runs.latest() == []
    assert test.query_params["export"] == str(view.export.id)


def test_export_sends_what_was_chosen_and_keeps_that_choice(
    open_page: OpenPage, installation: Installation, connection: Connection
) -> None:
    test = fill_in(open_page("export"))
    assert test.radio(key="export_mode").value == "full"
    test.radio(key="export_mode").set_value("changes").run()
    assert (test.toggle(key="export_guarded").value, test.number_input[0].value) == (True, 20)
    test.number_input(key="export_guard").set_value(35).run()
    test.button(key="export_save").click().run()
    view = installation.exports.by_name("Summer")
    assert view.export.mode == "changes"
    again = open_page("export", export=view.export.id)
    assert again.radio(key="export_mode").value == "changes"
    assert view.export.guard == again.number_input(key="export_guard").value == 35
    again.toggle(key="export_guarded").set_value(False).run()
    again.button(key="export_save").click().run()
    assert installation.exports.by_name("Summer").export.guard is None
    assert not open_page("export", export=view.export.id).toggle(key="export_guarded").value


def test_export_shows_the_ping_address_masked_once_it_is_saved(
    open_page: OpenPage, installation: Installation, connection: Connection
) -> None:
    test = fill_in(open_page("export"))
    test.text_input(key="export_ping").set_value("https://hc-ping.com/abc").run()
    test.button(key="export_save").click().run()
    assert test.text_input(key="export_ping").value == "https://hc-ping.com/***"
    test.button(key="export_save").click().run()
    export = installation.exports.by_name("Summer").export
    assert export.ping is not None
    assert installation.keys.decrypt(export.ping) == b"https://hc-ping.com/abc"


def test_export_that_sends_changes_runs_in_full_after_a_question(
    open_page: OpenPage, installation: Installation, export: ExportView
) -> None:
    assert "export_full" not in [each.key for each in open_page("export", export=1).button]
    draft = ExportDraft(
        "Newsletter", "Marketing", LIST_ID, SEGMENTS, parse_mapping(MAPPING), "changes"
    )
    Exports(installation).update(export.export.id, draft, by=BY)
    test = open_page("export", export=export.export.id)
    test.button(key="export_full").click().run()
    assert "People who left the list stay away." in texts(test)
    assert installation.runs.latest() == []
    test.button(key="export_full_confirm").click().run()
    assert [run.resync for run in installation.runs.latest()] == [True]


def test_export_sends_one_profile_after_a_question_and_says_what_became_of_it(
    open_page: OpenPage, installation: Installation, export: ExportView
) -> None:
    test = open_page("export", export=export.export.id)
    test.button(key="export_one").click().run()
    assert not test.exception
    assert "is sent to the list" in texts(test)
    file = test.code[0].value
    assert file.splitlines()[0].startswith("email,first_name")
    test.button(key="export_one_confirm").click().run()
    assert not test.exception
    assert "Constant Contact took the profile" in texts(test)
    assert test.code[0].value == file
    assert installation.runs.latest() == []
    test.button(key="export_one_close").click().run()
    assert "export_one_close" not in [each.key for each in test.button]


def test_export_refuses_to_send_one_who_is_in_none_of_its_segments(
    open_page: OpenPage, export: ExportView
) -> None:
    test = open_page("export", export=export.export.id)
    test.session_state["export_one_key"] = "nobody"
    test.button(key="export_one").click().run()
    assert "No profile of the segments" in test.error[0].value
    assert "export_one_confirm" not in [each.key for each in test.button]


def test_export_in_mode_changes_is_compared_with_what_was_sent(
    open_page: OpenPage, installation: Installation, connection: Connection
) -> None:
    draft = ExportDraft("News", "Marketing", LIST_ID, SEGMENTS, parse_mapping(MAPPING), "mirror")
    export = Exports(installation).add(draft, by=BY).export
    test = open_page("export", export=export.id)
    test.button(key="export_compare").click().run()
    assert not test.exception
    found = metrics(test)
    assert (found["New"], found["To be removed"]) == (found["Can be sent"], 0)
    assert "Nobody is known of this list yet" in texts(test)

    Exports(installation).queue("News", by=BY)
    Worker(installation).work(until_idle=True)
    test.button(key="export_compare").click().run()
    assert metrics(test)["Unchanged"] == found["New"]
    assert "A run would not ask first" in texts(test)

    test.multiselect(key="export_segments").set_value(["Spring buyers"]).run()
    assert "The form has changed since" in texts(test)
    test.button(key="export_compare").click().run()
    assert metrics(test)["To be removed"] == found["New"] - metrics(test)["Unchanged"] > 0
    removed = next(each.value for each in test.dataframe if "Email" in each.value.columns)
    assert removed["Email"].str.contains("@").all()
    assert all(removed["CustomerId"])
    assert ("would wait until somebody approves it" in texts(test)) == (
        metrics(test)["To be removed"] >= 100
    )
    test.selectbox(key="export_from_1").select("attribute:LastName").run()
    test.button(key="export_compare").click().run()
    changed = next(each.value for each in test.dataframe if "Sent last" in each.value.columns)
    assert set(changed["Field"]) == {"First name"}
    assert (changed["Sent last"] != changed["Now"]).all()
    test.radio(key="export_mode").set_value("full").run()
    assert "export_compare" not in [each.key for each in test.button]


def test_export_saved_a_second_time_changes_it_and_makes_no_other(
    open_page: OpenPage, installation: Installation, connection: Connection
) -> None:
    test = fill_in(open_page("export"))
    test.button(key="export_save").click().run()
    test.text_input(key="export_name").set_value("Autumn").run()
    test.button(key="export_save").click().run()
    assert [view.export.name for view in installation.exports.views()] == ["Autumn"]


def test_export_of_a_taken_name_is_refused_and_the_draft_stays(
    open_page: OpenPage, installation: Installation, export: ExportView
) -> None:
    test = open_page("export")
    fill_in(test, "Newsletter").button(key="export_save").click().run()
    assert "already" in test.error[0].value
    assert test.multiselect(key="export_segments").value == ["Spring buyers"]
    assert len(installation.exports.views()) == 1


def test_export_runs_at_a_time_of_day_in_a_zone(
    open_page: OpenPage, installation: Installation, connection: Connection
) -> None:
    test = fill_in(open_page("export"))
    test.radio(key="export_when").set_value("daily").run()
    test.time_input(key="export_time").set_value(time(7, 15))
    test.selectbox(key="export_zone").select("Europe/Berlin").run()
    assert texts(test).replace("\\", "").count("07:15") == 5
    test.button(key="export_save").click().run()
    assert installation.exports.by_name("Summer").export.schedule == "daily 07:15 Europe/Berlin"


def test_export_may_use_shared_connections_alone_when_a_contributor_asks(
    open_page: OpenPage,
    installation: Installation,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(identity, "local_administrator", lambda: Person("cleo", Role.CONTRIBUTOR))
    test = open_page("export")
    assert "Ask an administrator" in test.info[0].value
    Connections(installation).share("Marketing", contributors=True, by=BY)
    connect(installation, "Board")
    test.run()
    assert test.selectbox(key="export_connection").value == connection.id
    assert test.selectbox(key="export_connection").options == ["Marketing · Sandbox Traders"]


# --- lists ---------------------------------------------------------------------------------------


def test_export_offers_all_of_a_thousand_lists(
    open_page: OpenPage, connection: Connection, sandbox: RunningSandbox
) -> None:
    sandbox.state.change({"lists": 999})
    test = open_page("export")
    assert len(test.selectbox(key="export_list").options) == 1_000
    assert "as of" in texts(test)


def test_export_shows_known_lists_when_constant_contact_does_not_answer(
    open_page: OpenPage, connection: Connection, sandbox: RunningSandbox
) -> None:
    test = open_page("export")
    break_lists(sandbox)
    test.button(key="export_lists_refresh").click().run()
    assert "could not be asked for again" in test.warning[0].value
    assert "as of" in test.warning[0].value
    fill_in(test)
    assert not test.button(key="export_save").disabled


def test_export_tells_no_lists_from_no_answer(
    open_page: OpenPage, installation: Installation, connection: Connection, sandbox: RunningSandbox
) -> None:
    break_lists(sandbox, do="access_denied")
    test = open_page("export")
    refused = test.error[0].value
    assert "could not be asked for" in refused
    assert "no lists" not in texts(test)
    sandbox.state.change({"faults": []})
    delete_list(sandbox)
    test.button(key="export_lists_refresh").click().run()
    assert not test.error
    assert "The account has no lists" in texts(test)


def test_export_creates_a_list_and_chooses_it(
    open_page: OpenPage, installation: Installation, connection: Connection
) -> None:
    test = open_page("export")
    test.text_input(key="export_new_list").set_value("Brand <b>new</b>").run()
    test.button(key="export_create_list").click().run()
    assert not test.error
    chosen = test.selectbox(key="export_list").value
    assert any("Brand <b>new</b>" in name for name in test.selectbox(key="export_list").options)
    test.text_input(key="export_new_list").set_value(LIST_NAME).run()
    test.button(key="export_create_list").click().run()
    assert "already" in test.error[0].value
    assert test.selectbox(key="export_list").value == chosen


@pytest.mark.parametrize("text", [LIST_ID, f"https://app.constantcontact.com/lists/{LIST_ID}"])
def test_export_takes_a_pasted_list(
    open_page: OpenPage, connection: Connection, sandbox: RunningSandbox, text: str
) -> None:
    break_lists(sandbox)
    test = open_page("export")
    test.text_input(key="export_pasted_list").set_value(text).run()
    test.button(key="export_use_list").click().run()
    assert test.selectbox(key="export_list").value == LIST_ID


def test_export_refuses_a_pasted_text_without_a_list(
    open_page: OpenPage, connection: Connection
) -> None:
    test = open_page("export")
    test.text_input(key="export_pasted_list").set_value("spring").run()
    test.button(key="export_use_list").click().run()
    assert "holds no list id" in test.error[0].value


# --- data matching and preview -------------------------------------------------------------------


def test_export_preview_adds_up_and_agrees_with_the_command(
    open_page: OpenPage, installation: Installation, export: ExportView
) -> None:
    test = open_page("export", export=export.export.id)
    counts = Exports(installation).preview("Newsletter", by=BY).counts
    assert metrics(test) == {
        "Read": counts.read,
        "Will be sent": counts.prepared,
        "Left out": counts.rejected,
    }
    assert f"{counts.files} file" in texts(test)
    labels = "\n".join(each.label for each in test.expander)
    for number in counts.rejections.values():
        assert f"**{number:,}**" in labels


def test_export_preview_follows_the_mapping(open_page: OpenPage, export: ExportView) -> None:
    test = open_page("export", export=export.export.id)
    test.button(key="export_add_attribute").click().run()
    assert test.selectbox(key="export_field_3").value == "phone"
    test.selectbox(key="export_field_3").select("company_name").run()
    test.selectbox(key="export_from_3").select("constant").run()
    test.text_input(key="export_text_3").set_value("<i>ACME & Söhne</i>").run()
    assert "&lt;i&gt;ACME &amp; Söhne&lt;/i&gt;" in cards(test)
    test.selectbox(key="export_from_3").select("template").run()
    test.text_input(key="export_text_3").set_value("of {City}").run()
    assert ">of " in cards(test)
    test.button(key="export_remove_3").click().run()
    assert "Company name" not in cards(test)


@pytest.mark.parametrize(
    ("template", "says"),
    [("Dear {", "is not a template"), ("Dear {Nobody}", 'no attribute "Nobody"')],
)
def test_export_says_what_is_wrong_with_a_template(
    open_page: OpenPage, export: ExportView, template: str, says: str
) -> None:
    test = open_page("export", export=export.export.id)
    test.selectbox(key="export_from_1").select("template").run()
    test.text_input(key="export_text_1").set_value(template).run()
    assert not test.exception
    assert says in texts(test).replace("\\", "")


def test_export_preview_shows_profiles_in_trouble_and_by_key(
    open_page: OpenPage, export: ExportView
) -> None:
    test = open_page("export", export=export.export.id)
    test.segmented_control(key="export_sample_how").set_value("troubled").run()
    assert cards(test).count("Left out") > 1
    test.segmented_control(key="export_sample_how").set_value("key").run()
    test.text_input(key="export_sample_key").set_value("no such").run()
    assert "has the key no such" in texts(test)


def test_export_uses_custom_fields_with_their_types(
    open_page: OpenPage, installation: Installation, export: ExportView, sandbox: RunningSandbox
) -> None:
    sandbox.state.change({"custom_fields": [{"label": "Joined", "type": "date"}]})
    test = open_page("export", export=export.export.id)
    test.button(key="export_add_attribute").click().run()
    assert "Joined (date)" in test.selectbox(key="export_field_3").options
    test.selectbox(key="export_field_3").select("cf:Joined").run()
    test.selectbox(key="export_from_3").select("attribute:EMail").run()
    assert metrics(test)["Will be sent"] == 0  # no address is a date
    test.selectbox(key="export_from_3").select("attribute:CreatedOn").run()
    assert metrics(test)["Will be sent"] > 0
    test.button(key="export_save").click().run()
    assert ("cf:Joined", "CreatedOn") in installation.exports.by_name("Newsletter").mapping


def test_export_without_custom_fields_from_constant_contact_can_still_be_set_up(
    open_page: OpenPage, connection: Connection, sandbox: RunningSandbox
) -> None:
    break_lists(sandbox, operation="GET /v3/contact_custom_fields")
    test = open_page("export")
    assert "custom fields could not be asked for" in test.warning[0].value
    sandbox.state.change({"faults": []})
    test.button(key="export_fields_again").click().run()
    assert not test.warning


# --- an edit -------------------------------------------------------------------------------------


def test_export_edited_in_two_browsers_tells_the_second_and_overwrites_nothing(
    open_page: OpenPage, installation: Installation, export: ExportView
) -> None:
    second = open_page("export", export=export.export.id)
    theirs = ExportDraft(
        "Newsletter", "Marketing", LIST_ID, SEGMENTS[:1], parse_mapping(["email=EMail"])
    )
    Exports(installation).update("Newsletter", theirs, by=BY)
    second.text_input(key="export_name").set_value("Mine").run()
    second.button(key="export_save").click().run()
    assert "Somebody changed" in second.error[0].value
    assert installation.exports.get(export.export.id).mapping == (("email", "EMail"),)
    assert second.text_input(key="export_name").value == "Mine"
    assert "As it is stored now" in texts(second)
    second.button(key="export_take_theirs").click().run()
    assert second.text_input(key="export_name").value == "Newsletter"
    assert second.multiselect(key="export_segments").value == list(SEGMENTS[:1])


def test_export_that_is_gone_says_so(open_page: OpenPage, export: ExportView) -> None:
    test = open_page("export", export=export.export.id + 1)
    assert not test.exception
    assert "removed" in test.warning[0].value


def test_export_that_is_detached_asks_for_a_connection(
    open_page: OpenPage, installation: Installation, export: ExportView
) -> None:
    Connections(installation).remove("Marketing", by=BY)
    connect(installation, "Another")
    test = open_page("export", export=export.export.id)
    assert not test.exception
    assert test.selectbox(key="export_connection").value is None
    assert test.button(key="export_save").disabled


def test_export_whose_column_and_segment_are_gone_stays_editable(
    open_page: OpenPage,
    installation: Installation,
    export: ExportView,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = write_source(tmp_path / "less", [{"CustomerId": "1", "EMail": "a@example.com"}])
    monkeypatch.setenv("CCEXPORT_SOURCE_URL", f"file:{folder}")
    test = open_page("export", export=export.export.id)
    shown = texts(test).replace("\\", "")
    assert 'no attribute "FirstName"' in shown
    assert "A segment is gone" in shown
    for row in (1, 2):
        test.button(key=f"export_remove_{row}").click().run()
    test.multiselect(key="export_segments").set_value(["All"]).run()
    assert metrics(test)["Will be sent"] == 1


def test_export_opens_when_the_source_is_gone(
    open_page: OpenPage, export: ExportView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCEXPORT_SOURCE_URL", f"file:{tmp_path / 'nowhere'}")
    test = open_page("export", export=export.export.id)
    assert not test.exception
    assert "does not exist" in texts(test)
    assert test.text_input(key="export_name").value == "Newsletter"


def test_export_whose_list_was_deleted_meanwhile_says_so(
    open_page: OpenPage, installation: Installation, export: ExportView, sandbox: RunningSandbox
) -> None:
    delete_list(sandbox)
    test = open_page("export", export=export.export.id)
    assert "not among the account's lists" in texts(test)
    test.button(key="export_save").click().run()
    assert "was deleted at Constant Contact" in test.error[0].value
