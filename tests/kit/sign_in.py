"""What `connections add` asks a person to open."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

ADDRESS = "Open this address: "


def asked(url: str) -> Mapping[str, str]:
    """What the address for the browser asks for."""
    return dict(parse_qsl(urlsplit(url).query))
