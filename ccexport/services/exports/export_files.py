"""Exports as a YAML file to keep in version control, and back without loss.

Every value is text, whatever YAML would make of it: `off`, `2024` and `1_000` are names as they stand. A file only adds
and changes; what it does not name stays. All of it is checked, here and at the accounts, before any of it is stored.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import yaml

from ccexport.errors import Conflict, NotFound, SetupError, StoreError, UsageError
from ccexport.installation import Installation
from ccexport.preparation.mapping import FieldMapping, mapping_from_dict
from ccexport.schedules import check_schedule
from ccexport.services.exports.export_values import check_guard, guard_text, view_document
from ccexport.services.exports.exports import (
    CheckedDraft,
    DraftChecks,
    ExportDraft,
    Exports,
    check_list_id,
    check_mode,
)
from ccexport.services.names import check_name
from ccexport.services.people.access import Person
from ccexport.services.people.permission import audited, require
from ccexport.services.people.roles import Action
from ccexport.states import DEFAULT_GUARD
from ccexport.store.exports import ExportView
from ccexport.telling.pings import mask_ping

_HEADER = "# Exports. Put them back with: python -m ccexport exports apply FILE.yaml\n"
_REQUIRED = ("name", "connection", "list_id", "segments", "mapping")
_DEFAULTS = {"mode": "full", "schedule": "refresh", "guard": str(DEFAULT_GUARD)}
_KEYS = (*_REQUIRED, *_DEFAULTS, "ping")
_NULL = "tag:yaml.org,2002:null"
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class FieldDifference:
    """One field of an export, before and after; None where there was or is nothing."""

    field: str  # as in the file; a contact field is "mapping FIELD"
    before: str | None
    after: str | None


@dataclass(frozen=True)
class ExportDifference:
    """What a file changes of one export."""

    name: str
    change: str  # "new", "changed" or "unchanged"
    fields: tuple[FieldDifference, ...]


@dataclass(frozen=True)
class Entry:
    """An export as a file has it, of the form that it must have; `line` begins at 1."""

    line: int
    draft: ExportDraft
    is_detached: bool  # the file gives it no connection


class ExportFiles:
    """Exports to a file's text, and back."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def dump(self, name: str | None = None) -> str:
        """All exports by name, or one, as YAML. Raises `NotFound`."""
        views = (
            self._installation.exports.views()
            if name is None
            else [self._installation.exports.by_name(name)]
        )
        return write_entries([_as_document(view) for view in views])

    def apply(
        self, text: str, file_name: str, *, by: Person, dry_run: bool = False
    ) -> list[ExportDifference]:
        """Make and change exports as `text` says, all or none; with `dry_run` only check and compare.

        Raises `UsageError` for a broken file and `SetupError` for what does not fit, each with file and line;
        `Conflict` when somebody changed one of them meanwhile.
        """
        entries = read_entries(text, file_name)
        before = {view.export.name_key: view for view in self._installation.exports.views()}
        exports, new, changes, differences = Exports(self._installation), [], [], []
        with DraftChecks(self._installation) as checks:
            for entry in entries:
                view = before.get(entry.draft.name.casefold())
                difference = _compare(view, entry.draft)
                differences.append(difference)
                if difference.change == "unchanged":
                    continue
                self._require(by, entry, view)
                checked = _check(checks, entry, view, file_name)
                if view is None:
                    new.append(exports.as_new(checked, by=by))
                else:
                    seen = view.export.revision
                    changes.append(exports.as_change(view, checked, revision=seen))
        if not dry_run and (new or changes):
            after = {each.name: each.change for each in differences if each.change != "unchanged"}
            with audited(
                self._installation, by, Action.APPLY_EXPORTS, "file", file_name, after=after
            ):
                self._installation.exports.save(new, changes)
        return differences

    def _require(self, by: Person, entry: Entry, view: ExportView | None) -> None:
        """Of one that is there, over the connection that it has and over the one that it gets."""
        names = {entry.draft.connection}
        if view is not None:
            names.add(view.connection_name or "")
        for name in sorted(names):
            connection = self._installation.connections.find(name) if name else None
            if name and connection is None:
                continue  # the check says so, with its line
            require(
                self._installation,
                by,
                Action.APPLY_EXPORTS,
                "export",
                entry.draft.name,
                connection=connection,
            )


def write_entries(exports: Sequence[Mapping[str, Any]]) -> str:
    """The text of a file with these exports; `read_entries` reads every sign of it back."""
    # a width that nothing reaches: a name is never broken over lines
    text = yaml.dump(
        {"exports": list(exports)}, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=10**9
    )
    return _HEADER + str(text)


class _Dumper(yaml.SafeDumper):
    """Texts with line breaks and other unseen signs are quoted with escapes: read back, they would be folded."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if all(sign.isprintable() for sign in text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _as_document(view: ExportView) -> dict[str, Any]:
    ping = view.export.ping_shown
    return view_document(view) | ({"ping": ping} if ping else {})


# --- comparing -----------------------------------------------------------------------------------


def _compare(view: ExportView | None, draft: ExportDraft) -> ExportDifference:
    after = _flat(draft.name, draft.connection or None, draft)
    if view is None:
        if draft.ping:
            after["ping"] = _shown_ping(draft.ping.strip())
        fields = [FieldDifference(key, None, value) for key, value in after.items()]
        return ExportDifference(draft.name, "new", tuple(fields))
    connection = view.connection_name
    if connection is not None and connection.casefold() == draft.connection.casefold():
        after["connection"] = connection  # one name, however it is written
    before = _flat(view.export.name, connection, _as_draft(view))
    shown = view.export.ping_shown or ""
    if draft.ping is not None and draft.ping.strip() != shown:
        before["ping"], after["ping"] = shown, _shown_ping(draft.ping.strip())
    fields = [
        FieldDifference(key, before.get(key), after.get(key))
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key)
    ]
    return ExportDifference(draft.name, "changed" if fields else "unchanged", tuple(fields))


def _shown_ping(ping: str) -> str:
    """Masked; one that is written whole is another than the one that is shown."""
    return "" if ping in ("", "off") else f"{mask_ping(ping)} (written whole)"


def _as_draft(view: ExportView) -> ExportDraft:
    return ExportDraft(
        name=view.export.name,
        connection=view.connection_name or "",
        list_id=view.export.list_id,
        segments=view.segments,
        mapping=FieldMapping(view.mapping),
        mode=view.export.mode,
        schedule=view.export.schedule,
        guard=guard_text(view.export.guard),
    )


def _flat(name: str, connection: str | None, draft: ExportDraft) -> dict[str, str | None]:
    """Field → text. Segments are one field, a line each: their order and every sign of them count."""
    return {
        "name": name,
        "connection": connection,
        "list_id": draft.list_id,
        "segments": "\n".join(draft.segments),
        **{f"mapping {field}": value for field, value in draft.mapping.pairs},
        "mode": str(draft.mode),
        "schedule": draft.schedule,
        "guard": draft.guard,
    }


def _check(
    checks: DraftChecks, entry: Entry, view: ExportView | None, file_name: str
) -> CheckedDraft:
    with _at_line(file_name, entry.line, entry.draft.name):
        if entry.is_detached:
            raise UsageError("it has no connection. Name one; `connections list` shows all.")
        return checks.check(entry.draft, view)


# --- reading -------------------------------------------------------------------------------------


def read_entries(text: str, file_name: str) -> list[Entry]:
    """The exports of a file, of the right form and each once. Raises `UsageError` with the line."""
    root = _compose(text, file_name)
    top = _pairs(root, file_name, "The file", ("exports",))
    if "exports" not in top:
        raise _broken(file_name, 1, "it has no key exports: with the list of exports below it")
    found = top["exports"]
    if not isinstance(found, yaml.SequenceNode):
        raise _broken(file_name, _line(found), "exports: holds no list; begin each export with -")
    entries = [_read_entry(node, file_name) for node in found.value]
    lines: dict[str, int] = {}
    for entry in entries:
        first = lines.setdefault(entry.draft.name.casefold(), entry.line)
        if first != entry.line:
            problem = f'"{_short(entry.draft.name)}" is in line {first} already; keep one of them'
            raise _broken(file_name, entry.line, problem)
    return entries


def _compose(text: str, file_name: str) -> yaml.Node:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _broken(file_name, line, "it holds a sign that YAML does not allow") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _broken(file_name, line, f"it is not YAML ({error.problem})") from error
    except RecursionError:
        raise _broken(file_name, 1, "it is nested too deeply") from None
    if root is None:
        raise _broken(file_name, 1, "it is empty; `exports dump` shows what such a file looks like")
    return root


def _read_entry(node: yaml.Node, file_name: str) -> Entry:
    pairs, line = _pairs(node, file_name, "An export", _KEYS), _line(node)
    for key in _REQUIRED:
        if key not in pairs:
            raise _broken(file_name, line, f"the export has no {key}:")
    values = {
        key: _text(pairs[key], file_name, key) if key in pairs else default
        for key, default in {**dict.fromkeys(("name", "list_id"), ""), **_DEFAULTS}.items()
    }
    connection = pairs["connection"]
    is_detached = isinstance(connection, yaml.ScalarNode) and connection.tag == _NULL
    segments = pairs["segments"]
    if not isinstance(segments, yaml.SequenceNode):
        raise _broken(file_name, _line(segments), "segments: holds no list; begin each with -")
    mapping = _pairs(pairs["mapping"], file_name, "A mapping", None)
    with _at_line(file_name, line, values["name"]):
        draft = ExportDraft(
            name=check_name(values["name"], "export"),
            connection="" if is_detached else _text(connection, file_name, "connection").strip(),
            list_id=check_list_id(values["list_id"]),
            segments=tuple(
                dict.fromkeys(_text(each, file_name, "segments") for each in segments.value)
            ),
            mapping=mapping_from_dict(
                {field: _text(value, file_name, field) for field, value in mapping.items()}
            ),
            mode=check_mode(values["mode"]),
            schedule=check_schedule(values["schedule"]),
            guard=guard_text(check_guard(values["guard"])),
            ping=_text(pairs["ping"], file_name, "ping") if "ping" in pairs else None,
        )
    return Entry(line, draft, is_detached)


def _pairs(
    node: yaml.Node, file_name: str, what: str, known: Sequence[str] | None
) -> Mapping[str, yaml.Node]:
    """The keys of a mapping, each once; `known` are all it may have, None: any."""
    if not isinstance(node, yaml.MappingNode):
        raise _broken(file_name, _line(node), f"{what} is not a mapping of KEY: VALUE lines")
    found: dict[str, yaml.Node] = {}
    for key_node, value in node.value:
        key = _text(key_node, file_name, "a key")
        if key in found:
            raise _broken(file_name, _line(key_node), f"{_short(key)}: is there twice")
        if known is not None and key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"Did you mean {near[0]}:?" if near else f"It may have: {', '.join(known)}."
            raise _broken(file_name, _line(key_node), f"{what} has no key {_short(key)}: {hint}")
        found[key] = value
    return found


def _text(node: yaml.Node, file_name: str, key: str) -> str:
    """A scalar as it is written, whatever type YAML would give it."""
    if not isinstance(node, yaml.ScalarNode) or (node.tag == _NULL and not node.value):
        raise _broken(file_name, _line(node), f"{_short(key)}: holds no text")
    return str(node.value)


@contextmanager
def _at_line(file_name: str, line: int, name: str) -> Iterator[None]:
    """Say of an error which export of the file it is about."""
    where = f'{file_name}, line {line}, "{_short(name)}"'
    try:
        yield
    except StoreError:
        raise
    except UsageError as error:
        text = str(error)
        raise error if text.startswith(file_name) else UsageError(f"{where}: {text}") from error
    except (NotFound, Conflict) as error:
        raise type(error)(f"{where}: {error}") from error
    except SetupError as error:
        raise SetupError(f"{where}: {error}") from error


def _broken(file_name: str, line: int, problem: str) -> UsageError:
    end = "" if problem.endswith((".", "?")) else "."
    return UsageError(f"{file_name}, line {line}: {problem}{end} Nothing was stored.")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _short(text: str) -> str:
    shown = " ".join(text.split())
    return shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]}…"
