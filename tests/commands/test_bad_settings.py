"""Every setting out of range is one line: the variable, what it holds, what it should hold; secrets are not shown."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from ccexport.settings import PREFIX, SHOULD_HOLD, Settings
from tests.commands.running import Here, assert_one_line, run_process
from tests.kit.house import House

ANYTHING = {
    "oidc_role_claim",
    "cc_client_id",
    "cc_client_secret",
    "oidc_client_id",
    "oidc_client_secret",
}
BAD: dict[str, tuple[str, ...]] = {
    "data_dir": ("",),
    "database_url": (
        "nonsense",
        "mysql://db/x",
        "sqlite://",
        "postgresql+asyncpg://db/x",
        "postgresql+psycopg://ana:opensesame@db:port/x",
    ),
    "source_url": ("nonsense", "file:", "/data"),
    "cc_api_url": (
        "api.cc.email",
        "ftp://api.cc.email",
        "http://api.cc.email/v3",
        "https://api.cc.email/v3?key=1",
        "https://api.cc.email:99999",
    ),
    "cc_auth_url": ("", "http://authz.constantcontact.com", "https://h:port"),
    "cc_requests_per_second": ("0", "-1", "101", "four", "nan", "inf", ""),
    "cc_requests_per_day": ("0", "1.5", "10000001", "many"),
    "public_url": ("localhost:8501", "ftp://h", "http://h:99999", "http://h/?a=1", "http://h/#a"),
    "secret_key": ("opensesame", "A" * 44 + "==", "A" * 43 + "=,opensesame"),
    "backup_passphrase": ("opensesame",),
    "max_profiles": ("0", "1000001", "1e6", "-5"),
    "poll_seconds": ("0", "0.01", "61", "never", "nan"),
    "retention_days": ("0", "3651", "x"),
    "log_format": ("xml", ""),
    "log_level": ("loud", ""),
    "oidc_issuer": ("login.example.com", "http://login.example.com", "ftp://login.example.com"),
    "oidc_roles": ("admins", "admins=owner", "=viewer", "a=viewer,b"),
    "oidc_default_role": ("administrator", "contributor", ""),
    "session_minutes": ("0", "43201", "an hour"),
    "audit_days": ("29", "36501", "x"),
    "contributors_see_values": ("perhaps", ""),
    "trusted_proxies": ("proxy.example.com", "10.0.0.0/33", "10.0.0.5;10.0.0.6"),
    "webhook_hosts": ("10.0.0.0/33", "hooks.local;10.0.0.1", "two words"),
    "metrics_token": ("two words", "caf\u00e9"),
    "admins": ("ana", "ana@example.com;bob@example.com", "ana@example.com,bob"),
}
ROWS = [(name, value) for name, values in BAD.items() for value in values]


def test_every_setting_that_can_be_wrong_is_in_the_table() -> None:
    assert set(BAD) == set(Settings.model_fields) - ANYTHING
    assert set(SHOULD_HOLD) == set(Settings.model_fields)


@pytest.mark.parametrize(("name", "value"), ROWS)
def test_a_setting_out_of_range_is_one_line(
    here: Here, quiet_house: House, name: str, value: str
) -> None:
    variable = f"{PREFIX}{name.upper()}"
    environment = quiet_house.environment() | {variable: value}
    outcome = here("runs", "list", environment=environment)
    assert_one_line(outcome, variable, f"it should hold {SHOULD_HOLD[name]}.")
    assert "opensesame" not in outcome.err
    if name not in ("secret_key", "metrics_token", "admins") and "opensesame" not in value:
        assert f'holds "{value}"' in outcome.err


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CCEXPORT_CC_REQUESTS_PER_SECOND", "0.5"),
        ("CCEXPORT_POLL_SECONDS", "0.05"),
        ("CCEXPORT_MAX_PROFILES", "1"),
        ("CCEXPORT_LOG_LEVEL", "DEBUG"),
        ("CCEXPORT_LOG_FORMAT", "json"),
        ("CCEXPORT_CC_CLIENT_SECRET", ""),
        ("CCEXPORT_SECRET_KEY", ""),
        ("CCEXPORT_OIDC_ISSUER", "https://login.example.com/tenant"),
        ("CCEXPORT_OIDC_ISSUER", "http://127.0.0.1:9000"),
        ("CCEXPORT_ADMINS", "ana@example.com, bob@example.com"),
        ("CCEXPORT_PUBLIC_URL", "https://exports.example.com/"),
    ],
)
def test_a_setting_at_the_edge_is_taken(
    here: Here, quiet_house: House, variable: str, value: str
) -> None:
    outcome = here(
        "runs", "list", "--json", environment=quiet_house.environment() | {variable: value}
    )
    assert (outcome.code, outcome.err) == (0, "")


def test_a_data_folder_that_cannot_be_made_is_one_line(
    here: Here, quiet_house: House, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    environment = quiet_house.environment() | {
        "CCEXPORT_DATA_DIR": str(tmp_path / "file" / "var"),
        "CCEXPORT_DATABASE_URL": "",
    }
    assert_one_line(here("runs", "list", environment=environment), "CCEXPORT_DATA_DIR")


@pytest.mark.parametrize("command", [("segments", "list"), ("exports", "preview", "Newsletter")])
def test_a_source_of_no_known_kind_is_one_line_without_its_password(
    here: Here, quiet_house: House, command: tuple[str, ...]
) -> None:
    environment = quiet_house.environment() | {
        "CCEXPORT_SOURCE_URL": "nosuch://ana:opensesame@db.example.com/shop"
    }
    outcome = here(*command, environment=environment)
    assert_one_line(outcome, "nosuch://ana:***@db.example.com/shop", "CCEXPORT_SOURCE_URL")
    assert "opensesame" not in outcome.err


def test_a_database_that_does_not_answer_is_one_line_without_its_password(
    here: Here, quiet_house: House
) -> None:
    url = "postgresql+psycopg://ana:opensesame@127.0.0.1:1/shop"
    outcome = here(
        "runs", "list", environment=quiet_house.environment() | {"CCEXPORT_DATABASE_URL": url}
    )
    assert_one_line(outcome, "ana:***@127.0.0.1:1/shop", "CCEXPORT_DATABASE_URL")


def test_a_store_that_is_damaged_is_one_line(
    here: Here, quiet_house: House, tmp_path: Path
) -> None:
    path = tmp_path / "ccexport.db"
    path.write_bytes(b"this is no database " * 1_000)
    environment = quiet_house.environment() | {"CCEXPORT_DATABASE_URL": f"sqlite:///{path}"}
    assert_one_line(here("runs", "list", environment=environment), str(path), "damaged", "backup")
    assert path.read_bytes() == b"this is no database " * 1_000


def test_a_store_newer_than_the_code_is_one_line_and_stays(
    here: Here, quiet_house: House, tmp_path: Path
) -> None:
    path = tmp_path / "ccexport.db"
    environment = quiet_house.environment() | {"CCEXPORT_DATABASE_URL": f"sqlite:///{path}"}
    assert here("runs", "list", environment=environment).code == 0
    with sqlite3.connect(path) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    outcome = here("exports", "list", environment=environment)
    assert_one_line(outcome, str(path), "newer", "9999", "Install")


def test_a_key_file_that_is_damaged_is_one_line(here: Here, house: House) -> None:
    (house.settings.data_dir / "secret.key").write_text("opensesame")
    outcome = here("connections", "check", "Marketing", environment=house.environment())
    assert_one_line(outcome, "secret.key", "backup")
    assert "opensesame" not in outcome.err


def test_another_key_than_the_sign_ins_were_made_with_is_one_line(here: Here, house: House) -> None:
    environment = house.environment() | {"CCEXPORT_SECRET_KEY": "A" * 43 + "="}
    outcome = here("connections", "check", "Marketing", environment=environment)
    assert_one_line(outcome, "CCEXPORT_SECRET_KEY")


def test_a_dotenv_file_is_read_and_the_environment_wins(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("CCEXPORT_POLL_SECONDS=never\n", encoding="utf-8")
    assert_one_line(here("runs", "list", environment={}), "CCEXPORT_POLL_SECONDS", '"never"')
    outcome = here("runs", "list", "--json", environment={"CCEXPORT_POLL_SECONDS": "1"})
    assert (outcome.code, outcome.out) == (0, "[]\n")


def test_a_dotenv_file_that_is_not_utf8_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"CCEXPORT_ADMINS=\xff\xfe\n")
    outcome = run_process("runs", "list", environment={"PATH": "/usr/bin:/bin"}, cwd=tmp_path)
    assert_one_line(outcome, ".env", "UTF-8")
