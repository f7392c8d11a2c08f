"""The frame around the pages: its menu, its looks, and what an error of our own shows."""

from __future__ import annotations

import logging
import re
import tomllib

import pytest
from streamlit.testing.v1 import AppTest

from ccexport.installation import Installation
from ccexport.redaction import redact
from ccexport.ui import page
from ccexport.ui.screens.failures import log_once
from ccexport.ui.shell import LOOKS, MENU
from ccexport.words import moment
from tests.ui.conftest import ROOT

NO_WIDTH = "\N{WORD JOINER}"


def test_menu_has_every_page_file() -> None:
    listed = {screen.name for screens in MENU.values() for screen in screens}
    assert {path.stem for path in (ROOT / "pages").glob("*.py")} <= listed


def test_menu_leaves_out_pages_that_need_an_id() -> None:
    hidden = {s.name for screens in MENU.values() for s in screens if not s.listed}
    assert hidden == {"export", "run"}


def test_shell_opens_its_first_page(installation: Installation) -> None:
    test = AppTest.from_file(str(ROOT / "ccexport" / "ui" / "shell.py"), default_timeout=30).run()
    assert not test.exception
    assert test.title


def test_no_pages_folder_lies_beside_the_shell() -> None:
    assert not (ROOT / "ccexport" / "ui" / "pages").exists()


def test_looks_are_carried_here_and_ask_no_other_host() -> None:
    assert (LOOKS / "favicon.png").read_bytes().startswith(b"\x89PNG")
    links = re.findall(r'https?://[^"\s]+', (LOOKS / "logo.svg").read_text())
    assert set(links) == {"http://www.w3.org/2000/svg"}  # a name, not a place


def test_configuration_sends_nothing_away_and_shows_no_deploy_button() -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert config["browser"]["gatherUsageStats"] is False
    assert config["client"]["toolbarMode"] in ("viewer", "minimal")
    assert config["client"]["showErrorDetails"] == "none"
    assert config["server"]["address"] == "127.0.0.1"
    assert "http" not in str(config["theme"])


def test_uncaught_exception_shows_a_sentence_whose_number_is_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    test = AppTest.from_function(_page_that_fails).run()
    (shown,) = (error.value for error in test.error)
    number = re.search(r"number ([0-9a-f]{8})", shown)
    assert number
    assert "ana@example.com" not in shown
    (record,) = (each for each in caplog.records if number[1] in each.getMessage())
    assert record.levelno == logging.ERROR
    assert record.exc_info
    assert "ValueError" in redact(logging.Formatter().formatException(record.exc_info))


def test_exception_is_logged_once() -> None:
    logger = logging.getLogger("streamlit.error_util")
    before = list(logger.filters)
    try:
        log_once()
        twice = logger.makeRecord("x", 40, "f", 1, "Uncaught app execution", (), None)
        other = logger.makeRecord("x", 40, "f", 1, "Something else", (), None)
        assert not logger.filter(twice)
        assert logger.filter(other)
    finally:
        logger.filters[:] = before


@pytest.mark.parametrize(
    "text",
    ["<b>x</b>", "*x* _y_", "$x$ :red[x]", "[a](http://x)", "https://x.y www.x.y", "# no", "`"],
)
def test_plain_text_is_shown_as_it_is(text: str) -> None:
    test = AppTest.from_function(_page_with, args=(page.plain(text),)).run()
    shown = test.markdown[0].value
    assert shown.replace("\\", "").replace(NO_WIDTH, "") == text


def test_addresses_within_shown_text_are_no_links() -> None:
    """Streamlit makes links of what looks like an address, after the backslashes are gone."""
    shown = page.plain("see https://x.y, HTTP://x.y and www.x.y").replace("\\", "")
    assert shown == f"see https{NO_WIDTH}://x.y, HTTP{NO_WIDTH}://x.y and www{NO_WIDTH}.x.y"


def test_no_time_is_a_dash() -> None:
    assert moment(None) == "–"  # a dash is meant


def _page_that_fails() -> None:
    from ccexport.ui.screens.failures import on_script_error

    try:
        raise ValueError("no such member: ana@example.com")
    except ValueError as error:
        on_script_error(error)


def _page_with(text: str) -> None:
    import streamlit as st

    st.markdown(text)
