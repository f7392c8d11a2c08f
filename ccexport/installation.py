"""Puts the rooms together from the settings; the one place that knows how each is built.

What brings Ibis, Arrow or requests along is imported where it is built: a command that needs none starts at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from ccexport.clock import Now, utc_now
from ccexport.constantcontact.pacing import Pacer, Throttling
from ccexport.errors import SettingError
from ccexport.runs.due import Due
from ccexport.settings import Settings
from ccexport.store.audit import AuditStore
from ccexport.store.batches import BatchStore
from ccexport.store.budget import BudgetStore
from ccexport.store.connections import ConnectionStore
from ccexport.store.database.engine import open_engine
from ccexport.store.database.migrate import migrate
from ccexport.store.exports import ExportStore
from ccexport.store.pauses import PauseStore
from ccexport.store.refreshes import RefreshStore
from ccexport.store.runs import RunStore
from ccexport.store.users import UserStore
from ccexport.store.watch import Watch
from ccexport.store.workers import WorkerStore

if TYPE_CHECKING:
    from ccexport.constantcontact.auth import AppCredentials
    from ccexport.constantcontact.client import Client
    from ccexport.constantcontact.keeper import TokenKeeper
    from ccexport.runs.tools import Tools
    from ccexport.segments.source import Source
    from ccexport.store.api_tokens import ApiTokenStore
    from ccexport.store.ledgers import LedgerStore
    from ccexport.store.notifications import NotificationStore
    from ccexport.store.one_sent import OneSentStore
    from ccexport.store.removals import RemovalStore
    from ccexport.store.vault.keys import Keys
    from ccexport.store.vault.run_files import RunFiles
    from ccexport.store.webhooks import WebhookStore
    from ccexport.telling.notifications import Notifier
    from ccexport.telling.pings import Pinger
    from ccexport.telling.webhooks import Teller


@dataclass(frozen=True)
class Installation:
    """Everything, built when first used. `now` is the clock of all of it, `elapsed` a monotonic clock."""

    settings: Settings
    now: Now = utc_now
    elapsed: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep  # before something is asked, or asked again
    timeout_seconds: tuple[float, float] | None = None  # of the API; None: the client's own

    @cached_property
    def engine(self) -> Engine:
        """The store, brought to this code's tables."""
        engine = open_engine(self.settings.database_url)
        migrate(engine)
        return engine

    def close(self) -> None:
        """Give back the store's connections, where it was opened."""
        if "engine" in self.__dict__:
            self.engine.dispose()

    @cached_property
    def keys(self) -> Keys:
        from ccexport.store.vault.keys import load_keys

        secret = self.settings.secret_key
        return load_keys(secret.get_secret_value() if secret else None, self.settings.data_dir)

    @cached_property
    def connections(self) -> ConnectionStore:
        return ConnectionStore(self.engine, self.now, lambda: self.ledgers)

    @cached_property
    def exports(self) -> ExportStore:
        return ExportStore(self.engine, self.now)

    @cached_property
    def runs(self) -> RunStore:
        return RunStore(self.engine, self.now, lambda: self.ledgers)

    @cached_property
    def ledgers(self) -> LedgerStore:
        from ccexport.store.ledgers import LedgerStore

        return LedgerStore(self.engine, lambda: self.keys, self.now)

    @cached_property
    def removals(self) -> RemovalStore:
        from ccexport.store.removals import RemovalStore

        return RemovalStore(self.engine, lambda: self.keys, self.ledgers, self.now)

    @cached_property
    def one_sent(self) -> OneSentStore:
        from ccexport.store.one_sent import OneSentStore

        return OneSentStore(self.engine, self.ledgers, self.now)

    @cached_property
    def batches(self) -> BatchStore:
        return BatchStore(self.engine, self.now)

    @cached_property
    def refreshes(self) -> RefreshStore:
        return RefreshStore(self.engine, self.now)

    @cached_property
    def due(self) -> Due:
        return Due(
            self.runs,
            self.exports,
            self.connections,
            self.refreshes,
            self.pauses,
            self.open_source,
            self.now,
        )

    @cached_property
    def pauses(self) -> PauseStore:
        return PauseStore(self.engine, self.now)

    @cached_property
    def watch(self) -> Watch:
        return Watch(self.engine, self.now)

    @cached_property
    def workers(self) -> WorkerStore:
        return WorkerStore(self.engine, self.now)

    @cached_property
    def webhooks(self) -> WebhookStore:
        from ccexport.store.webhooks import WebhookStore

        return WebhookStore(self.engine, self.keys, self.now)

    @cached_property
    def teller(self) -> Teller:
        from ccexport.telling.webhooks import Teller

        hosts = self.settings.webhook_hosts
        return Teller(self.webhooks, self.settings.public_url, hosts, self.now)

    @cached_property
    def notifications(self) -> NotificationStore:
        from ccexport.store.notifications import NotificationStore

        return NotificationStore(self.engine, self.keys, self.now)

    @cached_property
    def notifier(self) -> Notifier:
        from ccexport.telling.notifications import Notifier

        return Notifier(self.notifications, self.settings.public_url, self.now)

    @cached_property
    def pinger(self) -> Pinger:
        from ccexport.store.pings import PingStore
        from ccexport.telling.pings import Pinger

        return Pinger(PingStore(self.engine, self.keys), self.settings.webhook_hosts)

    @cached_property
    def users(self) -> UserStore:
        return UserStore(self.engine, self.now)

    @cached_property
    def api_tokens(self) -> ApiTokenStore:
        from ccexport.store.api_tokens import ApiTokenStore

        return ApiTokenStore(self.engine, self.now)

    @cached_property
    def audit(self) -> AuditStore:
        return AuditStore(self.engine, self.now)

    @cached_property
    def run_files(self) -> RunFiles:
        from ccexport.store.vault.run_files import RunFiles

        return RunFiles(self.settings.run_files_dir, self.keys.run_files)

    @cached_property
    def budget(self) -> BudgetStore:
        return BudgetStore(
            self.engine,
            self.settings.cc_client_id,
            requests_per_second=self.settings.cc_requests_per_second,
            requests_per_day=self.settings.cc_requests_per_day,
            now=self.now,
        )

    @cached_property
    def tokens(self) -> TokenKeeper:
        from ccexport.constantcontact.keeper import TokenKeeper
        from ccexport.store.tokens import TokenStore

        store = TokenStore(self.engine, self.keys, self.now)
        return TokenKeeper(
            store,
            self.connections,
            self.settings.cc_auth_url,
            self.app,
            now=self.now,
            sleep=self.sleep,
        )

    @cached_property
    def pacer(self) -> Pacer:
        return Pacer(self.budget, self.sleep)

    @cached_property
    def throttling(self) -> Throttling:
        return Throttling(self.now)

    @property
    def app(self) -> AppCredentials:
        """The Constant Contact application. Raises `SettingError` when none is set."""
        from ccexport.constantcontact.auth import AppCredentials

        if not self.settings.cc_client_id:
            raise SettingError(
                "CCEXPORT_CC_CLIENT_ID is not set; it should hold the API key of your application in "
                "Constant Contact's developer portal."
            )
        secret = self.settings.cc_client_secret
        return AppCredentials(
            self.settings.cc_client_id, secret.get_secret_value() if secret else None
        )

    def open_source(
        self, *, fresh: bool = False, pause: Callable[[float], None] = time.sleep
    ) -> Source:
        """Raises `SourceError`. `fresh`: as it is now, not minutes ago; `pause` may raise, to stop reading."""
        from ccexport.segments.source import open_source

        return open_source(
            self.settings.source_url,
            pause=pause,
            copies_in=self.settings.source_copies_dir,
            fresh=fresh,
        )

    def client_for(
        self,
        connection_id: int,
        guard: Callable[[], None] | None = None,
        *,
        patience_seconds: float | None = None,
        timeout_seconds: tuple[float, float] | None = None,
    ) -> Client:
        """A paced client that is signed in as a connection; `guard` may refuse each request.

        With `patience_seconds` it gives up (`ServiceTrouble`) when a request would have to start later than that.
        """
        check = guard or _nothing
        give_up_at = None if patience_seconds is None else time.monotonic() + patience_seconds

        def make_sure() -> None:
            check()
            self.tokens.access_token(connection_id)  # renewed now, not between slot and request

        return self._client(
            get_token=lambda: self.tokens.access_token(connection_id),
            refresh_token=lambda rejected: self.tokens.renewed(connection_id, rejected),
            get_scope=lambda: self.tokens.scope(connection_id),
            pace=lambda: self.pacer.wait(before=check, after=make_sure, give_up_at=give_up_at),
            timeout_seconds=timeout_seconds or self.timeout_seconds,
        )

    def client_with_token(self, access_token: str, scope: str) -> Client:
        """A paced client for a sign-in that is not stored yet."""
        return self._client(
            get_token=lambda: access_token,
            refresh_token=None,
            get_scope=lambda: scope,
            pace=self.pacer.wait,
            timeout_seconds=self.timeout_seconds,
        )

    def _client(
        self,
        *,
        get_token: Callable[[], str],
        refresh_token: Callable[[str], str] | None,
        get_scope: Callable[[], str],
        pace: Callable[[], None],
        timeout_seconds: tuple[float, float] | None,
    ) -> Client:
        from ccexport.constantcontact.client import TIMEOUT_SECONDS, Client

        return Client(
            self.settings.cc_api_url,
            get_token=get_token,
            refresh_token=refresh_token,
            pace=lambda _operation: pace(),
            get_scope=get_scope,
            heard=self.throttling.heard,
            timeout_seconds=timeout_seconds or TIMEOUT_SECONDS,
            sleep=self.sleep,
            now=self.now,
        )

    def tools(self, stop: threading.Event) -> Tools:
        """What runs work with, in a process that ends when `stop` is set."""
        from ccexport.runs.tools import ActivityBoard, Tools

        return Tools(
            runs=self.runs,
            batches=self.batches,
            connections=self.connections,
            budget=self.budget,
            ledgers=self.ledgers,
            removals=self.removals,
            run_files=self.run_files,
            keys=self.keys,
            open_source=lambda pause: self.open_source(fresh=True, pause=pause),
            client_for=self.client_for,
            activities=ActivityBoard(self.now, self.elapsed),
            throttled_for=self.throttling.lasts,
            max_profiles=self.settings.max_profiles,
            poll_seconds=self.settings.poll_seconds,
            sleep=stop.wait,
            now=self.now,
        )


def _nothing() -> None:
    """Refuses no request."""
