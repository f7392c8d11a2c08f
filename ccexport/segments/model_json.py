"""`model.json`: which files hold a table, what its columns are called, and how its text is written.

To the letter of its published description; keys that are not needed are passed over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from ccexport.errors import SourceError

FILE = "model.json"


@dataclass(frozen=True)
class Partition:
    """A file of an entity. `location`: its whole address, wherever it was first; `header`: whether it has a heading."""

    location: str
    header: bool
    delimiter: str
    has_quotes: bool
    encoding: str | None


@dataclass(frozen=True)
class Entity:
    """A table: names and types of its columns by position, and its files."""

    name: str
    attributes: tuple[tuple[str, str], ...]
    partitions: tuple[Partition, ...]


@dataclass(frozen=True)
class Model:
    """What a `model.json` says. `culture`: how numbers and dates are written in the files."""

    entities: Mapping[str, Entity]
    culture: str
    modified_at: str


def read_model(text: str) -> Model:
    """Raises `SourceError` naming what is not as it should be."""
    try:
        document = json.loads(text.lstrip("\ufeff"))
    except json.JSONDecodeError as error:
        raise SourceError(
            f"{FILE}, line {error.lineno}: not JSON, or not written to its end. Export it anew."
        ) from error
    if not isinstance(document, dict) or not isinstance(document.get("entities"), list):
        raise SourceError(f"{FILE} has no list of entities. Point the source at another folder.")
    entities: dict[str, Entity] = {}
    for each in document["entities"]:
        entity = _entity(each)
        if any(name.lower() == entity.name.lower() for name in entities):
            raise SourceError(
                f'{FILE} has two entities "{entity.name}", but for letter case. Rename one of them.'
            )
        entities[entity.name] = entity
    return Model(
        entities, str(document.get("culture") or ""), str(document.get("modifiedTime") or "")
    )


def _entity(given: Any) -> Entity:
    if not isinstance(given, dict) or not given.get("name"):
        raise SourceError(f"{FILE} has an entity without a name. Export it anew.")
    name = str(given["name"])
    attributes = given.get("attributes") or []
    if not all(isinstance(each, dict) and each.get("name") for each in attributes):
        raise SourceError(f'{FILE}: an attribute of "{name}" has no name. Export it anew.')
    return Entity(
        name,
        tuple((str(each["name"]), str(each.get("dataType", "")).lower()) for each in attributes),
        tuple(
            _partition(name, each)
            for each in given.get("partitions") or []
            if each.get("location")  # without one it is a schema alone
        ),
    )


def _partition(entity: str, given: Mapping[str, Any]) -> Partition:
    settings = given.get("fileFormatSettings") or {}
    kind = str(settings.get("$type", "CsvFormatSettings"))
    if not kind.endswith("CsvFormatSettings"):
        raise SourceError(
            f'{FILE}: a partition of "{entity}" is written as {kind}. Only CSV can be read from {FILE}.'
        )
    quotes = str(settings.get("quoteStyle") or "QuoteStyle.Csv").rpartition(".")[2].lower()
    return Partition(
        location=str(given["location"]),
        header=_is_true(settings.get("columnHeaders")),
        delimiter=str(settings.get("delimiter") or ","),
        has_quotes=quotes != "none",
        encoding=_encoding(settings.get("encoding")),
    )


def _is_true(value: Any) -> bool:
    return value is True or str(value).lower() == "true"


def _encoding(value: Any) -> str | None:
    return str(value) if value and str(value).lower() not in ("utf-8", "utf8") else None


def paths_of(location: str) -> Sequence[str]:
    """The paths that a file may have below a folder, by its address: whole first, then without what comes before.

    The address is that of a storage account, perhaps another one than the files are in now, and percent-encoded.
    """
    path = unquote(urlsplit(location).path if "://" in location else location)
    steps = [step for step in path.replace("\\", "/").split("/") if step]
    return ["/".join(steps[start:]) for start in range(len(steps))]
