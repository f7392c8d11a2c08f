"""Exports for pages, and what their table shows of them."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from ccexport.installation import Installation
from ccexport.preparation.mapping import parse_mapping
from ccexport.services.exports.exports import ExportDraft, Exports
from ccexport.services.people.access import local_administrator
from ccexport.store.exports import ExportView
from tests.ui.conftest import LIST_ID, MAPPING, SEGMENTS

BY = local_administrator()


def add(installation: Installation, name: str, schedule: str = "refresh") -> ExportView:
    draft = ExportDraft(
        name, "Marketing", LIST_ID, SEGMENTS[:1], parse_mapping(MAPPING), schedule=schedule
    )
    return Exports(installation).add(draft, by=BY)


def names(test: AppTest) -> list[str]:
    return list(test.dataframe[0].value["Name"]) if test.dataframe else []
