"""C29: passwords with characters of an address in them, for the store and for the source. Nobody ever reads one."""

from __future__ import annotations

import uuid
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from ccexport.errors import SettingError, SourceError, StoreError
from ccexport.installation import Installation
from ccexport.redaction import mask_password
from ccexport.segments.databases import Database
from ccexport.segments.source import open_source
from ccexport.segments.spec import read_spec
from ccexport.services.operations.health import examine, shown_settings
from ccexport.services.operations.system import System
from ccexport.settings import load_settings
from ccexport.store.database.engine import open_engine, reading
from ccexport.store.database.migrate import migrate
from tests.kit.stores import empty_postgres

PASSWORD = "p@ss%w/rd:x?#&é"
ENCODED = quote(PASSWORD, safe="")
TABLES = "customer_table=crm.Customer&membership_table=crm.SegmentMembership"
NOWHERE = "127.0.0.1:1"  # nothing listens there


@pytest.fixture
def postgres_of_app(postgres_url: str) -> str:
    """A database of a user with that password, as somebody would write its address."""
    database, user = empty_postgres(postgres_url), f"app_{uuid.uuid4().hex[:8]}"
    admin = create_engine(database, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE ROLE {user} LOGIN SUPERUSER PASSWORD '{PASSWORD}'"))
    admin.dispose()
    url = make_url(database)
    host = f"{url.host or ''}:{url.port}" if url.port else (url.host or "")
    options = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in url.query.items())
    return f"://{user}:{ENCODED}@{host}/{url.database}?{options}"


@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "postgresql", "postgres"])
def test_a_store_whose_password_holds_percent_signs_starts_and_migrates(
    postgres_of_app: str, scheme: str, tmp_path: Path
) -> None:
    settings = load_settings(database_url=f"{scheme}{postgres_of_app}", data_dir=tmp_path)
    with closing(Installation(settings)) as installation:
        assert installation.runs.unfinished() == []
        shown = [*shown_settings(settings), *System(installation).places()]
        shown += [(finding.subject, finding.text) for finding in examine(installation)]
    _check_hidden(" ".join(f"{name} {value}" for name, value in shown))


@pytest.mark.parametrize("folder", ["a%20b", "100%", "%s %(x)s", "a b", "é?#"])
def test_a_store_in_a_folder_with_percent_signs_starts_and_migrates_there(
    tmp_path: Path, folder: str
) -> None:
    settings = load_settings(data_dir=tmp_path / folder)
    with closing(Installation(settings)) as installation:
        assert installation.runs.unfinished() == []
    assert (tmp_path / folder / "ccexport.db").is_file()


def test_a_percent_sign_in_an_address_of_sqlite_is_decoded(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/a%20b/store.db")
    migrate(engine)
    engine.dispose()
    assert (tmp_path / "a b" / "store.db").is_file()


@pytest.mark.parametrize(
    "options", ["", "?foo=bar", "?sslmode=bogus", f"?password={ENCODED}", "?passfile=/none"]
)
def test_a_store_that_cannot_be_reached_is_named_without_its_password(options: str) -> None:
    engine = open_engine(f"postgresql+psycopg://app:{ENCODED}@{NOWHERE}/cc{options}")
    with pytest.raises(StoreError) as caught, reading(engine) as session:
        session.connection()
    assert f"postgresql+psycopg://app:***@{NOWHERE}/cc" in str(caught.value)
    _check_hidden(str(caught.value))


def test_what_a_driver_quotes_of_an_address_is_without_the_password() -> None:
    """A password in the place of the host: the driver names what it could not resolve."""
    engine = open_engine(f"postgresql+psycopg://app:s3cret@{quote('s3cret')}.invalid/cc")
    with pytest.raises(StoreError) as caught, reading(engine) as session:
        session.connection()
    assert "(failed to resolve host '***.invalid'" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://app:p@ss/w0rd@127.0.0.1:1/cc",
        "postgres://app:p@ssw0rd@127.0.0.1/cc",
        "postgresql://app:pass?w0rd@127.0.0.1/cc",
        "postgresql://app:pass#w0rd@127.0.0.1/cc",
        "postgresql://app:pass/w0rd@127.0.0.1/cc",
    ],
)
def test_a_password_that_is_not_encoded_is_refused_with_how_to_write_it(url: str) -> None:
    with pytest.raises(SettingError) as caught:
        load_settings(database_url=url)
    assert "%40 %3A %2F %3F %23 %25" in str(caught.value)
    assert "w0rd" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgres://app:p@ss:w0rd@h/db", "postgres://app:***@h/db"),
        ("postgres://app:p@ss w0rd@h/db", "postgres://app:***@h/db"),
        ("postgres://h/db?user=a&password=s3cret&sslmode=require", None),
        ("snowflake://h/db?private_key=s3cret", "snowflake://h/db?private_key=***"),
        ("trino://u@h/db?access_token=s3cret", "trino://u@h/db?access_token=***"),
        ("file:data/sample", "file:data/sample"),
        ("duckdb://data/all.db?read_only=true", "duckdb://data/all.db?read_only=true"),
    ],
)
def test_an_address_is_shown_with_its_shape_and_without_its_secrets(
    url: str, shown: str | None
) -> None:
    expected = shown or "postgres://h/db?user=a&password=***&sslmode=require"
    assert mask_password(url) == expected


def test_a_source_with_an_encoded_password_and_tables_of_a_schema_is_read(
    postgres_of_app: str,
) -> None:
    _fill(postgres_of_app)
    with open_source(f"postgres{postgres_of_app}&{TABLES}") as source:
        assert [segment.name for segment in source.segments()] == ["News"]


def test_options_of_the_engine_reach_it_beside_ours(postgres_of_app: str) -> None:
    _fill(postgres_of_app)
    address = f"postgres{postgres_of_app}&sslmode=disable&{TABLES}"
    engine = Database(read_spec(address)).backend
    options = engine.con.info.get_parameters()  # what the driver was given, whatever it made of it
    engine.disconnect()
    assert options["sslmode"] == "disable"
    assert not {"customer_table", "membership_table"} & set(options)


def test_a_source_that_refuses_an_option_is_named_without_its_password() -> None:
    with pytest.raises(SourceError) as caught:
        open_source(f"postgres://app:{ENCODED}@{NOWHERE}/db?sslmode=bogus&{TABLES}")
    assert "invalid sslmode" in str(caught.value.__cause__)
    assert f"postgres://app:***@{NOWHERE}/db?sslmode=bogus" in str(caught.value)
    _check_hidden(str(caught.value))


def _fill(postgres_of_app: str) -> None:
    admin = create_engine(f"postgresql+psycopg{postgres_of_app}", isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        for statement in (
            "CREATE SCHEMA crm",
            'CREATE TABLE crm."Customer" ("CustomerId" text, "EMail" text)',
            'CREATE TABLE crm."SegmentMembership" ("CustomerId" text, "Segment" text)',
            "INSERT INTO crm.\"Customer\" VALUES ('1', 'ana@example.com')",
            "INSERT INTO crm.\"SegmentMembership\" VALUES ('1', 'News')",
        ):
            connection.execute(text(statement))
    admin.dispose()


def _check_hidden(shown: str) -> None:
    for secret in (PASSWORD, ENCODED, "w/rd", "w%2Frd"):
        assert secret not in shown
