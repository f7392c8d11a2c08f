"""Answers about the account: who it is, what the person may do, its lists and custom fields."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ccexport.sandbox.account.lists import ContactList
from ccexport.sandbox.account.people import PEOPLE, Person
from ccexport.sandbox.api import answers
from ccexport.sandbox.api.answers import Refused, invalid
from ccexport.sandbox.api.bodies import ListInput, read_body
from ccexport.sandbox.api.gate import Call
from ccexport.sandbox.api.paging import page_of, place_of
from ccexport.sandbox.behaviour import MAX_LISTS

_FIRST_PRIVILEGE_ID = 20
_ADDRESS = {
    "address_line1": "1 Beach Road",
    "city": "Boston",
    "state_code": "MA",
    "postal_code": "02451",
    "country_code": "US",
}


async def get_privileges(call: Call) -> Response:
    names = _person(call).privileges
    return JSONResponse(
        [
            {"privilege_id": number, "privilege_name": name}
            for number, name in enumerate(names, _FIRST_PRIVILEGE_ID)
        ]
    )


async def get_summary(call: Call) -> Response:
    person = _person(call)
    summary: dict[str, object] = {
        "encoded_account_id": person.account_id,
        "organization_name": person.organization,
        "contact_email": person.email,
        "contact_phone": "5085550123",
        "first_name": person.first_name,
        "last_name": "Sand",
        "country_code": "US",
        "state_code": "MA",
        "time_zone_id": "US/Eastern",
        "website": "http://sandbox.example.com",
    }
    extra = _csv(call.request, "extra_fields")
    if extra - {"physical_address", "company_logo"}:
        raise invalid("extra_fields must be physical_address or company_logo")
    if "physical_address" in extra:
        summary["physical_address"] = _ADDRESS
    return JSONResponse(summary)


async def get_lists(call: Call) -> Response:
    place = place_of(call)
    limit = place.limit(1_000)
    with_count = _count_wanted(place.query.get("include_membership_count"))
    found = [entry for entry in call.state.lists.all() if _is_asked(entry, place.query)]
    shown = found[place.start : place.start + limit]
    after = place.start + limit
    more = {"lists_count": len(found)} if place.query.get("include_count") == "true" else {}
    return page_of(
        call,
        place,
        "lists",
        [entry.as_json(with_count) for entry in shown],
        after if after < len(found) else None,
        **more,
    )


async def get_list(call: Call) -> Response:
    entry = call.state.lists.get(call.request.path_params["list_id"])
    if entry is None:
        raise Refused(answers.not_found())
    wanted = call.request.query_params.get("include_membership_count")
    return JSONResponse(entry.as_json(_count_wanted(wanted)))


async def create_list(call: Call) -> Response:
    body = await read_body(call, ListInput)
    lists = call.state.lists
    if lists.named(body.name):
        raise Refused(answers.conflict())
    if len(lists.all()) >= MAX_LISTS:
        raise invalid(f"An account has at most {MAX_LISTS} lists")
    made = lists.create(body.name, body.description, body.favorite, call.state.clock())
    return JSONResponse(made.as_json(), 201)


async def get_custom_fields(call: Call) -> Response:
    place = place_of(call)
    limit = place.limit(100)
    fields = call.state.fields.all()
    after = place.start + limit
    shown = [entry.as_json() for entry in fields[place.start : after]]
    return page_of(call, place, "custom_fields", shown, after if after < len(fields) else None)


def _person(call: Call) -> Person:
    assert call.grant is not None  # noqa: S101  # the gate lets nobody in without
    return PEOPLE[call.grant.person]


def _csv(request: Request, name: str) -> set[str]:
    text = request.query_params.get(name, "")
    return {part.strip() for part in text.split(",")} if text else set()


def _count_wanted(value: str | None) -> bool:
    if value not in (None, "all", "active"):
        raise invalid("include_membership_count must be all or active")
    return value is not None


def _is_asked(entry: ContactList, query: Mapping[str, str]) -> bool:
    wanted = set(query.get("status", "active").split(","))
    if wanted - {"all", "active", "deleted"}:
        raise invalid("status must be all, active or deleted")
    if query.get("channel_type", "email") != "email":
        return False
    name = query.get("name")
    if name is not None and entry.name.casefold() != name.casefold():
        return False
    status = "active" if entry.deleted_at is None else "deleted"
    return "all" in wanted or status in wanted
