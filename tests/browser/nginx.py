"""nginx with HTTPS in front of a dashboard, by the file that docs/deploy.md gives people."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.browser.dashboard import ROOT

START_SECONDS = 60
_FRAME = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/ccexport.conf;
}}
"""


def find_nginx() -> str | None:
    """Where it is; Debian puts it where only administrators look."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextmanager
def running_nginx(folder: Path, *, listens_on: int, dashboard_port: int) -> Iterator[None]:
    """Answers on `https://localhost:<listens_on>/ccexport/`, with a certificate that nobody vouches for."""
    folder.mkdir()
    _write_certificate(folder / "certificate.pem", folder / "key.pem")
    own = {
        "listen 443 ssl;": f"listen 127.0.0.1:{listens_on} ssl;",
        "server_name crm.example.com;": "server_name localhost;",
        "/etc/ssl/crm.example.com.pem": str(folder / "certificate.pem"),
        "/etc/ssl/private/crm.example.com.key": str(folder / "key.pem"),
        "http://127.0.0.1:8501;": f"http://127.0.0.1:{dashboard_port};",
    }
    (folder / "ccexport.conf").write_text(_file_of_the_documentation(own))
    (folder / "nginx.conf").write_text(_FRAME.format(folder=folder))
    command = [find_nginx() or "nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(command, stderr=said)
    try:
        _wait_until_it_answers(listens_on, process, folder)
        yield
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def _file_of_the_documentation(own: dict[str, str]) -> str:
    """Word for word, but for addresses, ports and places of this test."""
    text = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    [file] = re.findall(r"```nginx\n(.*?)```", text, re.DOTALL)
    for theirs, ours in own.items():
        if file.count(theirs) != 1:
            raise RuntimeError(f"docs/deploy.md has no longer one {theirs!r} in nginx's file")
        file = file.replace(theirs, ours)
    return str(file)


def _write_certificate(certificate: Path, key: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key.touch(mode=0o600)
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def _wait_until_it_answers(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    give_up_at = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up_at and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        except OSError:
            time.sleep(0.05)  # a process that starts says nothing to wait for
    said = [
        (folder / name).read_text() for name in ("said", "error.log") if (folder / name).exists()
    ]
    raise RuntimeError("nginx did not start:\n" + "\n".join(said))
