"""Text as people see it, and sending a browser elsewhere."""

from __future__ import annotations

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.scriptrunner import get_script_run_ctx

_MARKDOWN = frozenset("\\`*_{}[]()<>#+-.!|~$:^=&\"'")


def plain(text: str) -> str:
    """Text from people, source and service, so that Streamlit shows it as it is: no Markdown, HTML, maths or icons."""
    return "".join(f"\\{sign}" if sign in _MARKDOWN else sign for sign in text)


def go_to(address: str) -> None:
    """Send this browser tab to an address of ours beside the pages, as `st.login` does to its own."""
    context = get_script_run_ctx()
    if context is not None:
        message = ForwardMsg()
        message.auth_redirect.url = address
        context.enqueue(message)
