"""The files of a table in a folder: one file, or a folder of parts. Everything else there is left alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ccexport.errors import SourceError

_ENDINGS = (".parquet", ".csv.gz", ".csv")
_FOLDERS = ("", ".parquet", ".csv", ".delta")


@dataclass(frozen=True)
class FoundTable:
    """A table in a folder. `name`: what people call it; `form`: parquet, csv or delta; `path`: the file or folder."""

    name: str
    form: str
    path: Path

    @property
    def is_parts(self) -> bool:
        return self.form != "delta" and self.path.is_dir()

    def files(self) -> list[Path]:
        """Its files as they are now, without what other programs leave beside them."""
        if not self.is_parts:
            return [self.path]
        return sorted(
            path
            for path in self.path.rglob("*")
            if path.is_file()
            and not any(part.startswith(("_", ".")) for part in path.relative_to(self.path).parts)
        )


def find_table(folder: Path, table: str) -> FoundTable | None:
    """The one form of a table in a folder. Raises `SourceError` where there are several, or parts of several kinds."""
    found = [
        FoundTable(path.name, ending.split(".")[1], path)
        for ending in _ENDINGS
        if (path := folder / f"{table}{ending}").is_file()
    ]
    found += [
        _of_parts(path) for ending in _FOLDERS if (path := folder / f"{table}{ending}").is_dir()
    ]
    if len(found) > 1:
        names = " and ".join(each.name for each in found)
        raise SourceError(
            f'The source folder "{folder}" has {names}, two forms of one table. Take one away.'
        )
    return found[0] if found else None


def _of_parts(path: Path) -> FoundTable:
    if (path / "_delta_log").is_dir():
        return FoundTable(path.name, "delta", path)
    parts = FoundTable(path.name, "parquet", path)
    endings = {_ending(file) for file in parts.files()}
    if not endings:
        raise SourceError(
            f"{path.name} is a folder of parts, and no part is in it. Export it anew."
        )
    strange = next((file for file in parts.files() if _ending(file) is None), None)
    if strange is not None:
        raise SourceError(
            f"{path.name} is a folder of parts, and {strange.name} is neither Parquet nor CSV. Take it away."
        )
    forms = {str(ending).split(".")[1] for ending in endings}
    if len(forms) > 1:
        raise SourceError(
            f"{path.name} is a folder of parts, of which some are Parquet and some CSV. Keep one kind."
        )
    return FoundTable(path.name, forms.pop(), path)


def _ending(path: Path) -> str | None:
    return next((ending for ending in _ENDINGS if path.name.lower().endswith(ending)), None)
