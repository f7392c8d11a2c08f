"""Which process this is, and whether another one of this machine still lives.

A worker's name tells its machine (boot and process namespace), its process number and a random part. A worker that
died on this machine can so be told from a silent one: its runs are taken over at once instead of after their lease.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import socket
import uuid
from pathlib import Path

try:
    import resource
except ModuleNotFoundError:  # on Windows, which makes no core dumps
    resource = None  # type: ignore[assignment]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")


def keep_memory_private() -> None:
    """No core dump when this process dies: it would hold tokens and profiles in the clear."""
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def host_name() -> str:
    """This machine, as histories name it."""
    return socket.gethostname()


def new_worker_name() -> str:
    """A name no other worker has: host, machine, process number, random."""
    return f"{host_name()}/{_machine()}/{os.getpid()}/{uuid.uuid4().hex[:6]}"


def is_dead(worker: str) -> bool:
    """Whether a worker is certainly gone: it ran on this machine, and its process has ended."""
    parts = worker.split("/")
    if len(parts) != 4 or parts[1] != _machine() or parts[1] == "unknown":
        return False
    try:
        os.kill(int(parts[2]), 0)
    except ProcessLookupError:
        return True
    except (ValueError, OSError):  # no number; or a process of somebody else
        return False
    return False


def _machine() -> str:
    """A digest of this boot and process namespace; "unknown" where the system does not tell."""
    try:
        boot = f"{_BOOT_ID.read_text()}{os.readlink(_NAMESPACE)}"
    except OSError:
        return "unknown"
    return hashlib.sha256(boot.encode()).hexdigest()[:8]


def is_this_machine(host: str) -> bool:
    """Whether a name or address (without a port) is this machine, and nobody else can reach what listens there."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
