"""Runs by commands from places as people have them: at the stand-in is who is in the segment, and nobody else."""

from __future__ import annotations

from pathlib import Path

import ibis
import pytest

from tests.commands.running import Here
from tests.kit.house import LIST_ID, House
from tests.kit.stores import empty_postgres
from tests.segments.cdm_folders import customers, memberships, put, segments

COUNT = 60


def email(number: int) -> str:
    return f"person{number}@example.com"


EXPECTED = {email(number) for number in range(0, COUNT, 2)}


def cdm(tmp_path: Path, _postgres_url: str) -> str:
    rows = [f'"{n}","{email(n)}","First {n}"' for n in range(COUNT)]
    members = [segments(str(n), "News", "All") for n in range(0, COUNT, 2)]
    members.append(segments("gone", "News"))
    folder = put(tmp_path / "lake", customers(*rows), memberships(*members))
    return f"cdm:{folder}"


def postgres(_tmp_path: Path, postgres_url: str) -> str:
    address = empty_postgres(postgres_url).replace("postgresql+psycopg://", "postgres://")
    backend = ibis.connect(address)
    backend.raw_sql('CREATE TABLE person (id int, "EMail" text, "FirstName" text)').close()
    backend.raw_sql("CREATE TABLE audience (person_id text, audience text)").close()
    people = (
        "SELECT n, 'person' || n || '@example.com', 'First ' || n FROM generate_series(0, 59) n"
    )
    backend.raw_sql(f"INSERT INTO person {people}").close()
    backend.raw_sql(
        "INSERT INTO audience SELECT n::text, 'News' FROM generate_series(0, 58, 2) n UNION VALUES ('gone', 'News')"
    ).close()
    backend.disconnect()
    mark = "&" if "?" in address else "?"
    return (
        f"{address}{mark}customer_table=person&customer_key=id&membership_table=audience"
        "&membership_key=person_id&segment=audience"
    )


def yaml(tmp_path: Path, _postgres_url: str) -> str:
    folder = tmp_path / "tables"
    folder.mkdir()
    rows = "".join(
        f"{n};{email(n)};First {n};{'yes' if n % 2 == 0 else 'no'}\n" for n in range(COUNT)
    )
    (folder / "person.csv").write_text("id;EMail;FirstName;news\n" + rows)
    (folder / "more.csv").write_text("id\ngone\n")
    (tmp_path / "source.yaml").write_text(
        "url: file:tables\nprofiles: {table: person, key: id}\nmemberships:\n"
        "- {shape: flags, columns: {News: news}}\n- {shape: tables, tables: {News: more}}\n"
    )
    return str(tmp_path / "source.yaml")


@pytest.mark.parametrize("make", [cdm, postgres, yaml])
def test_a_run_sends_exactly_the_members_of_the_segment(
    here: Here, house: House, tmp_path: Path, postgres_url: str, make: object
) -> None:
    address = make(tmp_path, postgres_url)  # type: ignore[operator]
    environment = house.environment() | {"CCEXPORT_SOURCE_URL": address}

    checked = here("sources", "check", "--json", environment=environment).document
    assert checked["profiles"]["rows"] == COUNT
    assert checked["members_without_profile"] == 1
    assert checked["example_of_each_side"][0] == "gone"
    assert here("sources", "check", environment=environment).code == 0

    added = here(
        *("exports", "add", "News", "--connection", "Marketing", "--list-id", LIST_ID),
        *("--segment", "News", "--map", "email=EMail", "--map", "first_name=FirstName"),
        environment=environment,
    )
    assert added.code == 0, added.err
    preview = here("exports", "preview", "News", "--json", environment=environment).document
    assert preview["counts"]["prepared"] == COUNT // 2
    assert preview["members_without_profile"] == 1
    shown = here("exports", "preview", "News", environment=environment)
    assert '1 member has no profile, of 31: such as "gone"' in shown.err

    ran = here("exports", "run", "News", "--wait", "--json", environment=environment)
    assert ran.code == 0, ran.err
    assert ran.document["counts"]["read"] == COUNT // 2
    assert set(house.members()) == EXPECTED
    found = here("people", "find", email(2), "--json", environment=environment)
    assert found.document["customer_ids"] == ["2"]
