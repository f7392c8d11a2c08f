"""`segments …`: what the source holds."""

from __future__ import annotations

from typing import Annotated

import typer

from ccexport.commands.console import Json, print_json, print_table, print_text
from ccexport.commands.session import open_installation
from ccexport.words import counted

app = typer.Typer(help="The segments of the source.", rich_markup_mode=None)


@app.command("list")
def list_segments(ctx: typer.Context, as_json: Json = False) -> None:
    """All segments with how many profiles are in them."""
    from ccexport.services.operations.segments import Segments, segment_documents

    found = segment_documents(Segments(open_installation(ctx)).all())
    if as_json:
        print_json(found)
        return
    print_table(
        ["segment", *list(found[0])[1:]] if found else ["segment", "members"],
        [list(each.values()) for each in found],
        empty="The source holds no segments. SegmentMembership names them.",
    )


@app.command()
def show(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The segment's name.")],
    as_json: Json = False,
) -> None:
    """One segment, and the attributes its profiles have; examples are masked."""
    from ccexport.services.operations.segments import Segments

    segment, attributes = Segments(open_installation(ctx)).one(name)
    if as_json:
        print_json(
            {
                "name": segment.name,
                "members": segment.members,
                "attributes": [
                    {
                        "name": attribute.name,
                        "type": attribute.type,
                        "fill_rate": round(attribute.fill_rate, 4),
                        "examples": list(attribute.examples),
                    }
                    for attribute in attributes
                ],
            }
        )
        return
    print_text(f"{segment.shown}: {counted(segment.members, 'member')}")
    print_table(
        ["attribute", "type", "filled", "examples"],
        [
            [each.name, each.type, f"{each.fill_rate:.1%}", ", ".join(each.examples)]
            for each in attributes
        ],
        empty="The profiles have no attributes.",
    )
