"""`exports …`: set up, preview, list, run, remove."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ccexport.commands import export_files, sending_one
from ccexport.commands.console import (
    ExportName,
    Json,
    print_json,
    print_table,
    print_text,
    run_progress,
    say,
)
from ccexport.commands.session import open_installation
from ccexport.commands.summary import print_run, reason, reasons
from ccexport.errors import SetupError
from ccexport.redaction import redact
from ccexport.states import DEFAULT_GUARD
from ccexport.words import counted, moment

if TYPE_CHECKING:
    from ccexport.services.preview.preview_values import ProfileSample
    from ccexport.services.preview.previews import ExportPreview

app = typer.Typer(help="Which segments go to which list.", rich_markup_mode=None)
app.command()(export_files.dump)
app.command()(export_files.apply)
app.command("test")(sending_one.send_one)


@app.command()
def add(
    ctx: typer.Context,
    name: ExportName,
    connection: Annotated[str, typer.Option(help="The connection's name.")],
    list_id: Annotated[str, typer.Option(help="The list's id, or the address of its page.")],
    segment: Annotated[list[str], typer.Option(help="A segment; repeat for more.")],
    mapping: Annotated[
        list[str],
        typer.Option(
            "--map",
            help='CONTACT_FIELD=ATTRIBUTE, ="constant" or "template with {Attribute}"; repeat for more.',
        ),
    ],
    mode: Annotated[
        str,
        typer.Option(
            help="full: everybody, each time; changes: new and changed people only, and people who left the list stay "
            "away; mirror: as changes, and who is in none of the segments any more is taken off the list."
        ),
    ] = "full",
    schedule: Annotated[
        str,
        typer.Option(
            help='refresh, off, "daily 06:30 Europe/Berlin", "weekly mon,thu 06:30 Europe/Berlin", '
            '"every 30 minutes", "every 2 hours", "cron 30 6 * * 1-5 Europe/Berlin".'
        ),
    ] = "refresh",
    guard: Annotated[
        str,
        typer.Option(
            metavar="PERCENT|off",
            help="A run that would send or remove more than this share of the people placed so far, and 100 at least, "
            "waits until somebody approves it (runs approve, runs decline). First runs and --full pass.",
        ),
    ] = str(DEFAULT_GUARD),
    ping: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="An address that is called at each run's begin (/start), good end, and any other end (/fail), as of "
            "healthchecks.io.",
        ),
    ] = None,
) -> None:
    """Set up an export. Everything is checked before it is stored; saving runs nothing."""
    from ccexport.preparation.mapping import parse_mapping
    from ccexport.services.exports.exports import ExportDraft, Exports
    from ccexport.services.people.access import local_administrator

    draft = ExportDraft(
        name=name,
        connection=connection,
        list_id=list_id,
        segments=segment,
        mapping=parse_mapping(mapping),
        mode=mode,
        schedule=schedule,
        guard=guard,
        ping=ping,
    )
    view = Exports(open_installation(ctx)).add(draft, by=local_administrator())
    say(
        f'"{view.export.name}" is saved, to the list "{view.export.list_name}". '
        f'Nothing was sent. See what it would send: exports preview "{view.export.name}"'
    )
    _say_next(view.export.schedule)


def _say_next(schedule: str) -> None:
    """The next five times of an export that has its own."""
    from ccexport.clock import utc_now
    from ccexport.schedules import next_times

    times = next_times(schedule, utc_now(), 5)
    if times:
        say(f"It runs next at {', '.join(map(moment, times))}.")


@app.command("list")
def list_exports(ctx: typer.Context, as_json: Json = False) -> None:
    """All exports, by name."""
    from ccexport.services.exports.exports import Exports, export_document
    from ccexport.services.runs.runs import run_document

    exports = Exports(open_installation(ctx))
    last = {export_id: run_document(run) for export_id, run in exports.last_runs().items()}
    documents = [export_document(view, last.get(view.export.id)) for view in exports.views()]
    if as_json:
        print_json(documents)
        return
    print_table(
        ["name", "connection", "list", "segments", "schedule", "state", "last run"],
        [
            [
                view.export.name,
                view.connection_name,
                view.export.list_name,
                ", ".join(view.segments),
                view.export.schedule,
                view.state,
                document["last_run"]["state"].replace("_", " ")
                if document["last_run"]
                else "never",
            ]
            for view, document in zip(exports.views(), documents, strict=True)
        ],
        empty="There are no exports yet. Make one: exports add NAME --connection … --list-id … --segment … --map …",
    )


@app.command()
def preview(
    ctx: typer.Context,
    name: ExportName,
    samples: Annotated[
        int,
        typer.Option(
            help="How many sample profiles that are sent, each with some that are not; 0: none at all.",
            min=0,
            max=100,
        ),
    ] = 5,
    as_json: Json = False,
) -> None:
    """What a run would send and leave out: the real pipeline over the whole segments, without sending."""
    from ccexport.services.exports.exports import Exports
    from ccexport.services.people.access import local_administrator
    from ccexport.services.preview.previews import preview_document

    installation = open_installation(ctx)
    exports = Exports(installation)
    found = exports.preview(name, samples, by=local_administrator())
    asks = exports.asks_first(found, name)
    view = installation.exports.by_name(name)
    rate, most = installation.settings.cc_requests_per_second, installation.settings.max_profiles
    if found.counts.prepared > most:
        say(
            f"A run would fail: it may send {counted(most, 'contact')} at most (CCEXPORT_MAX_PROFILES)."
        )
    if as_json:
        document = preview_document(
            found,
            export=view.export.name,
            list_id=view.export.list_id,
            requests_per_second=rate,
            asks=asks,
        )
        print_json(document)
        return
    _print_preview(found, view.export.list_name, rate)
    if asks:
        print_text(
            f"That is more than {view.export.guard} % of the people placed so far: a run would wait until somebody "
            "approves it (runs approve)"
        )
    if said := found.strangers.said():
        say(said)


@app.command()
def remove(ctx: typer.Context, name: ExportName) -> None:
    """Remove an export; the history of its runs stays."""
    from ccexport.services.exports.exports import Exports
    from ccexport.services.people.access import local_administrator

    Exports(open_installation(ctx)).remove(name, by=local_administrator())
    say(
        f'"{name}" is removed. What it sent stays at Constant Contact; the history of its runs stays here.'
    )


@app.command()
def run(
    ctx: typer.Context,
    name: ExportName,
    wait: Annotated[bool, typer.Option("--wait", help="Perform or follow it to its end.")] = False,
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="Send everybody once more, whatever the mode; people who left the list stay away in mode changes.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Queue a run; a worker performs it. With --wait the exit code tells how it ended."""
    from ccexport.services.exports.exports import Exports
    from ccexport.services.people.access import local_administrator
    from ccexport.services.runs.runs import run_document

    if wait:
        from ccexport.commands.following import EXIT_CODES, follow_run
    installation = open_installation(ctx)
    queued = Exports(installation).queue(name, by=local_administrator(), resync=full)
    if not wait:
        if as_json:
            print_json(run_document(queued))
        say(f"Run {queued.id} is queued; a worker performs it: python -m ccexport worker")
        return
    try:
        with run_progress() as show:
            document = follow_run(installation, queued.id, show)
    except KeyboardInterrupt:
        raise SetupError(
            f"Interrupted. Run {queued.id} stays for a worker: python -m ccexport worker"
        ) from None
    if as_json:
        print_json(document)
    else:
        print_run(document)
    code = EXIT_CODES.get(document["state"], 1)
    if code == 1:
        say(_why_it_ended(document))
    raise typer.Exit(code)


def _why_it_ended(document: Mapping[str, Any]) -> str:
    """The last line of a run that did not succeed: the reason and what to do."""
    run = f'Run {document["id"]} of "{document["export"]}"'
    why = document["error"] or "it was asked to end. Run the export again to send the rest."
    return redact(f"{run} ended as {document['state']}: {why}")


def _print_preview(found: ExportPreview, list_name: str, rate: float) -> None:
    counts, beside = found.counts, found.beside
    print_text(
        f'{counted(counts.read, "profile")} read, {beside.goes:,} would be sent to "{list_name}"'
    )
    if counts.rejected:
        print_text(f"{counts.rejected:,} would be left out: {reasons(counts.rejections)}")
    if beside.goes != counts.prepared or beside.changed:
        print_text(
            f"{beside.new:,} are new, {beside.changed:,} changed; {beside.unchanged:,} are unchanged and "
            f"{beside.suppressed:,} left the list, so they are not sent"
        )
    if beside.to_remove:
        are = "is" if beside.to_remove == 1 else "are"
        print_text(
            f"{beside.to_remove:,} {are} in none of the segments any more and would be taken off the list"
        )
    for line in beside.samples.lines():
        print_text(f"  {line}")
    if said := beside.said():
        print_text(said)
    if counts.truncated:
        verb = "has" if counts.truncated == 1 else "have"
        print_text(f"{counts.truncated:,} {verb} a value that is cut to the length allowed")
    for words in counts.warning_lines():
        print_text(words)
    seconds = found.seconds_at_least(rate)
    print_text(
        f"{counted(beside.files, 'file')}, {counted(beside.bytes, 'byte')}, "
        f"about {counted(found.requests, 'request')}, {seconds} s at least"
    )
    for item in found.samples:
        _print_sample(item)


def _print_sample(item: ProfileSample) -> None:
    """A profile as it is and as it is sent, or why it is not."""
    sample = item.sample
    if sample.rejection:
        instead = f": {sample.sent_instead}" if sample.sent_instead else ""
        field = f" ({sample.rejected_field})" if sample.rejected_field else ""
        print_text(f"{sample.customer_id} is left out, {reason(sample.rejection)}{field}{instead}")
    else:
        print_text(f"{sample.customer_id} is sent")
    pairs = (
        {"profile": item.profile}
        if sample.rejection
        else {"profile": item.profile, "contact": sample.contact}
    )
    for what, values in pairs.items():
        print_text(
            f"  {what}  {', '.join(f'{name}: {value}' for name, value in values.items() if value)}"
        )
