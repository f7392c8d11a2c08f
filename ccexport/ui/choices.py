"""Choices that several pages offer."""

from __future__ import annotations

import streamlit as st

DAYS_CHOICES = {"Last 24 hours": 1, "Last 7 days": 7, "Last 30 days": 30, "Last year": 365}
ALL_TIME = "All time"


def pager(total: int, page_size: int, *, key: str) -> int:
    """The page to show, from 1; drawn where one page is not enough."""
    pages = max(1, -(-total // page_size))
    if int(st.session_state.get(key, 1)) > pages:
        st.session_state[key] = 1
    return int(st.pagination(pages, key=key)) if pages > 1 else 1
