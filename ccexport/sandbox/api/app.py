"""The stand-in for Constant Contact as an ASGI application: routes, and what answers each."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ccexport.sandbox.account import auth, exports
from ccexport.sandbox.account.state import SandboxState
from ccexport.sandbox.api import answers, api_account, api_activities, api_contacts, api_imports
from ccexport.sandbox.api.gate import Handler, pass_through
from ccexport.sandbox.api.operations import API_OPERATIONS, AUTHORIZE, TOKEN, Operation
from ccexport.sandbox.behaviour import Behaviour
from ccexport.sandbox.inspection import inspection_routes

HANDLERS: dict[str, Handler] = {
    "getUserPrivileges": api_account.get_privileges,
    "getAccountById": api_account.get_summary,
    "getLists": api_account.get_lists,
    "createList": api_account.create_list,
    "getList": api_account.get_list,
    "getCustomFields": api_account.get_custom_fields,
    "getContacts": api_contacts.get_contacts,
    "countContact": api_contacts.count_contacts,
    "contactsCSVImport": api_imports.import_file,
    "bulkImportContactsJSON": api_imports.import_json,
    "postListRemoveContact": api_activities.remove_memberships,
    "postListAddContact": api_activities.add_memberships,
    "postContactDelete": api_activities.delete_contacts,
    "postContactsExport": api_activities.export_contacts,
    "getActivityStatusCollection": api_activities.get_activities,
    "getActivity": api_activities.get_activity,
    "getContactsExport": exports.get_export,
}


def create_app(
    behaviour: Behaviour | None = None,
    *,
    client_id: str | None = None,
    client_secret: str | None = None,
    clock: Callable[[], float] = time.time,
) -> Starlette:
    """The application with an account of its own in `app.state.sandbox`.

    Without `client_id` and `client_secret` any are accepted. `clock` gives epoch seconds; all of
    the stand-in's time comes from it, except the pauses that faults ask for.
    """
    state = SandboxState(behaviour, client_id=client_id, client_secret=client_secret, clock=clock)
    routes = [_route(state, one, HANDLERS[one.name]) for one in API_OPERATIONS]
    routes += [
        _route(state, AUTHORIZE, auth.authorize),
        _route(state, AUTHORIZE, auth.decide, "POST"),
        _route(state, TOKEN, auth.token),
    ]
    app = Starlette(
        routes=routes + inspection_routes(state),
        exception_handlers={HTTPException: _nothing_here},
        lifespan=_lifespan,
    )
    app.router.redirect_slashes = False
    app.state.sandbox = state
    return app


def _route(
    state: SandboxState, operation: Operation, handler: Handler, method: str | None = None
) -> Route:
    return Route(
        operation.path,
        _endpoint(state, operation, handler),
        methods=[method or operation.method],
        name=operation.name,
    )


def _endpoint(
    state: SandboxState, operation: Operation, handler: Handler
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return await pass_through(state, operation, handler, request)

    return endpoint


async def _nothing_here(request: Request, error: Exception) -> Response:
    """Unknown places: the API's 404 below `/v3`, the gateway's 403 elsewhere."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    if request.url.path.startswith("/v3/"):
        return (
            answers.not_found() if status == 404 else answers.gateway_error(status, "Not Allowed")
        )
    return answers.gateway_error(403, "Forbidden")


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    yield
    app.state.sandbox.close()
