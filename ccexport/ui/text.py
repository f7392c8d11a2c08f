"""Text as people see it, and sending a browser elsewhere."""

from __future__ import annotations

import re

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.scriptrunner import get_script_run_ctx

_MARKDOWN = frozenset("\\`*_{}[]()<>#+-.!|~$:^=&\"'")


# Streamlit makes links of addresses after it has taken the backslashes away; a word joiner has no width
_ADDRESS = re.compile(r"\b(https?(?=\\:)|www(?=\\\.))", re.IGNORECASE)


def plain(text: str) -> str:
    """Text from people, source and service, so that Streamlit shows it as it is: no Markdown, HTML, maths, icon, link.

    (But for email addresses, which lead to nothing but a letter to them.)
    """
    escaped = "".join(f"\\{sign}" if sign in _MARKDOWN else sign for sign in text)
    return _ADDRESS.sub("\\1\N{WORD JOINER}", escaped)


def go_to(address: str) -> None:
    """Send this browser tab to an address of ours beside the pages, as `st.login` does to its own."""
    context = get_script_run_ctx()
    if context is not None:
        message = ForwardMsg()
        message.auth_redirect.url = address
        context.enqueue(message)
