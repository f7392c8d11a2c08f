"""The table of roles, cell by cell, at the services themselves; and each change with exactly one row in the audit."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlmodel import Session

from ccexport.errors import NotAllowed
from ccexport.services.connections.connections import Connections
from ccexport.services.exports.exports import Exports
from ccexport.services.people.access import Role
from ccexport.services.people.roles import ALLOWED, RULES, Action, allows, document
from ccexport.services.runs.runs import Runs
from ccexport.store.audit import AuditFilter
from ccexport.store.database import engine as engine_module
from ccexport.store.database.audited import take_along
from ccexport.store.database.people_tables import AuditEvent
from tests.kit.house import ANA
from tests.services.performing import (
    PERFORM,
    Scene,
    content,
    copy_of,
    draft,
    make_ready,
    prepared_scene,
    sign_in,
)

ROOT = Path(__file__).resolve().parents[2]
WRITES = [action for action in Action if RULES[action].writes]
ASKING = {"acting", "_acting", "require", "for_change", "_require", "audited", "may", "why_not"}
# what becomes of a checked draft is not an action of its own
BY_THE_MACHINE = {"exports.as_new"}
ELSEWHERE = {Action.CREATE_LIST}  # the change is at Constant Contact, not in the store


class Cell(NamedTuple):
    """A role that asks for an action, and the two things that decide for contributors."""

    action: Action
    role: Role
    is_shared: bool
    sees_values: bool

    @property
    def is_allowed(self) -> bool:
        """Read off the rule, not asked of `allows`."""
        rule = RULES[self.action]
        if self.role not in rule.roles:
            return False
        conditions = (not rule.shared or self.is_shared, not rule.by_setting or self.sees_values)
        return self.role is not Role.CONTRIBUTOR or all(conditions)


CELLS = [
    Cell(action, role, is_shared, sees_values)
    for action, rule in RULES.items()
    for role in Role
    for is_shared in ((False, True) if rule.shared and role is Role.CONTRIBUTOR else (False,))
    for sees_values in ((False, True) if rule.by_setting and role is Role.CONTRIBUTOR else (False,))
]
YES = [cell for cell in CELLS if cell.is_allowed]
NO = [cell for cell in CELLS if not cell.is_allowed]


def _name(cell: Cell) -> str:
    shared = "-shared" if cell.is_shared else ""
    return f"{cell.action.value}-{cell.role.value}{shared}{'-setting' if cell.sees_values else ''}"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with prepared_scene(tmp_path_factory.mktemp("roles") / "house") as scene:
        yield scene


@pytest.fixture(scope="module")
def untouched(original: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """For what is refused, which changes nothing."""
    with copy_of(original, tmp_path_factory.mktemp("untouched") / "house") as scene:
        yield scene


def test_roles_every_action_can_be_performed_by_the_tests() -> None:
    assert set(PERFORM) == set(Action) == set(RULES) == set(ALLOWED)


@pytest.mark.parametrize("cell", YES, ids=_name)
def test_roles_who_may_does_it_and_a_change_has_exactly_one_row(
    cell: Cell, original: Scene, tmp_path: Path
) -> None:
    with copy_of(original, tmp_path / "house", contributors_see_values=cell.sees_values) as scene:
        scene.installation.connections.share(scene.connection_id, contributors=cell.is_shared)
        by, before = scene.person(cell.role), scene.installation.audit.count(AuditFilter())
        make_ready(scene, cell.action)
        PERFORM[cell.action](scene, by)
        rows = scene.installation.audit.page(AuditFilter())[
            : scene.installation.audit.count(AuditFilter()) - before
        ]
        assert [(row.action, row.who, row.role, row.outcome) for row in rows] == (
            [(cell.action.value, by.name, cell.role.value, "done")]
            if RULES[cell.action].writes
            else []
        )
        assert all(row.came_from == by.came_from for row in rows)


@pytest.mark.parametrize("cell", NO, ids=_name)
def test_roles_who_may_not_is_told_who_may_and_changes_nothing(
    cell: Cell, untouched: Scene
) -> None:
    scene, by = untouched, untouched.person(cell.role)
    before = content(scene)
    refused = before.pop("audit_event")
    with pytest.raises(NotAllowed, match=r"Only |Contributors may ") as caught:
        PERFORM[cell.action](scene, by)
    assert "\n" not in str(caught.value)
    after = content(scene)
    [row] = after.pop("audit_event")[len(refused) :]
    assert (row["action"], row["who"], row["role"], row["outcome"]) == (
        cell.action.value,
        by.name,
        cell.role.value,
        "refused",
    )
    assert after == before


@pytest.mark.parametrize("action", [each for each in WRITES if each not in ELSEWHERE])
def test_audit_of_a_change_that_fails_has_no_row(
    action: Action, original: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PowerCut(Exception):
        """Between the change and its commit."""

    def cut(session: Session) -> None:
        take_along(session)
        if any(isinstance(row, AuditEvent) for row in session.new):
            raise PowerCut

    with copy_of(original, tmp_path / "house") as scene:
        make_ready(scene, action)
        before = content(scene)
        monkeypatch.setattr(engine_module, "take_along", cut)
        with pytest.raises(PowerCut):
            PERFORM[action](scene, scene.person(Role.ADMINISTRATOR))
        assert content(scene) == before


def test_roles_a_person_lowered_or_removed_may_nothing_that_their_page_still_offers(
    original: Scene, tmp_path: Path
) -> None:
    with copy_of(original, tmp_path / "house") as scene:
        by = scene.person(Role.ADMINISTRATOR)  # as their page was drawn
        scene.installation.users.set_role(by.name, Role.VIEWER.value)
        with pytest.raises(NotAllowed, match="your role is viewer"):
            PERFORM[Action.SHARE_CONNECTION](scene, by)
        scene.installation.users.remove(by.name)
        with pytest.raises(NotAllowed, match="Your access was withdrawn"):
            PERFORM[Action.SEE_EXPORTS](scene, by)


def test_roles_contributor_may_not_move_an_export_to_a_connection_of_others(
    original: Scene, tmp_path: Path
) -> None:
    with copy_of(original, tmp_path / "house") as scene:
        sign_in(scene, "Board", ANA)
        Connections(scene.installation).share("Marketing", contributors=True, by=ANA)
        by = scene.person(Role.CONTRIBUTOR)
        with pytest.raises(NotAllowed, match='"Board" is not'):
            Exports(scene.installation).update("Other", draft("Other", connection="Board"), by=by)
        Connections(scene.installation).remove("Board", by=ANA)


def test_roles_addresses_of_profiles_are_masked_for_viewers(
    original: Scene, tmp_path: Path
) -> None:
    with copy_of(original, tmp_path / "house") as scene:
        [seen] = Runs(scene.installation).rejected(scene.finished, by=scene.person(Role.VIEWER))
        [whole] = Runs(scene.installation).rejected(
            scene.finished, by=scene.person(Role.ADMINISTRATOR)
        )
    assert whole[1] == "not an address"
    assert seen == (whole[0], "n•• a• a••••••", *whole[2:])


def test_roles_every_method_that_knows_who_asks_also_asks_the_table() -> None:
    silent = {
        f"{path.stem}.{method.name}"
        for path in sorted((ROOT / "ccexport" / "services").rglob("*.py"))
        for owner in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(owner, ast.ClassDef)
        for method in owner.body
        if isinstance(method, ast.FunctionDef)
        and not method.name.startswith("_")
        and "by" in {each.arg for each in (*method.args.args, *method.args.kwonlyargs)}
        and not (_calls(method) & ASKING or _hands_on(method))
    }
    assert silent == BY_THE_MACHINE


def _calls(method: ast.FunctionDef) -> set[str]:
    functions = [node.func for node in ast.walk(method) if isinstance(node, ast.Call)]
    return {getattr(each, "id", getattr(each, "attr", "")) for each in functions}


def _hands_on(method: ast.FunctionDef) -> bool:
    """Whether it gives the person to another method, which then asks."""
    calls = [node for node in ast.walk(method) if isinstance(node, ast.Call)]
    return any(
        word.arg == "by" and getattr(word.value, "id", "") == "by"
        for call in calls
        for word in call.keywords
        if getattr(call.func, "attr", "") not in ("as_new", "_new_run")
    )


def test_roles_the_document_is_made_from_the_table() -> None:
    assert (ROOT / "docs" / "roles.md").read_text(encoding="utf-8") == document()


def test_roles_viewers_write_nothing_and_contributors_do_no_administration() -> None:
    def may(role: Role) -> set[str]:
        return {
            action.value
            for action in WRITES
            if allows(action, role, is_shared=True, see_values=True)
        }

    assert may(Role.VIEWER) == {"person.sign_in", "person.sign_out"}
    theirs = may(Role.CONTRIBUTOR) - may(Role.VIEWER)
    kinds = {name.split(".")[0] for name in theirs - {Action.RESTORE_PERSON.value}}
    assert kinds == {"export", "run", "list"}
    assert may(Role.ADMINISTRATOR) == {action.value for action in WRITES}
