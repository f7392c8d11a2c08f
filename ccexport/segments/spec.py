"""What `CCEXPORT_SOURCE_URL` says: an address with options, or a YAML file that spells the same out."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from ccexport.errors import SourceError
from ccexport.redaction import mask_password

KEY, SEGMENT = "CustomerId", "Segment"
SHAPES = ("long", "json", "tables", "flags", "status")
DELIMITERS = {",": ",", ";": ";", "tab": "\t", "|": "|"}
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_OPTIONS = (
    "customer_table",
    "membership_table",
    "customer_key",
    "membership_key",
    "segment",
    "membership",
    "delimiter",
    "encoding",
)
_MEMBERSHIP_KEYS = {"table", "key", "segment", "shape", "status", "tables", "columns"}


@dataclass(frozen=True)
class Profiles:
    """Where profiles are: a table with its key. None is: as the kind of source calls it."""

    table: str | None = None
    key: str | None = None


@dataclass(frozen=True)
class Memberships:
    """Where memberships are, and in which shape; what is None is found by looking."""

    table: str | None = None
    key: str | None = None
    segment: str | None = None
    shape: str | None = None
    status: str | None = None
    tables: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SegmentNames:
    """A table with a label for a segment's name."""

    table: str
    name: str
    label: str


@dataclass(frozen=True)
class SourceSpec:
    """A source, spelled out. `address` has no options of ours any more; `shown` is the setting, its password masked."""

    address: str = field(repr=False)
    shown: str
    profiles: Profiles
    memberships: tuple[Memberships, ...]
    segment_names: SegmentNames | None = None
    delimiter: str | None = None
    encoding: str | None = None
    file: Path | None = None

    @property
    def kind(self) -> str:
        """The address's scheme: `file`, `cdm`, `dataverse` or an engine's."""
        return self.address.partition(":")[0]

    @property
    def folder(self) -> Path:
        """The folder of `file:` and of a local `cdm:`."""
        path = self.address.partition(":")[2].removeprefix("//")
        return Path(path).expanduser()


def read_spec(url: str) -> SourceSpec:
    """Read the setting. Raises `SourceError` naming what is wrong with it."""
    if re.search(r"\.ya?ml$", url, re.IGNORECASE) and not re.match(r"[a-z][a-z0-9+.-]+:", url):
        return _of_file(Path(url).expanduser())
    return _of_url(url)


def _of_url(url: str) -> SourceSpec:
    address, options = _split(_with_variables(url))
    shape = options.get("membership")
    if shape is not None and shape not in SHAPES:
        raise SourceError(
            f'The source\'s option membership is "{shape}". Choose one of {", ".join(SHAPES)}.'
        )
    return SourceSpec(
        address=address,
        shown=mask_password(url),
        profiles=Profiles(options.get("customer_table"), options.get("customer_key")),
        memberships=(
            Memberships(
                table=options.get("membership_table"),
                key=options.get("membership_key") or options.get("customer_key"),
                segment=options.get("segment"),
                shape=shape,
            ),
        ),
        delimiter=_delimiter(options.get("delimiter")),
        encoding=options.get("encoding"),
    )


def _split(url: str) -> tuple[str, dict[str, str]]:
    """(the address without our options, our options)."""
    if url.startswith("file:") and Path(url.removeprefix("file:").removeprefix("//")).is_dir():
        return url, {}  # a folder may have a question mark in its name
    address, _, query = url.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    ours = {name: value for name, value in pairs if name in _OPTIONS}
    others = [(name, value) for name, value in pairs if name not in _OPTIONS]
    if others and address.partition(":")[0] in ("file", "cdm", "dataverse"):
        raise SourceError(
            f'The source\'s address has the option "{others[0][0]}", which is not known. '
            f"Use {', '.join(_OPTIONS)}."
        )
    return address + (f"?{urlencode(others)}" if others else ""), ours


def _with_variables(url: str) -> str:
    """`${NAME}` from the environment, encoded as an address wants it."""
    return _VARIABLE.sub(lambda found: quote(_variable(found[1]), safe=""), url)


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise SourceError(
            f"The source's address uses ${{{name}}}, but the environment has no {name}. Set it."
        )
    return value


def _delimiter(name: str | None) -> str | None:
    if name is None:
        return None
    if name not in (*DELIMITERS, "\t"):
        raise SourceError(f'The source\'s option delimiter is "{name}". Choose one of , ; tab |')
    return DELIMITERS.get(name, name)


# --- a YAML file ----------------------------------------------------------------------------------


def _of_file(path: Path) -> SourceSpec:
    document = _document(path)
    _refuse_unknown(
        path,
        "",
        document,
        {"url", "profiles", "memberships", "segment_names", "delimiter", "encoding"},
    )
    if not isinstance(document.get("url"), str):
        raise SourceError(f"{path.name} has no url. Give it the address of the source.")
    base = _of_url(document["url"])
    if base.kind == "file" and not base.folder.is_absolute():
        base = replace(base, address=f"file:{path.parent / base.folder}")
    profiles = _profiles(path, document.get("profiles"), base.profiles)
    return replace(
        base,
        profiles=profiles,
        memberships=_all_memberships(path, document.get("memberships"), profiles, base),
        segment_names=_segment_names(path, document.get("segment_names")),
        delimiter=_delimiter(_text(path, "delimiter", document.get("delimiter"))) or base.delimiter,
        encoding=_text(path, "encoding", document.get("encoding")) or base.encoding,
        file=path,
    )


def _document(path: Path) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SourceError(
            f'The source file "{path}" is not there. Set CCEXPORT_SOURCE_URL.'
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f'The source file "{path}" cannot be read as UTF-8 text.') from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise SourceError(f"{path.name}{where}: not YAML. Correct it.") from error
    if not isinstance(document, dict):
        raise SourceError(f"{path.name} is not a YAML mapping. Begin it with url: ADDRESS.")
    return document


def _profiles(path: Path, given: object, base: Profiles) -> Profiles:
    if given is None:
        return base
    found = _mapping(path, "profiles", given, {"table", "key"})
    return Profiles(found.get("table") or base.table, found.get("key") or base.key)


def _all_memberships(
    path: Path, given: object, profiles: Profiles, base: SourceSpec
) -> tuple[Memberships, ...]:
    if given is None:
        return tuple(replace(each, key=each.key or profiles.key) for each in base.memberships)
    entries = given if isinstance(given, list) else [given]
    if not entries:
        raise SourceError(f"{path.name}: memberships is empty. Name one at least.")
    return tuple(
        _memberships(path, f"memberships {number}", entry, profiles)
        for number, entry in enumerate(entries, start=1)
    )


def _memberships(path: Path, where: str, given: object, profiles: Profiles) -> Memberships:
    if not isinstance(given, dict):
        raise SourceError(f"{path.name}: {where} is not a mapping. Write table, key and shape.")
    _refuse_unknown(path, where, given, _MEMBERSHIP_KEYS)
    shape = _text(path, f"{where}, shape", given.get("shape"))
    if shape is not None and shape not in SHAPES:
        raise SourceError(
            f'{path.name}: {where} has the shape "{shape}". Choose one of {", ".join(SHAPES)}.'
        )
    for needed, of_shape in (("tables", "tables"), ("columns", "flags")):
        if shape == of_shape and not given.get(needed):
            raise SourceError(
                f"{path.name}: {where} has the shape {of_shape}, but no {needed}. Name them, each under its segment."
            )
    return Memberships(
        table=_text(path, f"{where}, table", given.get("table")),
        key=_text(path, f"{where}, key", given.get("key")) or profiles.key,
        segment=_text(path, f"{where}, segment", given.get("segment")),
        shape=shape,
        status=_text(path, f"{where}, status", given.get("status")),
        tables=_texts(path, f"{where}, tables", given.get("tables")),
        columns=_texts(path, f"{where}, columns", given.get("columns")),
    )


def _segment_names(path: Path, given: object) -> SegmentNames | None:
    if given is None:
        return None
    found = _mapping(path, "segment_names", given, {"table", "name", "label"})
    missing = [name for name in ("table", "name", "label") if not found.get(name)]
    if missing:
        raise SourceError(f"{path.name}: segment_names has no {missing[0]}. Name it.")
    return SegmentNames(found["table"], found["name"], found["label"])


def _mapping(path: Path, where: str, given: object, known: set[str]) -> dict[str, str]:
    if not isinstance(given, dict):
        raise SourceError(
            f"{path.name}: {where} is not a mapping. Write {', '.join(sorted(known))}."
        )
    _refuse_unknown(path, where, given, known)
    return _texts(path, where, given)


def _texts(path: Path, where: str, given: object) -> dict[str, str]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise SourceError(f"{path.name}: {where} is not a mapping of names.")
    return {str(name): str(value) for name, value in given.items() if value is not None}


def _text(path: Path, where: str, given: object) -> str | None:
    if given is not None and not isinstance(given, str | int):
        raise SourceError(f"{path.name}: {where} is not a text. Write one name.")
    return None if given is None else str(given)


def _refuse_unknown(path: Path, where: str, given: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(str(name) for name in given if name not in known)
    if unknown:
        place = f"{where} has " if where else "it has "
        raise SourceError(
            f'{path.name}: {place}the key "{unknown[0]}", which is not known. '
            f"Use {', '.join(sorted(known))}."
        )
