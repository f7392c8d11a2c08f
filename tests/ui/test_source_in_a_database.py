"""Pages over a source that is a database: segments by their labels, the preview, and a run that is started there."""

from __future__ import annotations

import json
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ccexport.installation import Installation
from ccexport.services.runs.runs import Runs
from ccexport.store.exports import ExportView
from ccexport.ui.screens.mapping_preview import live
from ccexport.worker import Worker
from tests.kit.stores import empty_postgres
from tests.ui.conftest import OpenPage

SOURCE = """url: {address}
profiles: {{table: Customer, key: CustomerId}}
memberships:
- {{table: SegmentMembership, key: CustomerId, segment: Segment}}
segment_names: {{table: metadata, name: internal, label: friendly}}
"""


@pytest.fixture
def in_a_database(
    environment: None,
    source_folder: Path,
    postgres_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The sample's profiles as tables of PostgreSQL, with a third one of labels."""
    address = empty_postgres(postgres_url).replace("postgresql+psycopg://", "postgres://")
    backend = ibis.connect(address)
    for name in ("Customer", "SegmentMembership"):
        rows = pq.read_table(source_folder / f"{name}.parquet")
        backend.create_table(name, ibis.memtable(rows))
    labels = pa.table({"internal": ["Spring buyers"], "friendly": ["Bought in spring"]})
    backend.create_table("metadata", ibis.memtable(labels))
    backend.disconnect()
    (tmp_path / "source.yaml").write_text(SOURCE.format(address=json.dumps(address)))
    monkeypatch.setenv("CCEXPORT_SOURCE_URL", str(tmp_path / "source.yaml"))


def test_pages_show_preview_and_run_what_is_in_a_database(
    in_a_database: None, installation: Installation, export: ExportView, open_page: OpenPage
) -> None:
    sizes = open_page("segments").dataframe[0].value.set_index("Segment")["Members"]
    assert sizes["Bought in spring (Spring buyers)"] > 50
    form = open_page("export", export=export.export.id)
    assert "Bought in spring (Spring buyers)" in str(
        form.multiselect(key="export_segments").options
    )
    foretold = {each.label: int(each.value.replace(",", "")) for each in form.metric}
    form.button(key="export_run").click().run()
    assert not form.exception
    Worker(installation).work(until_idle=True)
    document = Runs(installation).document(1)
    assert document["state"] == "succeeded"
    counts = document["counts"]
    assert foretold["Will be sent"] == counts["prepared"] > 50
    assert counts["read"] == counts["rejected"] + counts["prepared"]
    assert open_page("run", run=1).title[0].value == "Run 1"
    live().close()  # what the pages keep open of the database
