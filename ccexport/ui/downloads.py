"""A button that downloads a CSV file, made once somebody presses it and kept until their browser has fetched it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import cycle

import streamlit as st
from streamlit import runtime
from streamlit.runtime.media_file_manager import MediaFileManager

CSV = "text/csv"
KEPT_SECONDS = (
    60.0  # between the press and the browser's request; a file that is being sent is whole anyway
)

_places = cycle(f"download {number}" for number in range(1_000))


def button(label: str, make: Callable[[], bytes], *, file_name: str, key: str) -> None:
    """Draw the button; `make` gives the file's bytes and is called at each press, outside of the page."""

    def pressed() -> bytes:
        content = make()
        if runtime.exists():
            keep(runtime.get_instance().media_file_mgr, content, file_name)
        return content

    st.download_button(
        label,
        data=pressed,
        file_name=file_name,
        mime=CSV,
        key=key,
        icon=":material/download:",
        on_click="ignore",
    )


def keep(
    files: MediaFileManager, content: bytes, file_name: str, seconds: float = KEPT_SECONDS
) -> threading.Timer:
    """Refer to the file of a download for so long, then let go of it.

    Streamlit refers to such a file from nowhere and forgets it once two pages of anybody have been drawn, which pages
    that draw themselves again do within a second: the browser's request for it then meets a 404.

    Returns:
        What lets go of it, started.
    """
    place = next(_places)
    files.add(content, CSV, place, file_name, is_for_static_download=True)
    # Another file at the same place takes the reference away; an empty one is the same for all.
    letting_go = threading.Timer(seconds, files.add, args=(b"", CSV, place))
    letting_go.daemon = True
    letting_go.start()
    return letting_go
