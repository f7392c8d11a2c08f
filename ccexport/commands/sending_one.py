"""`exports test`: sends one profile to the export's list, and says what Constant Contact made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ccexport.commands.console import ExportName, Json, print_json, print_text, say
from ccexport.commands.session import open_installation
from ccexport.errors import SetupError

if TYPE_CHECKING:
    from ccexport.services.exports.sending_one import Ended, Ready


def send_one(
    ctx: typer.Context,
    name: ExportName,
    customer_id: Annotated[
        str, typer.Option(help="The profile's CustomerId; it has to be in one of the segments.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the file alone; nothing is sent.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Send one profile to the list, follow it to its end, and print the file and what Constant Contact made of it.

    It is not a run, and the ledger has them as placed. Who left the list or opted out is refused. Exit code 3: it was
    not taken, or nobody knows.
    """
    from ccexport.services.exports.sending_one import ACCEPTED, SendingOne
    from ccexport.services.people.access import local_administrator

    sending, by = SendingOne(open_installation(ctx)), local_administrator()
    ready = sending.prepare(name, customer_id, by=by)
    if not as_json:
        _print_file(ready)
    if dry_run:
        if as_json:
            print_json(ready.document())
        say("Nothing was sent.")
        return
    sent = sending.send(ready, by=by)
    say(f'Sent to "{ready.view.export.list_name}". Constant Contact works on it …')
    try:
        ended = sending.follow(sent)
    except KeyboardInterrupt:
        raise SetupError(
            "Interrupted. The profile was sent; the next run sends it again."
        ) from None
    if as_json:
        print_json(ended.document())
    else:
        _print_end(ended)
    raise typer.Exit(0 if ended.outcome == ACCEPTED else 3)


def _print_file(ready: Ready) -> None:
    for line in ready.shown.splitlines():
        print_text(line)


def _print_end(ended: Ended) -> None:
    print_text(ended.says)
    for words in ended.errors:
        print_text(f"  {words}")
    if ended.on_list is not None:
        is_on = "They are on" if ended.on_list else "It does not show them on"
        print_text(f'{is_on} "{ended.sent.ready.view.export.list_name}" now.')
