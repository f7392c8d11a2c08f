"""The map of the rooms, floor by floor: who may import whom. It is kept by this test, so it cannot rot.

`python -m tests.test_architecture` prints it.
"""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Words that every room may use; each names the other words that it may use itself.
SHARED: dict[str, set[str]] = {
    "errors": set(),
    "states": set(),
    "clock": set(),
    "consent": set(),
    "processes": set(),
    "redaction": set(),
    "words": {"states"},
    "schedules": {"errors"},
    "settings": {"errors", "processes", "redaction"},
}
# room → what of ours it may import, besides the shared words and itself
ROOMS: dict[str, set[str]] = {
    "segments": set(),
    "preparation": set(),
    "constantcontact": set(),
    "store": set(),
    "telling": {"store"},
    "sandbox": set(),
    "sample": set(),
    "runs": {"segments", "preparation", "constantcontact", "store"},
    "installation": {"segments", "constantcontact", "runs", "store", "telling"},
    "worker": {"installation", "runs", "store"},
    "services": {
        *("installation", "segments", "preparation", "constantcontact", "runs", "store", "telling"),
    },
    "commands": {
        *("installation", "worker", "services", "constantcontact", "preparation"),
        *("sandbox", "sample"),
    },
    "ui": {"installation", "preparation", "services", "store"},
    "web": {"installation", "constantcontact", "services"},
    "pages": {"services", "ui"},
    "app": {"installation", "segments", "services", "ui", "web"},
    "__main__": {"commands"},
}
# rooms within a room, likewise; "." is what lies flat in it
WITHIN: dict[str, dict[str, set[str]]] = {
    "services": {
        ".": set(),
        "people": {"."},
        "preview": {"."},
        "exports": {".", "people", "preview"},
        "connections": {".", "people", "exports"},
        "operations": {".", "people", "connections"},
        "telling": {".", "people"},
        "runs": {".", "people", "connections", "exports", "operations"},
        "api": {".", "people", "exports", "preview", "operations", "runs"},
    },
    "store": {"database": set(), "vault": {".", "database"}, ".": {"database", "vault"}},
    "ui": {".": set(), "screens": {"."}},
}
# library → the only rooms that may know it
LIBRARIES: dict[str, set[str]] = {
    "sqlalchemy": {"store", "installation"},
    "sqlmodel": {"store"},
    "alembic": {"store"},
    "streamlit": {"ui", "pages", "app"},
    "requests": {"constantcontact", "segments"},
    "apprise": {"telling"},
    "requests_oauthlib": {"constantcontact"},
    "schedule": {"worker"},
    "duckdb": {"segments"},
    "typer": {"commands"},
    "starlette": {"web", "sandbox", "app"},
    "uvicorn": {"sandbox"},
    "prometheus_client": {"services"},
}
# Share no code with the rest, so that they can be believed (the stand-in) or read alone.
ALONE = {"sandbox"}


def _files() -> list[Path]:
    found = [*ROOT.glob("ccexport/**/*.py"), *ROOT.glob("pages/*.py"), *ROOT.glob("app.py")]
    return sorted(path for path in found if path != ROOT / "ccexport" / "__init__.py")


def _room(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[1] if parts[0] == "ccexport" else parts[0]


def _within(room: str, module: str) -> str:
    """Which room within `room` a module such as `ccexport.store.vault.keys` lies in."""
    names = module.split(".")[2:]
    return names[0] if names and names[0] in WITHIN[room] else "."


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names if node.module == "ccexport" else {node.module or ""}
    return found - {"ccexport.__version__"}


def _rooms_known(path: Path) -> set[str]:
    return {name.split(".")[1] for name in _imports(path) if name.startswith("ccexport.")}


def _allowed(room: str) -> set[str]:
    if room in SHARED:
        return SHARED[room] | {room}
    return ROOMS[room] | {room} | (set() if room in ALONE else set(SHARED))


def floors() -> list[list[str]]:
    """The rooms floor by floor, the lowest first: each knows rooms below it alone. Raises `CycleError`."""
    sorter = TopologicalSorter({room: known - {room} for room, known in (SHARED | ROOMS).items()})
    sorter.prepare()
    found = []
    while sorter.is_active():
        floor = sorted(sorter.get_ready())
        found.append(floor)
        sorter.done(*floor)
    return found


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_architecture_each_room_imports_only_what_it_may(path: Path) -> None:
    room = _room(path)
    assert room in SHARED | ROOMS, f"{room} is not on the map: add it with what it may import"
    strays = _rooms_known(path) - _allowed(room)
    assert not strays, f"{room} must not know {sorted(strays)}"


@pytest.mark.parametrize(
    "path",
    [path for path in _files() if _room(path) in WITHIN],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_architecture_rooms_within_a_room_import_only_what_they_may(path: Path) -> None:
    room = _room(path)
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    here = _within(room, module)
    known = {_within(room, name) for name in _imports(path) if name.startswith(f"ccexport.{room}.")}
    strays = known - WITHIN[room][here] - {here}
    assert not strays, f"{room}/{here} must not know {sorted(strays)}"


def test_architecture_no_arrow_leads_up() -> None:
    assert sum(map(len, floors())) == len(SHARED) + len(ROOMS)


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_architecture_each_library_stays_in_its_rooms(path: Path) -> None:
    used = {name.split(".")[0] for name in _imports(path)}
    strays = {name for name in used & set(LIBRARIES) if _room(path) not in LIBRARIES[name]}
    assert not strays, f"{_room(path)} must not know {sorted(strays)}"


def test_architecture_every_room_on_the_map_exists() -> None:
    rooms = {_room(path) for path in _files()}
    assert (set(ROOMS) | set(SHARED)) - rooms == set()
    for room, within in WITHIN.items():
        for name in set(within) - {"."}:
            assert (ROOT / "ccexport" / room / name).is_dir(), f"{room}/{name} is not there"


if __name__ == "__main__":
    for number, floor in enumerate(floors()):
        for each in floor:
            knows = sorted(ROOMS.get(each, SHARED.get(each, set())))
            print(f"{number}  {each:<16} {' '.join(knows)}")  # noqa: T201  # the map, for people
    print("arrows up: none")  # noqa: T201  # else `floors` raises
