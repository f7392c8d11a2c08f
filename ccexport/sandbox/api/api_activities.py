"""Answers about bulk activities: starting the jobs on lists and contacts, and following them."""

from collections.abc import Callable
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from ccexport.sandbox.account import jobs
from ccexport.sandbox.account.activities import Activity, Report, Troubles
from ccexport.sandbox.account.state import SandboxState
from ccexport.sandbox.api import answers
from ccexport.sandbox.api.answers import Refused, invalid
from ccexport.sandbox.api.bodies import Deletion, Export, Memberships, read_body
from ccexport.sandbox.api.gate import Call
from ccexport.sandbox.api.paging import page_of, place_of

STATES = ("processing", "completed", "cancelled", "failed", "timed_out")
_TROUBLES = (
    *("end", "activity_slow", "activity_gone", "rows"),
    *("counters", "object_messages", "no_file_name"),
)


def checked_lists(state: SandboxState, list_ids: list[str]) -> list[str]:
    """The ids if there are 1 to 50 and all are lists that can be used; else 400."""
    if not 1 <= len(list_ids) <= jobs.MAX_LISTS_PER_CONTACT:
        raise invalid(f"list_ids must hold 1 to {jobs.MAX_LISTS_PER_CONTACT} ids")
    for list_id in list_ids:
        if state.lists.usable(list_id) is None:
            raise invalid(f"list_ids: {list_id[:80]!r} is not a list of this account")
    return list_ids


def start_activity(
    call: Call,
    kind: str,
    work: Callable[[Troubles], Report],
    *,
    first_counters: dict[str, int],
    prepare: Callable[[], object] | None = None,
    size: int = 0,
    file_name: str | None = None,
) -> Response:
    """Queue a job and answer 201; 429 when a thousand are queued already."""
    state = call.state
    if state.activities.is_full():
        raise Refused(answers.queue_full())
    met = {group: call.take(group) for group in _TROUBLES}
    troubles = Troubles({group: fault for group, fault in met.items() if fault is not None})
    slow = troubles.get("activity_slow")
    now = state.clock()
    seconds = state.behaviour.processing_seconds + (slow.seconds if slow else 0.0)
    activity = Activity(
        kind,
        created_at=now,
        due_at=now + seconds,
        first_counters=first_counters,
        work=partial(work, troubles),
        prepare=prepare,
        size=size,
        file_name=file_name,
        troubles=troubles,
    )
    shown = activity.as_json(now)
    state.activities.add(activity)
    call.entry.activity_id = activity.activity_id
    return JSONResponse(shown, 201)


async def get_activity(call: Call) -> Response:
    await _finish_small_work(call.state)
    found = call.state.activities.get(call.request.path_params["activity_id"])
    if found is None:
        raise Refused(answers.not_found())
    return JSONResponse(found.as_json(call.state.clock()))


async def get_activities(call: Call) -> Response:
    place = place_of(call)
    limit = place.limit(500)
    wanted = place.query.get("state")
    if wanted is not None and wanted not in STATES:
        raise invalid(f"state must be one of {', '.join(STATES)}")
    await _finish_small_work(call.state)
    now = call.state.clock()
    found = call.state.activities.newest_first()
    if wanted is not None:
        found = [one for one in found if one.state(now) == wanted]
    after = place.start + limit
    shown = [one.as_json(now) for one in found[place.start : after]]
    return page_of(call, place, "activities", shown, after if after < len(found) else None)


async def _finish_small_work(state: SandboxState) -> None:
    """Let what is due and small be done first, so that the clock alone tells what is seen."""
    if state.activities.has_small_work():
        await run_in_threadpool(state.activities.catch_up, False)


async def add_memberships(call: Call) -> Response:
    return await _change_memberships(call, "list_add", jobs.add_memberships)


async def remove_memberships(call: Call) -> Response:
    return await _change_memberships(call, "list_remove", jobs.remove_memberships)


async def _change_memberships(
    call: Call, kind: str, change: Callable[[SandboxState, jobs.Selection, list[str]], Report]
) -> Response:
    body = await read_body(call, Memberships)
    targets = checked_lists(call.state, body.list_ids)
    if body.source.list_ids:
        checked_lists(call.state, body.source.list_ids)
    counters = _counters(len(body.source.contact_ids), len(targets))
    return start_activity(
        call,
        kind,
        lambda troubles: _unless_ended(
            troubles, counters, lambda: change(call.state, body.selection(), targets)
        ),
        first_counters=counters,
    )


async def delete_contacts(call: Call) -> Response:
    body = await read_body(call, Deletion)
    if body.list_ids:
        checked_lists(call.state, body.list_ids)
    counters = _counters(len(body.contact_ids), len(body.list_ids))
    return start_activity(
        call,
        "contact_delete",
        lambda troubles: _unless_ended(
            troubles, counters, lambda: jobs.delete_contacts(call.state, body.selection())
        ),
        first_counters=counters,
    )


async def export_contacts(call: Call) -> Response:
    body = await read_body(call, Export)
    if body.list_ids:
        checked_lists(call.state, body.list_ids)
    fields = tuple(body.fields)
    return start_activity(
        call,
        "contact_export",
        lambda troubles: jobs.export_contacts(call.state, body.selection(), body.status, fields),
        first_counters={"items_total_count": 0, "items_completed_count": 0},
    )


def _counters(contacts: int, lists: int) -> dict[str, int]:
    return {"items_total_count": contacts, "items_completed_count": 0, "list_count": lists}


def _unless_ended(
    troubles: Troubles, counters: dict[str, int], work: Callable[[], Report]
) -> Report:
    end = troubles.get("end")
    return work() if end is None or end.apply else Report(counters)
