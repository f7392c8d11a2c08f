"""What each role may do: the one table. Services and pages ask it, `docs/roles.md` and the tests are made from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ccexport.services.people.access import Role

_ALL = frozenset(Role)
_CONTRIBUTORS = frozenset({Role.CONTRIBUTOR, Role.ADMINISTRATOR})
_ADMINISTRATORS = frozenset({Role.ADMINISTRATOR})


class Action(StrEnum):
    """What somebody may want to do; the value is its name in the audit."""

    SEE_EXPORTS = "see.exports"
    SEE_VALUES = "see.values"
    FIND_PERSON = "see.person"
    SEE_ADMINISTRATION = "see.administration"
    SEE_AUDIT = "see.audit"

    PREVIEW_EXPORT = "export.preview"
    ADD_EXPORT = "export.add"
    CHANGE_EXPORT = "export.change"
    DUPLICATE_EXPORT = "export.duplicate"
    SCHEDULE_EXPORT = "export.schedule"
    REMOVE_EXPORT = "export.remove"
    APPLY_EXPORTS = "export.apply"
    RUN_EXPORT = "export.run"
    TEST_EXPORT = "export.test"
    CANCEL_RUN = "run.cancel"
    RETRY_RUN = "run.retry"
    APPROVE_RUN = "run.approve"
    DECLINE_RUN = "run.decline"

    SEE_LISTS = "list.see"
    CREATE_LIST = "list.create"

    ASK_FOR_CONNECTION = "connection.ask"
    ADD_CONNECTION = "connection.add"
    SIGN_IN_AGAIN = "connection.sign_in"
    CHECK_CONNECTION = "connection.check"
    RENAME_CONNECTION = "connection.rename"
    SHARE_CONNECTION = "connection.share"
    AGREE_AGAIN = "connection.agree"
    BECOME_EXPORT_USER = "connection.export_user"
    REMOVE_CONNECTION = "connection.remove"

    ASK_FOR_REFRESH = "refresh.ask"
    SCHEDULE_REFRESH = "refresh.schedule"
    TURN_OFF_REFRESH = "refresh.turn_off"

    FORGET_PERSON = "profile.forget"
    RESTORE_PERSON = "profile.restore"
    MAKE_BACKUP = "backup.make"
    RESTORE_BACKUP = "backup.restore"
    ROTATE_KEYS = "keys.rotate"
    DROP_OLD_KEYS = "keys.drop_old"

    PAUSE_ALL = "pause.begin"
    RESUME_ALL = "pause.end"

    ADD_WEBHOOK = "webhook.add"
    TEST_WEBHOOK = "webhook.test"
    ROTATE_WEBHOOK = "webhook.rotate"
    SEND_WEBHOOK_AGAIN = "webhook.send_again"
    REMOVE_WEBHOOK = "webhook.remove"

    ADD_API_TOKEN = "api_token.add"  # noqa: S105  # names of actions
    REVOKE_API_TOKEN = "api_token.revoke"  # noqa: S105  # likewise
    ADD_NOTIFICATION = "notification.add"
    CHANGE_NOTIFICATION = "notification.change"
    TEST_NOTIFICATION = "notification.test"
    REMOVE_NOTIFICATION = "notification.remove"

    ADD_PERSON = "person.add"
    CHANGE_PERSON = "person.change"
    REMOVE_PERSON = "person.remove"
    SIGN_IN = "person.sign_in"
    SIGN_OUT = "person.sign_out"


@dataclass(frozen=True)
class Rule:
    """One row of the table."""

    says: str  # completes "may …"
    roles: frozenset[Role]
    shared: bool = False  # contributors: over a connection that is shared with them
    by_setting: bool = False  # contributors: where CCEXPORT_CONTRIBUTORS_SEE_VALUES says so
    writes: bool = True  # changes something: the audit has a row of each


def _looks(says: str, roles: frozenset[Role], *, by_setting: bool = False) -> Rule:
    return Rule(says, roles, by_setting=by_setting, writes=False)


RULES: dict[Action, Rule] = {
    Action.SEE_EXPORTS: _looks("see segments, exports, runs and their history", _ALL),
    Action.SEE_VALUES: _looks(
        "see values of profiles unmasked, and download who was left out",
        _CONTRIBUTORS,
        by_setting=True,
    ),
    Action.FIND_PERSON: _looks(
        "find what became of a person in every run", _CONTRIBUTORS, by_setting=True
    ),
    Action.SEE_ADMINISTRATION: _looks(
        "see connections, refreshes, people and system", _ADMINISTRATORS
    ),
    Action.SEE_AUDIT: _looks("see the audit", _ADMINISTRATORS),
    Action.PREVIEW_EXPORT: _looks("preview what an export would send", _CONTRIBUTORS),
    Action.ADD_EXPORT: Rule("add exports", _CONTRIBUTORS, shared=True),
    Action.CHANGE_EXPORT: Rule("change exports", _CONTRIBUTORS, shared=True),
    Action.DUPLICATE_EXPORT: Rule("duplicate exports", _CONTRIBUTORS, shared=True),
    Action.SCHEDULE_EXPORT: Rule("schedule exports and turn them off", _CONTRIBUTORS, shared=True),
    Action.REMOVE_EXPORT: Rule("remove exports", _CONTRIBUTORS, shared=True),
    Action.APPLY_EXPORTS: Rule("apply a file of exports", _CONTRIBUTORS, shared=True),
    Action.RUN_EXPORT: Rule("run exports", _CONTRIBUTORS, shared=True),
    Action.TEST_EXPORT: Rule(
        "send one profile of an export to its list, as a test", _CONTRIBUTORS, shared=True
    ),
    Action.CANCEL_RUN: Rule("cancel runs", _CONTRIBUTORS, shared=True),
    Action.RETRY_RUN: Rule("send again what failed in a run", _CONTRIBUTORS, shared=True),
    Action.APPROVE_RUN: Rule("approve runs that ask first", _CONTRIBUTORS, shared=True),
    Action.DECLINE_RUN: Rule("decline runs that ask first", _CONTRIBUTORS, shared=True),
    Action.SEE_LISTS: Rule(
        "ask for an account's lists and custom fields", _CONTRIBUTORS, shared=True, writes=False
    ),
    Action.CREATE_LIST: Rule("create lists", _CONTRIBUTORS, shared=True),
    Action.ASK_FOR_CONNECTION: Rule("begin to sign in at Constant Contact", _ADMINISTRATORS),
    Action.ADD_CONNECTION: Rule("add connections", _ADMINISTRATORS),
    Action.SIGN_IN_AGAIN: Rule("sign in again at connections", _ADMINISTRATORS),
    Action.CHECK_CONNECTION: _looks("test connections", _ADMINISTRATORS),
    Action.RENAME_CONNECTION: Rule("rename connections", _ADMINISTRATORS),
    Action.SHARE_CONNECTION: Rule("share connections with contributors", _ADMINISTRATORS),
    Action.AGREE_AGAIN: Rule("agree to a changed text for connections", _ADMINISTRATORS),
    Action.BECOME_EXPORT_USER: Rule(
        "add themselves as export user of connections", _ADMINISTRATORS
    ),
    Action.REMOVE_CONNECTION: Rule("remove connections", _ADMINISTRATORS),
    Action.ASK_FOR_REFRESH: Rule("refresh the segments", _ADMINISTRATORS),
    Action.SCHEDULE_REFRESH: Rule("schedule refreshes", _ADMINISTRATORS),
    Action.TURN_OFF_REFRESH: Rule("turn refreshes off", _ADMINISTRATORS),
    Action.FORGET_PERSON: Rule("take a person out of the runs' files", _ADMINISTRATORS),
    Action.RESTORE_PERSON: Rule(
        "let an export put back a person who had left its list", _CONTRIBUTORS, shared=True
    ),
    Action.MAKE_BACKUP: Rule("make backups", _ADMINISTRATORS),
    Action.RESTORE_BACKUP: Rule("restore backups", _ADMINISTRATORS),
    Action.ROTATE_KEYS: Rule("rotate the keys", _ADMINISTRATORS),
    Action.DROP_OLD_KEYS: Rule("take old keys away", _ADMINISTRATORS),
    Action.PAUSE_ALL: Rule("pause everything", _ADMINISTRATORS),
    Action.RESUME_ALL: Rule("end a pause of everything", _ADMINISTRATORS),
    Action.ADD_WEBHOOK: Rule("add webhooks", _ADMINISTRATORS),
    Action.TEST_WEBHOOK: Rule("test webhooks", _ADMINISTRATORS),
    Action.ROTATE_WEBHOOK: Rule("give webhooks a new secret", _ADMINISTRATORS),
    Action.SEND_WEBHOOK_AGAIN: Rule("send a message of a webhook again", _ADMINISTRATORS),
    Action.REMOVE_WEBHOOK: Rule("remove webhooks", _ADMINISTRATORS),
    Action.ADD_API_TOKEN: Rule("add API tokens", _ADMINISTRATORS),
    Action.REVOKE_API_TOKEN: Rule("revoke API tokens", _ADMINISTRATORS),
    Action.ADD_NOTIFICATION: Rule("add notifications", _ADMINISTRATORS),
    Action.CHANGE_NOTIFICATION: Rule("choose what notifications tell", _ADMINISTRATORS),
    Action.TEST_NOTIFICATION: Rule("test notifications", _ADMINISTRATORS),
    Action.REMOVE_NOTIFICATION: Rule("remove notifications", _ADMINISTRATORS),
    Action.ADD_PERSON: Rule("add people", _ADMINISTRATORS),
    Action.CHANGE_PERSON: Rule("change people's roles", _ADMINISTRATORS),
    Action.REMOVE_PERSON: Rule("remove people", _ADMINISTRATORS),
    Action.SIGN_IN: Rule("sign in", _ALL),
    Action.SIGN_OUT: Rule("sign out", _ALL),
}
ALLOWED: dict[Action, frozenset[Role]] = {action: rule.roles for action, rule in RULES.items()}


def allows(action: Action, role: Role | None, *, is_shared: bool, see_values: bool) -> bool:
    """The answer of the table. `is_shared`: the connection is shared with contributors; `see_values`: the setting."""
    rule = RULES[action]
    if role is None or role not in rule.roles:
        return False
    if role is not Role.CONTRIBUTOR:
        return True
    return (is_shared or not rule.shared) and (see_values or not rule.by_setting)


def who_may(action: Action) -> str:
    """As a sentence begins: "Only administrators", "Only contributors and administrators"."""
    roles = [role for role in Role if role in RULES[action].roles]
    return f"Only {' and '.join(f'{role.value}s' for role in roles)}"


_HEAD = """# Who may do what

Made from the table in [roles.py](../ccexport/services/people/roles.py) by
`python -m ccexport.services.people.roles`; a test fails where the two differ. Services ask it before they do
anything, with the role that the store has at that moment: who is removed or lowered loses it with the next click, in
pages that are open too. A person who runs a command on the machine has
the store, so commands act as the local administrator.

- **yes**: always; **shared**: over connections that an administrator shared with contributors; **setting**: where
  `CCEXPORT_CONTRIBUTORS_SEE_VALUES` is true; elsewhere values are masked.
- Every action marked *audited* adds one row to the audit with the change itself; refusals have rows too.
- What workers do by themselves (runs of a schedule or refresh, retention) is in the history of runs and refreshes.

| may … | viewer | contributor | administrator | in the audit |
| --- | --- | --- | --- | --- |
"""


def document() -> str:
    """The text of `docs/roles.md`."""
    rows = [
        f"| {rule.says} | {' | '.join(_cell(rule, role) for role in Role)} | {_audited(action)} |"
        for action, rule in RULES.items()
    ]
    return _HEAD + "\n".join(rows) + "\n"


def _cell(rule: Rule, role: Role) -> str:
    if role not in rule.roles:
        return "no"
    if role is Role.CONTRIBUTOR and (rule.shared or rule.by_setting):
        return "shared" if rule.shared else "setting"
    return "yes"


def _audited(action: Action) -> str:
    return f"`{action.value}`" if RULES[action].writes else ""


if __name__ == "__main__":
    from pathlib import Path

    path = Path(__file__).resolve().parents[3] / "docs" / "roles.md"
    path.write_text(document(), encoding="utf-8")
