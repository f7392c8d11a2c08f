"""The map of the rooms: who may import whom. It is kept by this test, so it cannot rot."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = {
    "clock",
    "consent",
    "errors",
    "processes",
    "redaction",
    "schedules",
    "settings",
    "states",
    "words",
}

# room → what of ours it may import, besides the shared words and itself
ROOMS: dict[str, set[str]] = {
    "clock": set(),
    "consent": set(),
    "errors": set(),
    "states": set(),
    "words": set(),
    "redaction": set(),
    "schedules": set(),
    "processes": set(),
    "settings": set(),
    "segments": set(),
    "preparation": set(),
    "constantcontact": set(),
    "store": set(),
    "sandbox": set(),
    "sample": set(),
    "runs": {"segments", "preparation", "constantcontact", "store"},
    "installation": {"segments", "constantcontact", "runs", "store"},
    "services": {
        "installation",
        "segments",
        "preparation",
        "constantcontact",
        "runs",
        "store",
    },
    "worker": {"installation", "runs", "store"},
    "commands": {
        "installation",
        "constantcontact",
        "preparation",
        "sample",
        "sandbox",
        "services",
        "worker",
    },
    "__main__": {"commands"},
    "ui": {"installation", "preparation", "services", "store"},
    "web": {"installation", "constantcontact", "services"},
    "pages": {"services", "ui"},
    "app": {"installation", "segments", "services", "ui", "web"},
}
# library → the only rooms that may know it
LIBRARIES: dict[str, set[str]] = {
    "sqlalchemy": {"store", "installation"},
    "sqlmodel": {"store"},
    "alembic": {"store"},
    "streamlit": {"ui", "pages", "app"},
    "requests": {"constantcontact"},
    "requests_oauthlib": {"constantcontact"},
    "schedule": {"worker"},
    "duckdb": {"segments"},
    "typer": {"commands"},
    "starlette": {"web", "sandbox", "app"},
    "uvicorn": {"sandbox"},
}
ALONE = {
    "errors",
    "states",
    "clock",
    "consent",
    "sandbox",
    "sample",
}  # import nothing of ours at all


def _files() -> list[Path]:
    return sorted([*ROOT.glob("ccexport/**/*.py"), *ROOT.glob("pages/*.py"), *ROOT.glob("app.py")])


def _room(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[1] if parts[0] == "ccexport" and len(parts) > 1 else parts[0]


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names if node.module == "ccexport" else {node.module or ""}
    return found


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_architecture_each_room_imports_only_what_it_may(path: Path) -> None:
    room = _room(path)
    if path == ROOT / "ccexport" / "__init__.py":
        return
    assert room in ROOMS, f"{room} is not on the map: add it to ROOMS with what it may import"
    allowed = ROOMS[room] | {room} | (set() if room in ALONE else SHARED)
    ours = {name.split(".")[1] for name in _imports(path) if name.startswith("ccexport.")}
    ours -= {"__version__"}
    if room in ("sample",):
        ours -= {"errors"}
    assert ours <= allowed, f"{room} must not know {sorted(ours - allowed)}"


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_architecture_each_library_stays_in_its_rooms(path: Path) -> None:
    used = {name.split(".")[0] for name in _imports(path)}
    strays = {name for name in used & set(LIBRARIES) if _room(path) not in LIBRARIES[name]}
    assert not strays, f"{_room(path)} must not know {sorted(strays)}"


def test_architecture_every_room_on_the_map_exists() -> None:
    rooms = {_room(path) for path in _files()}
    assert set(ROOMS) - rooms == set()
