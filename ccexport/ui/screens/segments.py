"""The table of segments: how large, how much of it can be written to, how it grew, who uses it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from ccexport.services.exports.exports import Exports
from ccexport.services.operations.refreshes import Refreshes
from ccexport.services.people.access import Person
from ccexport.services.people.permission import may_somewhere
from ccexport.services.people.roles import Action
from ccexport.services.preview.preview_values import Usable
from ccexport.store.refreshes import SizeAt
from ccexport.ui import page
from ccexport.ui.page import plain
from ccexport.ui.screens.mapping_preview import live, wait_for
from ccexport.ui.screens.runs import link
from ccexport.words import counted

SAMPLE = 5
REFRESHES = 12


def table(by: Person) -> None:
    """Sizes at once; the share that can be written to when it has been counted."""
    segments = live().segments()
    sizes = {segment.name: segment.members for segment in segments}
    shown = {segment.name: segment.shown for segment in segments}
    history = Refreshes(page.installation()).all_sizes(REFRESHES)
    users = _exports_by_segment()
    st.caption(f"{counted(len(sizes), 'segment')} in the source.")
    spot = st.empty()
    known = live().usable()
    if not known.done():
        with spot:
            _draw(sizes, shown, history, users, None)
    usable = wait_for(known, "Looking at every email address …")
    with spot:
        _draw(sizes, shown, history, users, usable)
    if sizes and not usable:
        st.info("No attribute's name says that it holds an email address, so no share is shown.")
    _one(shown, users, by)


def _exports_by_segment() -> dict[str, list[tuple[int, str]]]:
    users: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for view in Exports(page.installation()).views():
        for segment in view.segments:
            users[segment].append((view.export.id, view.export.name))
    return users


def _draw(
    sizes: Mapping[str, int],
    shown: Mapping[str, str],
    history: Mapping[str, list[SizeAt]],
    users: Mapping[str, list[tuple[int, str]]],
    usable: Mapping[str, Usable] | None,
) -> None:
    rows = [
        {
            "Segment": shown[name],
            "Members": members,
            "Usable email": _share(usable.get(name)) if usable else None,
            "Size over refreshes": [at.members for at in history.get(name, [])],
            "Change": _change(history.get(name, []), members),
            "Exports": len(users.get(name, [])),
        }
        for name, members in sizes.items()
    ]
    number = st.column_config.NumberColumn
    st.dataframe(
        pd.DataFrame(rows),
        key="segments_table" if usable is None else "segments_table_counted",
        hide_index=True,
        height="content" if len(rows) <= 15 else 560,
        column_config={
            "Segment": st.column_config.TextColumn(width="medium", pinned=True),
            "Members": number(format="localized", width=110),
            "Usable email": st.column_config.ProgressColumn(
                format="percent",
                min_value=0,
                max_value=1,
                help="Members whose email address is valid and not too long.",
            ),
            "Size over refreshes": st.column_config.LineChartColumn(
                help=f"Members at the last {REFRESHES} refreshes.", y_min=0
            ),
            "Change": number(format="localized", width=100, help="Since the last refresh."),
            "Exports": number(format="localized", width=80),
        },
        placeholder="",
        alt="Segments with their sizes",
    )


def _share(found: Usable | None) -> float | None:
    return found.usable / found.members if found and found.members else None


def _change(sizes: list[SizeAt], members: int) -> int | None:
    return members - sizes[-1].members if sizes else None


def _one(shown: Mapping[str, str], users: Mapping[str, list[tuple[int, str]]], by: Person) -> None:
    """A segment looked at: its exports, and masked profiles."""
    chosen = st.selectbox(
        "Look into a segment",
        list(shown),
        format_func=lambda name: shown.get(name, name),
        index=None,
        key="segments_chosen",
        placeholder="Choose a segment",
        bind="query-params",
    )
    if chosen is None:
        return
    mine = users.get(chosen, [])
    if mine:
        st.markdown("Exports that use it:")
        with st.container(horizontal=True):
            for export_id, name in mine[:20]:
                if may_somewhere(page.installation(), by, Action.PREVIEW_EXPORT):
                    link("export", plain(name[:80]), icon=":material/upload:", export=export_id)
                else:
                    st.markdown(plain(name[:80]), width="content")
    else:
        st.markdown("No export uses it yet.")
        if may_somewhere(page.installation(), by, Action.ADD_EXPORT):
            link("export", "Add export", icon=":material/add:")
    rows: list[dict[str, Any]] = list(live().masked_sample(chosen, SAMPLE))
    st.markdown(f"The first {counted(len(rows), 'profile')} by key, masked:")
    st.dataframe(
        pd.DataFrame(rows), key="segments_sample", hide_index=True, height="content", placeholder=""
    )
