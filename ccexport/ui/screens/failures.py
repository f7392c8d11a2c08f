"""What people see of an error of our own: a sentence with a number, under which the log has the rest."""

from __future__ import annotations

import logging
import uuid

import streamlit as st

log = logging.getLogger(__name__)


def on_script_error(error: Exception) -> bool:
    """Log the exception under a number and show the number; Streamlit then shows nothing of its own."""
    number = uuid.uuid4().hex[:8]
    log.error("error %s on a page", number, exc_info=error)
    st.error(
        f"Something went wrong on our side (number {number}). Reload the page; if it stays, give this number to "
        "the people who run ccexport: the log has the rest under it."
    )
    return True


def log_once() -> None:
    """Keep Streamlit from logging the same exception as well, without the number."""
    logging.getLogger("streamlit.error_util").addFilter(_is_not_ours)


def _is_not_ours(record: logging.LogRecord) -> bool:
    return record.msg != "Uncaught app execution"
