"""Changing the key that encrypts sign-ins and run files, while everything goes on.

`rotate` puts a new key before the old ones: it encrypts, all of them decrypt. What the store holds is
encrypted anew at once; run files stay as they are until `drop_old` encrypts them anew and takes the old keys away.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from cryptography.fernet import Fernet

from ccexport.errors import Conflict, SetupError
from ccexport.installation import Installation
from ccexport.processes import host_name
from ccexport.services.people.access import Person
from ccexport.services.people.permission import audited, require
from ccexport.services.people.roles import Action
from ccexport.states import RunState
from ccexport.store.vault.keys import Key, write_key_file
from ccexport.store.vault.secrets import SecretStore


@dataclass(frozen=True)
class KeyUse:
    """A key by its name, and what is encrypted with it. No name: what none of the keys opens."""

    name: str | None
    encrypts: bool
    secrets: int
    run_files: int


@dataclass(frozen=True)
class Renewed:
    """How much was encrypted anew, and what could not be because none of the keys opens it."""

    secrets: int
    run_files: int
    unreadable_files: int


class KeyRotation:
    """What an operator does with the keys."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._secrets = SecretStore(installation.engine, installation.keys)

    @property
    def is_set(self) -> bool:
        """Whether the keys come from CCEXPORT_SECRET_KEY, which is not ours to change."""
        return self._installation.settings.secret_key is not None

    def uses(self) -> list[KeyUse]:
        """Each key and what it encrypts, the newest first; then what none of them opens, if there is any."""
        secrets = self._secrets.by_key()
        ring = self._installation.keys.ring
        files = Counter(self._numbers_by_file().values())
        found = [
            KeyUse(key.name, place == 0, secrets[key.name], files[place])
            for place, key in enumerate(ring)
        ]
        if secrets[None] or files[None]:
            found.append(KeyUse(None, False, secrets[None], files[None]))
        return found

    def other_hosts(self) -> list[str]:
        """Other machines whose workers use this store: each needs the same keys."""
        hosts = {worker.host for worker in self._installation.workers.alive()} - {host_name()}
        return sorted(hosts)

    def rotate(self, *, by: Person) -> Renewed:
        """A new key, or the first of several in the setting, encrypts what the store holds. Raises `SetupError`."""
        by = require(self._installation, by, Action.ROTATE_KEYS, "keys")
        if self.is_set and len(self._installation.keys.ring) == 1:
            raise SetupError(
                "CCEXPORT_SECRET_KEY holds one key. Put a new one before it, with a comma between, wherever ccexport "
                "runs, and start this again; docs/deploy.md says how nothing is interrupted."
            )
        with audited(self._installation, by, Action.ROTATE_KEYS, "keys", ""):
            return Renewed(self._secrets.renew(before=self._add_key), 0, 0)

    def drop_old(self, *, by: Person) -> Renewed:
        """Encrypt anew what old keys made, then take them away. Raises `Conflict` while a run makes its files."""
        by = require(self._installation, by, Action.DROP_OLD_KEYS, "keys")
        self._refuse_while_files_are_made()
        numbers = self._numbers_by_file()
        old = [file for file, number in numbers.items() if number]
        for run_id, name in old:
            self._installation.run_files.rewrite(run_id, name)
        lost = sum(number is None for number in numbers.values())
        newest = self._installation.keys.newest
        with audited(self._installation, by, Action.DROP_OLD_KEYS, "keys", ""):
            renewed = self._secrets.renew()
        self._keep_only(newest)
        return Renewed(renewed, len(old), lost)

    def _add_key(self) -> None:
        if self.is_set:
            return
        kept = [key.text for key in self._installation.keys.ring]
        write_key_file(
            self._installation.settings.data_dir, [Fernet.generate_key().decode(), *kept]
        )

    def _keep_only(self, key: Key) -> None:
        """The last look and the end of the old keys; a run that ends a file later finds that its key is gone."""
        if any(self._numbers_by_file().values()) or set(self._secrets.by_key()) - {key.name}:
            raise Conflict("Something was encrypted with an old key just now. Start this again.")
        if not self.is_set:
            write_key_file(self._installation.settings.data_dir, [key.text])

    def _refuse_while_files_are_made(self) -> None:
        """A file that was begun under an old key would be useless: its run would have to prepare once more."""
        for run in self._installation.runs.unfinished():
            if run.state is RunState.PREPARING:
                raise Conflict(
                    f"Run {run.id} is being prepared. Drop the old keys when that is done; it takes minutes at most."
                )

    def _numbers_by_file(self) -> dict[tuple[int, str], int | None]:
        files = self._installation.run_files
        return {file: files.key_number(*file) for file in files.all()}
