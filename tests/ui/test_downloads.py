"""A downloaded file is there until the browser has asked for it, whoever else's pages are drawn meanwhile."""

from __future__ import annotations

import pytest
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.media_file_storage import MediaFileStorageError
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage

from ccexport.ui import downloads

NAME = "run-1-left-out.csv"
HOUR = 3_600.0


def test_a_file_stays_while_pages_are_drawn_and_goes_once_it_is_let_go_of() -> None:
    storage = MemoryMediaFileStorage("/media")
    files = MediaFileManager(storage)
    holding = []

    def make() -> bytes:
        holding.append(downloads.keep(files, b"id,email\r\n", NAME, HOUR))
        return b"id,email\r\n"

    pressed = files.add_deferred(make, downloads.CSV, "0.1", NAME)
    fetched = files.execute_deferred(pressed).removeprefix("/media/")
    _pages_are_drawn(files)
    assert storage.get_file(fetched).content == b"id,email\r\n"
    assert storage.get_file(fetched).filename == NAME

    [letting_go] = holding
    letting_go.cancel()
    letting_go.function(*letting_go.args)
    _pages_are_drawn(files)
    with pytest.raises(MediaFileStorageError):
        storage.get_file(fetched)


def test_two_downloads_of_one_file_each_keep_it() -> None:
    storage = MemoryMediaFileStorage("/media")
    files = MediaFileManager(storage)
    first, second = (downloads.keep(files, b"one", NAME, HOUR) for _ in range(2))
    for letting_go, is_kept in ((first, True), (second, False)):
        letting_go.cancel()
        letting_go.function(*letting_go.args)
        _pages_are_drawn(files)
        kept = [file for file in storage._files_by_id.values() if file.filename == NAME]
        assert bool(kept) is is_kept


def _pages_are_drawn(files: MediaFileManager) -> None:
    for _ in range(3):
        files.remove_orphaned_files()
