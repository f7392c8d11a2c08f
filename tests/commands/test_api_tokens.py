"""`api-tokens …`."""

from __future__ import annotations

from ccexport.services.api.tokens import is_well_formed
from tests.commands.running import Here, assert_one_line
from tests.kit.house import House


def test_api_tokens_are_shown_once_listed_and_revoked(here: Here, house: House) -> None:
    environment = house.environment()
    assert "Make a token" in here("api-tokens", "list", environment=environment).err
    added = here(
        *("api-tokens", "add", "airflow", "--export", "newsletter", "--read-only", "--days", "90"),
        environment=environment,
    )
    assert (added.code, is_well_formed(added.out.strip())) == (0, True)
    listed = here("api-tokens", "list", environment=environment)
    assert "airflow" in listed.out
    assert "cce_" not in listed.out
    [document] = here("api-tokens", "list", "--json", environment=environment).document
    assert (document["name"], document["exports"], document["read_only"]) == (
        *("airflow", ["Newsletter"], True),
    )
    assert document["expires_at"] > document["created_at"]
    assert here("api-tokens", "revoke", "airflow", environment=environment).code == 0
    assert here("api-tokens", "list", "--json", environment=environment).document == []
    again = here("api-tokens", "revoke", "airflow", environment=environment)
    assert_one_line(again, 'no API token "airflow"')
    other = here("api-tokens", "add", "dbt", "--export", "Nothing", environment=environment)
    assert_one_line(other, 'no export "Nothing"')
