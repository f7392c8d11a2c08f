"""`cdm:abfss://…` against Azurite, Azure Storage's emulator. It speaks the Blob API, which adlfs asks in Azure too."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pytest
import requests

from ccexport.errors import SourceError, SourceUnavailable
from ccexport.segments.lakes import Lake
from ccexport.segments.source import open_source
from tests.commands.running import Here
from tests.kit.house import LIST_ID, House
from tests.kit.ports import free_port
from tests.kit.waiting import wait_until
from tests.segments.cdm_folders import CUSTOMER, entity, memberships, put, segments

pytest.importorskip("adlfs")
PROGRAM = shutil.which("azurite-blob")
if PROGRAM is None:
    pytest.skip("Azurite is not installed (npm install azurite)", allow_module_level=True)

ACCOUNT, CONTAINER = "acct", "customers"
COUNT = 300


@dataclass(frozen=True)
class Account:
    """A storage account of the emulator."""

    endpoint: str
    key: str

    @property
    def connection_string(self) -> str:
        return f"AccountName={ACCOUNT};AccountKey={self.key};BlobEndpoint={self.endpoint};"

    def put(self, path: str, content: bytes) -> None:
        from azure.storage.blob import BlobServiceClient

        with BlobServiceClient.from_connection_string(self.connection_string) as service:
            service.get_blob_client(CONTAINER, path).upload_blob(content, overwrite=True)


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    """Azurite, in memory, with one container."""
    from azure.storage.blob import BlobServiceClient

    port, key = free_port(), base64.b64encode(os.urandom(64)).decode()
    command = [str(PROGRAM), "--blobPort", str(port), "--inMemoryPersistence", "--silent"]
    server = subprocess.Popen(
        [*command, "--skipApiVersionCheck", "--disableTelemetry"],
        env=os.environ | {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{key}"},
        stdout=subprocess.DEVNULL,
    )
    account = Account(f"http://127.0.0.1:{port}/{ACCOUNT}", key)

    def answers() -> bool:
        assert server.poll() is None, "Azurite ended"
        try:
            return requests.get(account.endpoint, timeout=5).status_code > 0
        except requests.ConnectionError:
            return False

    try:
        wait_until(answers, "Azurite answers")
        with BlobServiceClient.from_connection_string(account.connection_string) as service:
            service.create_container(CONTAINER).close()
        yield account
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def address(account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An export of Customer Insights in three partitions, with an old run's folder beside them."""
    rows = [f'"{n}","person{n}@example.com","First {n}"\n' for n in range(COUNT)]
    parts = [
        (f"Customer/2026/08/24/1433/Customer_{n + 1}.csv", "".join(rows[n::3])) for n in range(3)
    ]
    members = [segments(str(n), "News") for n in range(0, COUNT, 2)]
    folder = put(tmp_path / "lake", entity("Customer", CUSTOMER, parts), memberships(*members))
    old = folder / "Customer/2026/08/23/1433/Customer_1.csv"
    old.parent.mkdir(parents=True)
    old.write_text('"old","old@example.com","Old"\n')
    for path in folder.rglob("*"):
        if path.is_file():
            account.put(f"Export/{path.relative_to(folder)}", path.read_bytes())
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", account.connection_string)
    return f"cdm:abfss://{CONTAINER}@{ACCOUNT}.dfs.core.windows.net/Export"


EXPECTED = {f"person{n}@example.com" for n in range(0, COUNT, 2)}


def test_a_run_sends_exactly_the_members_of_an_export_in_a_storage_account(
    here: Here, house: House, address: str
) -> None:
    environment = house.environment() | {"CCEXPORT_SOURCE_URL": address}
    checked = here("sources", "check", "--json", environment=environment).document
    assert checked["kind"] == "cdm"
    assert checked["profiles"]["rows"] == COUNT
    added = here(
        *("exports", "add", "News", "--connection", "Marketing", "--list-id", LIST_ID),
        *("--segment", "News", "--map", "email=EMail", "--map", "first_name=FirstName"),
        environment=environment,
    )
    assert added.code == 0, added.err
    ran = here("exports", "run", "News", "--wait", "--json", environment=environment)
    assert ran.code == 0, ran.err
    assert ran.document["counts"]["read"] == COUNT // 2
    assert set(house.members()) == EXPECTED


def test_an_export_that_is_written_anew_while_it_is_read_is_read_again(
    account: Account, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_file = Lake.open

    def written_meanwhile(lake: Lake, path: str) -> BinaryIO:
        if path.endswith("Customer_2.csv"):
            account.put("Export/model.json", b"{}")
        return open_file(lake, path)

    monkeypatch.setattr(Lake, "open", written_meanwhile)
    with pytest.raises(SourceUnavailable, match=r"model\.json changed while it was read"):
        open_source(address)


def test_what_an_account_refuses_is_one_line_that_says_what_to_check(
    account: Account, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SourceError, match=r"model\.json"):
        open_source(address.replace("/Export", "/Nothing"))
    with pytest.raises(SourceError) as caught:
        open_source(address.replace(f"//{CONTAINER}@", "//elsewhere@"))
    assert "\n" not in str(caught.value)
    wrong = base64.b64encode(b"another").decode()
    stranger = account.connection_string.replace(account.key, wrong)
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", stranger)
    with pytest.raises(
        SourceError, match=r"cannot be read .*Check the account, the sign-in"
    ) as told:
        open_source(address.replace("/Export", "/Export/"))
    assert wrong not in str(told.value)
    assert "\n" not in str(told.value)
