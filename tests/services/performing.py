"""Every action of the table of roles, performed for real at an installation that has something of each kind."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlmodel import SQLModel, select

from ccexport.clock import utc_now
from ccexport.constantcontact.auth import read_callback
from ccexport.errors import Conflict
from ccexport.preparation.mapping import parse_mapping
from ccexport.sandbox.server import running_sandbox
from ccexport.sandbox.visitor import sign_in_at_once
from ccexport.services.api.tokens import ApiTokens
from ccexport.services.connections.connections import Connections
from ccexport.services.connections.lists import Lists
from ccexport.services.connections.sign_ins import SignIns
from ccexport.services.exports.export_files import ExportFiles
from ccexport.services.exports.exports import ExportDraft, Exports
from ccexport.services.exports.sending_one import SendingOne
from ccexport.services.operations.backups import Backups
from ccexport.services.operations.keys import KeyRotation
from ccexport.services.operations.pauses import Pauses
from ccexport.services.operations.refreshes import Refreshes
from ccexport.services.people.access import Person, Role
from ccexport.services.people.audit import Audit
from ccexport.services.people.roles import Action
from ccexport.services.people.users import Users
from ccexport.services.runs.forgetting import Forgetting
from ccexport.services.runs.people import People
from ccexport.services.runs.progress import RunProgress
from ccexport.services.runs.putting_back import PuttingBack
from ccexport.services.runs.retries import Retries
from ccexport.services.runs.runs import Runs
from ccexport.services.telling.notifications import Notifications
from ccexport.services.telling.webhooks import Webhooks
from ccexport.states import RunState, Told
from ccexport.store.approvals import Question
from ccexport.store.batches import PreparedCounts
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.ledger_tables import Ledger
from ccexport.store.database.telling_tables import Delivery, Telling
from ccexport.store.ledger_rows import Standing
from ccexport.store.ledgers import Target
from ccexport.store.moves import Held
from tests.kit.house import ANA, LIST_ID, MAPPING, House, behaviour, people, write_source

VOLATILE = {"api_usage", "token", "user_session", "worker"}  # written beside the actions
PASSPHRASE = "correct horse battery"
ISSUER = "https://login.example.com"


@dataclass(frozen=True)
class Scene:
    """An installation with a connection, two exports, two finished runs (with a rejection, with errors), a live one."""

    house: House
    finished: int
    failed: int
    live: int

    @property
    def installation(self) -> Any:
        return self.house.installation

    @property
    def connection_id(self) -> int:
        return int(self.house.installation.connections.by_name("Marketing").id)

    def person(self, role: Role) -> Person:
        """Somebody with the role, who has signed in."""
        return Person(f"{role.value}@example.com", role, f"{role.value}@example.com", "10.1.2.3")


def claims_of(email: str, **more: object) -> Mapping[str, Any]:
    """What a provider says of somebody who signs in now."""
    return {
        "iss": ISSUER,
        "sub": email,
        "iat": utc_now().timestamp(),
        "nonce": "n",
        "email": email,
        "email_verified": True,
        **more,
    }


@contextmanager
def prepared_scene(folder: Path) -> Iterator[Scene]:
    """The one that others are copied from."""
    profiles = people(8)
    profiles[0]["EMail"] = "not an address"
    with running_sandbox(behaviour()) as sandbox:
        house = House(folder, sandbox, oidc_role_claim="groups", oidc_roles="admins=administrator")
        write_source(house.source, profiles)
        house.connect()
        house.add_export()
        house.add_export("Other")
        finished = house.run("Other")["id"]
        faults = [{"on": "contactsCSVImport", "do": "reject_rows", "lines": [2, 3]}]
        house.tell("/_sandbox/behaviour", faults=faults)
        failed = house.run("Other")["id"]
        house.tell("/_sandbox/behaviour", faults=[])
        live = house.queue("Newsletter")
        users = Users(house.installation)
        for role in Role:
            users.add(f"{role.value}@example.com", role, by=ANA)
        ApiTokens(house.installation).add("dbt", exports=["Other"], by=ANA)
        users.add("second@example.com", Role.ADMINISTRATOR, by=ANA)
        users.add("bob@example.com", Role.VIEWER, by=ANA)
        house.close()
        yield Scene(house, finished, failed, live)


@contextmanager
def copy_of(scene: Scene, folder: Path, **settings: object) -> Iterator[Scene]:
    """The same at another place, to be changed."""
    shutil.copytree(scene.house.settings.data_dir, folder / "var")
    shutil.copytree(scene.house.source, folder / "source")
    house = House(folder, scene.house.sandbox, **settings)
    yield replace(scene, house=house)
    house.close()


def content(scene: Scene) -> dict[str, list[dict[str, Any]]]:
    """Everything that the store holds, but what is written beside the actions; the audit has its own key."""
    with reading(scene.installation.engine) as session:
        return {
            name: [dict(row._mapping) for row in session.execute(select(table))]
            for name, table in sorted(SQLModel.metadata.tables.items())
            if name not in VOLATILE
        }


def draft(name: str, **changes: object) -> ExportDraft:
    """An export of everybody, changed as told."""
    values = {
        "name": name,
        "connection": "Marketing",
        "list_id": LIST_ID,
        "segments": ["All"],
        "mapping": parse_mapping(MAPPING),
    }
    return ExportDraft(**(values | changes))  # type: ignore[arg-type]  # a test's changes


def sign_in(scene: Scene, name: str, by: Person) -> object:
    """At Constant Contact, for a new connection or one that is there."""
    connections, uri = Connections(scene.installation), scene.house.settings.redirect_uri
    begun = connections.begin(uri)
    code = read_callback(sign_in_at_once(begun.url), begun.state)
    return connections.finish(name, code, begun, uri, by=by)


def _sign_out(scene: Scene, by: Person) -> object:
    return Users(scene.installation).leave(claims_of(by.name), by=by)


def _apply(scene: Scene, by: Person) -> object:
    files = ExportFiles(scene.installation)
    text = files.dump("Other").replace("schedule: refresh", 'schedule: "off"')
    return files.apply(text, "exports.yaml", by=by)


def make_ready(scene: Scene, action: Action) -> None:
    """What has to be so before somebody who may do it can."""
    if action is Action.RESTORE_BACKUP:
        Backups(scene.installation)._write(_backup_of(scene), PASSPHRASE)
    if action is Action.RESUME_ALL:
        scene.installation.pauses.begin("Moving house", "ana")
    if action in _ON_A_NOTIFICATION:
        events = [Told.FAILED.value]
        scene.installation.notifications.add("Team", CHANNEL, "JSON", events, "ana")
    if action is Action.RESTORE_PERSON:
        leave(scene, "person2@example.com")
    if action in (Action.APPROVE_RUN, Action.DECLINE_RUN):
        ask_first(scene)
    if action in _ON_A_WEBHOOK:
        hook = scene.installation.webhooks.add(HOOK, b"whsec_AAAA", [], "ana")
        with writing(scene.installation.engine) as session:
            telling = Telling(
                message_id=MESSAGE,
                at=scene.installation.now(),
                what=Told.FAILED,
                reason="",
                body={},
            )
            session.add(telling)
            session.flush()
            session.add(Delivery(telling_id=telling.id, webhook_id=hook.id))


def leave(scene: Scene, email: str) -> None:
    """Somebody whom "Other" has placed has left its list, as its ledger knows it."""
    ledgers, view = scene.installation.ledgers, scene.installation.exports.by_name("Other")
    account = scene.installation.connections.get(scene.connection_id).account_id
    target = Target(view.export.id, account, view.export.list_id)
    who = np.array([People(scene.installation).hash_of(email)], dtype=np.uint64)
    with writing(scene.installation.engine) as session:
        ledger = session.exec(select(Ledger).where(Ledger.export_id == target.export_id)).one()
        known = ledgers.known(target).own.with_standing(who, Standing.LEFT, 0)
        ledgers._put(session, ledger, {0: known})


def ask_first(scene: Scene) -> None:
    """The live run waits for an answer to what its guard asks."""
    runs, held = scene.installation.runs, Held(scene.live, "w")
    runs.claim(held.worker, run_id=scene.live)
    runs.move(held, RunState.PREPARING)
    counts = PreparedCounts(read=200, prepared=200, truncated=0, rejections={})
    runs.ask(held, Question(200, 0, 300, 20, ""), counts)


def _backup_of(scene: Scene) -> Path:
    return Path(scene.house.source.parent / "store.backup")


_ON_A_WEBHOOK = (
    Action.TEST_WEBHOOK,
    Action.ROTATE_WEBHOOK,
    Action.SEND_WEBHOOK_AGAIN,
    Action.REMOVE_WEBHOOK,
)
_ON_A_NOTIFICATION = (
    Action.CHANGE_NOTIFICATION,
    Action.TEST_NOTIFICATION,
    Action.REMOVE_NOTIFICATION,
)
CHANNEL = "json://127.0.0.1:9"  # nobody listens there
MESSAGE = "msg_1"
HOOK = "https://127.0.0.1:9/hook"  # refused at the call, since it is private


def _test_webhook(at: Scene, by: Person) -> None:
    with contextlib.suppress(Conflict):
        Webhooks(at.installation).test(HOOK, by=by)


def _test_notification(at: Scene, by: Person) -> None:
    with contextlib.suppress(Conflict):
        Notifications(at.installation).test("Team", by=by)


def _send_one(at: Scene, by: Person) -> None:
    sending = SendingOne(at.installation)
    ready = sending.prepare("Other", "0000005", by=by)
    sending.follow(sending.send(ready, by=by))


Perform = Callable[[Scene, Person], object]
PERFORM: dict[Action, Perform] = {
    Action.SEE_EXPORTS: lambda at, by: list(Runs(at.installation).rejected(at.finished, by=by)),
    Action.SEE_VALUES: lambda at, by: RunProgress(at.installation).rejected_csv(at.finished, by=by),
    Action.SEE_ADMINISTRATION: lambda at, by: Users(at.installation).views(by=by),
    Action.SEE_AUDIT: lambda at, by: list(Audit(at.installation).documents(None, by=by)),
    Action.PREVIEW_EXPORT: lambda at, by: Exports(at.installation).preview("Other", by=by),
    Action.ADD_EXPORT: lambda at, by: Exports(at.installation).add(draft("New"), by=by),
    Action.CHANGE_EXPORT: lambda at, by: Exports(at.installation).update(
        "Other", draft("Other", schedule="off"), by=by
    ),
    Action.DUPLICATE_EXPORT: lambda at, by: Exports(at.installation).duplicate(
        "Other", "Twin", by=by
    ),
    Action.SCHEDULE_EXPORT: lambda at, by: Exports(at.installation).turn_off("Other", by=by),
    Action.REMOVE_EXPORT: lambda at, by: Exports(at.installation).remove("Other", by=by),
    Action.APPLY_EXPORTS: _apply,
    Action.RUN_EXPORT: lambda at, by: RunProgress(at.installation).run_again(at.finished, by=by),
    Action.TEST_EXPORT: _send_one,
    Action.CANCEL_RUN: lambda at, by: Runs(at.installation).request_cancel(at.live, by=by),
    Action.RETRY_RUN: lambda at, by: Retries(at.installation).retry(at.failed, by=by),
    Action.APPROVE_RUN: lambda at, by: Runs(at.installation).approve(at.live, by=by),
    Action.DECLINE_RUN: lambda at, by: Runs(at.installation).decline(at.live, by=by),
    Action.FIND_PERSON: lambda at, by: People(at.installation).find("person2@example.com", by=by),
    Action.SEE_LISTS: lambda at, by: Lists(at.installation, by).custom_fields(at.connection_id),
    Action.CREATE_LIST: lambda at, by: Lists(at.installation, by).create(
        at.connection_id, f"Made for {at.house.source.parents[1].name}"
    ),
    Action.ASK_FOR_CONNECTION: lambda at, by: SignIns(at.installation).prepare(
        "Sales", contributors=False, agreed=True, by=by
    ),
    Action.ADD_CONNECTION: lambda at, by: sign_in(at, "Sales", by),
    Action.SIGN_IN_AGAIN: lambda at, by: sign_in(at, "Marketing", by),
    Action.CHECK_CONNECTION: lambda at, by: Connections(at.installation).check("Marketing", by=by),
    Action.RENAME_CONNECTION: lambda at, by: Connections(at.installation).rename(
        "Marketing", "Sales", by=by
    ),
    Action.SHARE_CONNECTION: lambda at, by: Connections(at.installation).share(
        "Marketing", contributors=True, by=by
    ),
    Action.AGREE_AGAIN: lambda at, by: Connections(at.installation).agree("Marketing", by=by),
    Action.BECOME_EXPORT_USER: lambda at, by: Connections(at.installation).become_export_user(
        "Marketing", by=by
    ),
    Action.REMOVE_CONNECTION: lambda at, by: Connections(at.installation).remove(
        "Marketing", by=by
    ),
    Action.ASK_FOR_REFRESH: lambda at, by: Refreshes(at.installation).ask(by=by),
    Action.SCHEDULE_REFRESH: lambda at, by: Refreshes(at.installation).set_schedule(
        [0, 3], ["06:00"], "UTC", by=by
    ),
    Action.TURN_OFF_REFRESH: lambda at, by: Refreshes(at.installation).turn_off(by=by),
    Action.FORGET_PERSON: lambda at, by: Forgetting(at.installation).forget(
        "nobody@example.com", by=by
    ),
    Action.RESTORE_PERSON: lambda at, by: PuttingBack(at.installation).restore(
        "person2@example.com", "Other", by=by
    ),
    Action.MAKE_BACKUP: lambda at, by: Backups(at.installation).make(
        _backup_of(at), PASSPHRASE, by=by
    ),
    Action.RESTORE_BACKUP: lambda at, by: Backups(at.installation).restore(
        _backup_of(at), PASSPHRASE, replace=True, by=by
    ),
    Action.ROTATE_KEYS: lambda at, by: KeyRotation(at.installation).rotate(by=by),
    Action.DROP_OLD_KEYS: lambda at, by: KeyRotation(at.installation).drop_old(by=by),
    Action.PAUSE_ALL: lambda at, by: Pauses(at.installation).begin("Moving house", by=by),
    Action.RESUME_ALL: lambda at, by: Pauses(at.installation).end(by=by),
    Action.ADD_NOTIFICATION: lambda at, by: Notifications(at.installation).add(
        "Team", CHANNEL, [], by=by
    ),
    Action.CHANGE_NOTIFICATION: lambda at, by: Notifications(at.installation).choose(
        "Team", [Told.SUCCEEDED.value], by=by
    ),
    Action.TEST_NOTIFICATION: _test_notification,
    Action.REMOVE_NOTIFICATION: lambda at, by: Notifications(at.installation).remove("Team", by=by),
    Action.ADD_WEBHOOK: lambda at, by: Webhooks(at.installation).add(HOOK, [], by=by),
    Action.TEST_WEBHOOK: _test_webhook,
    Action.ROTATE_WEBHOOK: lambda at, by: Webhooks(at.installation).rotate(HOOK, by=by),
    Action.SEND_WEBHOOK_AGAIN: lambda at, by: Webhooks(at.installation).send_again(
        HOOK, MESSAGE, by=by
    ),
    Action.REMOVE_WEBHOOK: lambda at, by: Webhooks(at.installation).remove(HOOK, by=by),
    Action.ADD_API_TOKEN: lambda at, by: ApiTokens(at.installation).add("airflow", by=by),
    Action.REVOKE_API_TOKEN: lambda at, by: ApiTokens(at.installation).revoke("dbt", by=by),
    Action.ADD_PERSON: lambda at, by: Users(at.installation).add(
        "new@example.com", Role.CONTRIBUTOR, by=by
    ),
    Action.CHANGE_PERSON: lambda at, by: Users(at.installation).change(
        "bob@example.com", Role.CONTRIBUTOR, by=by
    ),
    Action.REMOVE_PERSON: lambda at, by: Users(at.installation).remove("bob@example.com", by=by),
    Action.SIGN_IN: lambda at, by: Users(at.installation).enter(claims_of(by.name), by.came_from),
    Action.SIGN_OUT: _sign_out,
}
