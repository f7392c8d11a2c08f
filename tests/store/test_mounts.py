"""C39: a store on a network drive is warned of, by what the system says about its mounts."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from ccexport.installation import Installation
from ccexport.services.operations.health import examine
from ccexport.settings import load_settings
from ccexport.store.database import mounts
from ccexport.store.database.mounts import network_file_system

TABLE = """\
/dev/sda1 / ext4 rw 0 0
server:/share {folder}/share nfs4 rw,vers=4.2 0 0
/dev/sdb1 {folder}/share/local ext4 rw 0 0
//nas/all {folder}/with\\040blank cifs rw 0 0
drive {folder}/drive fuse.sshfs rw 0 0
server:/old {folder}/twice nfs rw 0 0
/dev/sdc1 {folder}/twice xfs rw 0 0
short line
"""


@pytest.fixture(autouse=True)
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "mounts"
    table.write_text(TABLE.format(folder=tmp_path.resolve()))
    monkeypatch.setattr(mounts, "MOUNTS", table)


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("share/ccexport.db", "nfs4"),
        ("share/deeper/down/ccexport.db", "nfs4"),
        ("share/local/ccexport.db", None),
        ("shared/ccexport.db", None),
        ("with blank/ccexport.db", "cifs"),
        ("drive/ccexport.db", "fuse.sshfs"),
        ("twice/ccexport.db", None),
        ("ccexport.db", None),
    ],
)
def test_the_file_system_of_a_file_is_that_of_the_nearest_mount(
    tmp_path: Path, place: str, kind: str | None
) -> None:
    assert network_file_system(tmp_path / place) == kind


def test_a_link_to_a_network_drive_is_one(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(tmp_path / "share")
    assert network_file_system(tmp_path / "data" / "ccexport.db") == "nfs4"


def test_where_the_system_does_not_say_nothing_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "nowhere")
    assert network_file_system(tmp_path / "share" / "ccexport.db") is None


@pytest.mark.parametrize("place", ["share", "here"])
def test_doctor_warns_of_a_store_on_a_network_drive(tmp_path: Path, place: str) -> None:
    settings = load_settings(data_dir=tmp_path / place, cc_client_id="app")
    with closing(Installation(settings)) as installation:
        [store] = [each for each in examine(installation) if each.subject == "store"]
    assert store.ok == (place == "here")
    if not store.ok:
        assert "network file system (nfs4)" in store.text
        assert "use PostgreSQL" in store.text
