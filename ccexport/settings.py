"""The settings: environment variables named `CCEXPORT_…`, or a `.env` file in the working directory.

A bad one is a `SettingError` of one line: the variable, what it holds, what it should hold.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ccexport.errors import SettingError
from ccexport.processes import is_this_machine
from ccexport.redaction import mask_password

PREFIX = "CCEXPORT_"
LEAST_PASSPHRASE = 12  # characters
LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
ROLES = ("viewer", "contributor", "administrator")

# What each variable should hold, in the words of an error; the README's table says the same at length.
SHOULD_HOLD: dict[str, str] = {
    "data_dir": "a folder that can be written",
    "database_url": "sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE, where the signs @ : / ? # % of a "
    "password are written %40 %3A %2F %3F %23 %25",
    "source_url": "file:DIR, cdm:PLACE, dataverse:https://ORG.crm.dynamics.com, "
    "a URL such as postgres://HOST/DATABASE, or FILE.yaml",
    "cc_client_id": "the API key of the application in Constant Contact's developer portal",
    "cc_client_secret": "the application's secret, or nothing at all",
    "cc_api_url": "an https:// address (http:// for this machine alone)",
    "cc_auth_url": "an https:// address (http:// for this machine alone)",
    "cc_requests_per_second": "a number above 0, at most 100",
    "cc_requests_per_day": "a whole number from 1 to 10000000",
    "public_url": "an http:// or https:// address without a query",
    "secret_key": "44 characters of URL-safe base64 (32 bytes); several with commas between, the newest first",
    "backup_passphrase": "a passphrase of at least 12 characters",
    "max_profiles": "a whole number from 1 to 1000000",
    "poll_seconds": "a number from 0.05 to 60",
    "retention_days": "a whole number from 1 to 3650",
    "log_format": "text or json",
    "log_level": "debug, info, warning or error",
    "oidc_issuer": "the https:// address of the OpenID Connect provider (http:// for this machine alone)",
    "oidc_client_id": "the client id registered at the OpenID Connect provider",
    "oidc_client_secret": "the client secret registered at the OpenID Connect provider",
    "admins": "addresses separated by commas",
    "oidc_role_claim": "the name of a claim, such as groups",
    "oidc_roles": "VALUE=ROLE separated by commas, each role viewer, contributor or administrator",
    "oidc_default_role": "none or viewer",
    "session_minutes": "a whole number from 1 to 43200",
    "audit_days": "a whole number from 30 to 36500",
    "contributors_see_values": "true or false",
    "trusted_proxies": "network addresses separated by commas, such as 10.0.0.5 or 10.0.0.0/24",
    "webhook_hosts": "names of hosts or network addresses separated by commas, such as hooks.local or 10.0.0.0/24",
    "metrics_token": "a token of letters, digits and signs, without blanks",
}
OIDC = ("oidc_issuer", "oidc_client_id", "oidc_client_secret")  # all of them or none


class Settings(BaseSettings):
    """Every setting, validated. Secrets are masked in `repr`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True
    )

    data_dir: Path = Path("data/var")
    database_url: str = ""  # filled in from data_dir where empty
    source_url: str = "file:data/sample"
    cc_client_id: str = ""
    cc_client_secret: SecretStr | None = None
    cc_api_url: str = "https://api.cc.email/v3"
    cc_auth_url: str = "https://authz.constantcontact.com/oauth2/default/v1"
    cc_requests_per_second: float = Field(default=4, gt=0, le=100)
    cc_requests_per_day: int = Field(default=10_000, ge=1, le=10_000_000)
    public_url: str = "http://localhost:8501"
    secret_key: SecretStr | None = None
    backup_passphrase: SecretStr | None = None
    max_profiles: int = Field(default=1_000_000, ge=1, le=1_000_000)
    poll_seconds: float = Field(default=5, ge=0.05, le=60)
    retention_days: int = Field(default=30, ge=1, le=3_650)
    log_format: LogFormat = "text"
    log_level: LogLevel = "info"
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: SecretStr | None = None
    admins: str = ""
    oidc_role_claim: str = ""
    oidc_roles: str = ""
    oidc_default_role: Literal["none", "viewer"] = "none"
    session_minutes: int = Field(default=480, ge=1, le=43_200)
    audit_days: int = Field(default=730, ge=30, le=36_500)
    contributors_see_values: bool = False
    trusted_proxies: str = ""
    webhook_hosts: str = ""
    metrics_token: SecretStr | None = None

    @field_validator(
        *("cc_client_secret", "secret_key", "backup_passphrase", "oidc_client_secret"),
        "metrics_token",
    )
    @classmethod
    def _empty_is_none(cls, value: SecretStr | None) -> SecretStr | None:
        return value if value and value.get_secret_value().strip() else None

    @field_validator("secret_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            from cryptography.fernet import Fernet

            for key in value.get_secret_value().split(","):
                Fernet(key.strip())  # raises ValueError
        return value

    @field_validator("metrics_token")
    @classmethod
    def _can_be_a_bearer(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[!-~]+", value.get_secret_value()):
            raise ValueError("not what a header can carry")
        return value

    @field_validator("backup_passphrase")
    @classmethod
    def _is_long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < LEAST_PASSPHRASE:
            raise ValueError("too short")
        return value

    @field_validator("cc_api_url", "cc_auth_url", "public_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        check_address(value)
        return value.rstrip("/")

    @field_validator("cc_api_url", "cc_auth_url", "oidc_issuer")
    @classmethod
    def _plain_http_stays_here(cls, value: str) -> str:
        is_plain = bool(value) and check_address(value) == "http"
        if is_plain and not is_this_machine(urlsplit(value).hostname or ""):
            raise ValueError("http to another machine")
        return value

    @field_validator("database_url")
    @classmethod
    def _is_a_known_database(cls, value: str) -> str:
        value = re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", value)  # as hosts hand it out
        if value and not re.match(r"(sqlite:///.+|postgresql\+psycopg://.+)", value):
            raise ValueError("unknown database")
        if value.startswith("postgresql"):
            _ = urlsplit(value).port  # raises ValueError
            if value.partition("?")[0].count("@") > 1:  # what follows the first would be the host
                raise ValueError("a password that is not encoded")
        return value

    @field_validator("data_dir", mode="before")
    @classmethod
    def _is_named(cls, value: object) -> object:
        if value == "":  # as a path it would be the working directory
            raise ValueError("empty")
        return value

    @field_validator("admins")
    @classmethod
    def _are_addresses(cls, value: str) -> str:
        for address in filter(None, map(str.strip, value.split(","))):
            if not re.fullmatch(r"[^@\s;]+@[^@\s;]+", address):
                raise ValueError("not an address")
        return value

    @field_validator("oidc_roles")
    @classmethod
    def _are_roles(cls, value: str) -> str:
        for text in filter(None, map(str.strip, value.split(","))):
            claimed, sign, role = text.rpartition("=")
            if not sign or not claimed.strip() or role.strip() not in ROLES:
                raise ValueError("not a role")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for text in filter(None, map(str.strip, value.split(","))):
            ip_network(text)  # raises ValueError
        return value

    @field_validator("webhook_hosts")
    @classmethod
    def _are_hosts(cls, value: str) -> str:
        for text in filter(None, map(str.strip, value.split(","))):
            if "/" in text:
                ip_network(text)  # raises ValueError
            elif not re.fullmatch(r"[\w.:-]+", text):
                raise ValueError("not a host")
        return value

    @field_validator("source_url")
    @classmethod
    def _has_a_scheme(cls, value: str) -> str:
        if not re.match(r"[a-z][a-z0-9+.-]*:.|.+\.ya?ml$", value):
            raise ValueError("no scheme")
        return value

    @field_validator("log_format", "log_level", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _database_beside_the_data(self) -> Settings:
        if not self.database_url:
            # SQLAlchemy decodes what is written so
            path = re.sub("[%?#]", lambda sign: f"%{ord(sign[0]):02X}", f"{self.data_dir}")
            object.__setattr__(self, "database_url", f"sqlite:///{path}/ccexport.db")
        return self

    @property
    def people_sign_in(self) -> bool:
        """Whether OpenID Connect is set up. Raises `SettingError` where it is by half."""
        missing = [name for name in OIDC if not getattr(self, name)]
        if missing and len(missing) < len(OIDC):
            names = " and ".join(f"{PREFIX}{name.upper()}" for name in missing)
            raise SettingError(
                f"{names} must be set too: for signing in, all three CCEXPORT_OIDC_ settings are needed."
            )
        return not missing

    @property
    def administrators(self) -> frozenset[str]:
        """The addresses of the first administrators, in the form that is compared."""
        return frozenset(
            address.strip().casefold() for address in self.admins.split(",") if address.strip()
        )

    @property
    def roles_by_claim(self) -> dict[str, str]:
        """What the claim may hold → the role that it gives."""
        pairs = (text.rpartition("=") for text in self.oidc_roles.split(",") if text.strip())
        return {claimed.strip(): role.strip() for claimed, _, role in pairs}

    @property
    def base_path(self) -> str:
        """The path of the public address, as `/ccexport`; empty where the dashboard lies at the root."""
        return urlsplit(self.public_url).path.rstrip("/")

    @property
    def believed_proxies(self) -> str:
        """What uvicorn's FORWARDED_ALLOW_IPS has to be when the dashboard starts; without it, it believes loopback.

        A server that listens on IPv6 sees an IPv4 proxy under its mapped address.
        """
        networks = [
            ip_network(each) for each in map(str.strip, self.trusted_proxies.split(",")) if each
        ]
        mapped = [
            f"::ffff:{each.network_address}/{96 + each.prefixlen}"
            for each in networks
            if each.version == 4
        ]
        return ",".join([*map(str, networks), *mapped]) or "none"

    @property
    def run_files_dir(self) -> Path:
        """Where the runs' encrypted files are."""
        return self.data_dir / "runs"

    @property
    def source_copies_dir(self) -> Path:
        """Where encrypted copies of a source are that is read from far away, while they are needed."""
        return self.data_dir / "copies"

    @property
    def redirect_uri(self) -> str:
        """The redirect address to register at Constant Contact for the dashboard's sign-in."""
        return f"{self.public_url}/oauth/callback"


def load_settings(**overrides: object) -> Settings:
    """Read the environment; `overrides` (by field name) win over it. Raises `SettingError`."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # pydantic validates them
    except ValidationError as error:
        raise SettingError(_first_problem(error)) from None  # the cause would quote secrets
    except UnicodeDecodeError:
        raise SettingError("The file .env is not UTF-8 text. Save it as UTF-8.") from None


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    name = str(problem["loc"][0]) if problem["loc"] else "data_dir"
    return f"{PREFIX}{name.upper()} holds {_shown(name, problem['input'])}; it should hold {SHOULD_HOLD[name]}."


def _shown(name: str, value: object) -> str:
    if is_secret(name):
        return "a value of the wrong form (not shown)"
    return f'"{mask_password(str(value))}"'


def is_secret(name: str) -> bool:
    """Whether a setting (by field name) may never be printed."""
    field = Settings.model_fields[name]
    return SecretStr in (field.annotation, *get_args(field.annotation))


def check_address(value: str) -> str:
    """The scheme of an http(s) address without query and fragment. Raises `ValueError`."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an address")
    if parts.query or parts.fragment or parts.port == 0:  # a port out of range raises ValueError
        raise ValueError("more than an address")
    return parts.scheme
