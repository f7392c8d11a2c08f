"""`exports dump` and `exports apply`: exports as a file for version control, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ccexport.commands.console import Json, print_file, print_json, print_text, say
from ccexport.commands.session import open_installation
from ccexport.errors import UsageError

if TYPE_CHECKING:
    from ccexport.services.exports.export_files import ExportDifference

_SIGNS = {"new": "+", "changed": "~", "unchanged": "="}
_MAX_BYTES = 20_000_000  # thousands of exports; more is another kind of file


def dump(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One export; without it, all.")
    ] = None,
) -> None:
    """Exports as YAML on standard output, to be kept and put back with `exports apply`."""
    from ccexport.services.exports.export_files import ExportFiles

    print_file(ExportFiles(open_installation(ctx)).dump(name))


def apply(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="What `exports dump` gave.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and show the difference; store nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make and change exports as a file says, all or none. It removes none and runs none."""
    from ccexport.services.exports.export_files import ExportFiles
    from ccexport.services.people.access import local_administrator

    text = _read(file)
    found = ExportFiles(open_installation(ctx)).apply(
        text, str(file), by=local_administrator(), dry_run=dry_run
    )
    if as_json:
        print_json({"stored": not dry_run, "exports": [asdict(each) for each in found]})
    else:
        for line in difference_lines(found):
            print_text(line)
    say(_summary(found, dry_run))


def difference_lines(differences: Sequence[ExportDifference]) -> list[str]:
    """A line an export, and below it a line a field that differs."""
    lines = []
    for each in differences:
        lines.append(f'{_SIGNS[each.change]} "{each.name}" {each.change}')
        lines.extend(
            f"    {field.field}: {_shown(field.after)}"
            if each.change == "new"
            else f"    {field.field}: {_shown(field.before)} -> {_shown(field.after)}"
            for field in each.fields
        )
    return lines


def _shown(value: str | None) -> str:
    return "nothing" if value is None else ", ".join(value.split("\n"))


def _summary(differences: Sequence[ExportDifference], dry_run: bool) -> str:
    counts = {kind: sum(each.change == kind for each in differences) for kind in _SIGNS}
    said = ", ".join(f"{count:,} {kind}" for kind, count in counts.items())
    ending = "This was a dry run: nothing was stored." if dry_run else "Nothing was sent."
    return f"{said}. {ending}"


def _read(file: Path) -> str:
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise UsageError(
                f"{file} is larger than {_MAX_BYTES:,} bytes. Name a file that `exports dump` gave."
            )
        return file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{file} cannot be read ({error.strerror}). Name a YAML file.") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{file}, line {line}: not UTF-8. Save the file as UTF-8.") from error
