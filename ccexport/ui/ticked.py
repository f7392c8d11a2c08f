"""Rows that are ticked in a table, by what they are about and not by where they are.

Streamlit keeps a selection as positions, which stay while the rows below them become others: somebody adds one that
sorts first, a filter is changed, the rows are ordered anew. So a table whose rows are others than before is drawn as a
new one, with the same things ticked as far as they are still shown.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

import streamlit as st

Id = TypeVar("Id", bound=Hashable)


class Ticked(Generic[Id]):
    """What is ticked in the table `name`, whose rows now are those of `ids`, in their order.

    Give the table `key` and, as `on_select`, `select`; then ask for `ids`.
    """

    def __init__(self, name: str, ids: Sequence[Id]) -> None:
        self._shown = list(ids)
        self._name = name
        state = st.session_state
        if state.get(f"{name}_shown") != self._shown:
            before = self.ids
            state[f"{name}_turn"] = state.get(f"{name}_turn", -1) + 1
            state[f"{name}_shown"] = self._shown
            state[f"{name}_ticked"] = [each for each in self._shown if each in before]
            if self.ids:
                rows = [self._shown.index(each) for each in self.ids]
                state[self.key] = {"selection": {"rows": rows, "columns": [], "cells": []}}

    @property
    def key(self) -> str:
        """Another one once the rows are others."""
        return f"{self._name}_{st.session_state[f'{self._name}_turn']}"

    @property
    def select(self) -> Callable[[], None]:
        """For the table to call; it knows the rows as they were drawn when one of them was ticked."""
        key, shown = self.key, self._shown

        def selected() -> None:
            rows = st.session_state[key]["selection"]["rows"]
            ticked = [shown[row] for row in rows if row < len(shown)]
            st.session_state[f"{self._name}_ticked"] = ticked

        return selected

    @property
    def ids(self) -> list[Id]:
        """What is ticked, and shown."""
        found: list[Id] = st.session_state.get(f"{self._name}_ticked", [])
        return found
