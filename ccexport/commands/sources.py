"""`sources …`: where profiles and segments are."""

from __future__ import annotations

import typer

from ccexport.commands.console import Json, print_json, print_table, print_text, say
from ccexport.commands.session import open_installation

app = typer.Typer(help="Where profiles and segments are.", rich_markup_mode=None)


@app.callback()
def sources() -> None:
    """Where profiles and segments are."""


@app.command()
def check(ctx: typer.Context, as_json: Json = False) -> None:
    """What is found at CCEXPORT_SOURCE_URL: tables, shapes, rows, and members that have no profile."""
    from ccexport.services.operations.sources import check, check_document

    found = check(open_installation(ctx))
    if as_json:
        print_json(check_document(found))
        return
    print_text(f"{found.address}, read by {found.engine}")
    rows = [["profiles", found.profiles_table, f"key {found.key}", f"{found.profiles:,}"]]
    rows += [
        ["memberships", each.table, f"shape {each.shape}", f"{each.rows:,}"]
        for each in found.memberships
    ]
    print_table(["holds", "table", "read by", "rows"], rows, empty="Nothing is there.")
    for name, at in found.written.items():
        print_text(f"{name} was {'read' if found.kind == 'dataverse' else 'written'} {at}")
    print_text(f"{found.segments:,} segments")
    if found.strangers.without_profile:
        say(f"{found.strangers.said()} Make the two sides alike.")
