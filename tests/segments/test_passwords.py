"""A source's address in an error keeps its shape; of its password nothing is shown."""

from __future__ import annotations

import pytest

from ccexport.errors import SourceError
from ccexport.segments.source import open_source


@pytest.mark.parametrize(
    "password", ["w0rd", "p@ss:w0rd", "p%40ss%25w0rd", "a@b@c", "sl/a?sh@w0rd"]
)
def test_no_part_of_a_password_is_in_the_error_of_a_database_that_cannot_be_opened(
    password: str,
) -> None:
    with pytest.raises(SourceError) as caught:
        open_source(f"postgres://ccx:{password}@127.0.0.1:1/crm")
    said = str(caught.value)
    assert "postgres://ccx:***@127.0.0.1:1/crm" in said
    assert not any(piece in said for piece in ("w0rd", "@ss", "p%40", "b@c", "sl/a"))
