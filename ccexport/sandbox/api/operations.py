"""The operations the stand-in answers: their names, places, scopes and privileges.

Names of the API's operations are those of the vendor's contract (`operationId`); `authorize` and
`token` are the two of the authorization server. Faults and the request log use these names.
"""

from dataclasses import dataclass

API_PREFIX = "/v3"
AUTH_PREFIX = "/oauth2/default/v1"


@dataclass(frozen=True)
class Operation:
    """One call of the contract; `path` is below its host and may hold `{parameters}`."""

    name: str
    method: str
    path: str
    scope: str | None = "contact_data"
    privilege: str | None = "contacts:write"


def _api(name: str, method: str, path: str, scope: str | None, privilege: str | None) -> Operation:
    return Operation(name, method, API_PREFIX + path, scope, privilege)


def _bulk(name: str, method: str, path: str) -> Operation:
    return _api(name, method, path, "contact_data", "contacts:write")


API_OPERATIONS: tuple[Operation, ...] = (
    _api("getUserPrivileges", "GET", "/account/user/privileges", None, None),
    _api("getAccountById", "GET", "/account/summary", "account_read", "account:read"),
    _api("getLists", "GET", "/contact_lists", "contact_data", "contacts:lists:read"),
    _api("createList", "POST", "/contact_lists", "contact_data", "contacts:lists:write"),
    _api("getList", "GET", "/contact_lists/{list_id}", "contact_data", "contacts:lists:read"),
    _api("getCustomFields", "GET", "/contact_custom_fields", "contact_data", "contacts:read"),
    _api("getContacts", "GET", "/contacts", "contact_data", "contacts:read"),
    _api("countContact", "GET", "/contacts/counts", "contact_data", "contacts:read"),
    _bulk("contactsCSVImport", "POST", "/activities/contacts_file_import"),
    _bulk("bulkImportContactsJSON", "POST", "/activities/contacts_json_import"),
    _bulk("postListRemoveContact", "POST", "/activities/remove_list_memberships"),
    _bulk("postListAddContact", "POST", "/activities/add_list_memberships"),
    _bulk("postContactDelete", "POST", "/activities/contact_delete"),
    _bulk("postContactsExport", "POST", "/activities/contact_exports"),
    _bulk("getActivityStatusCollection", "GET", "/activities"),
    _bulk("getActivity", "GET", "/activities/{activity_id}"),
    _bulk("getContactsExport", "GET", "/contact_exports/{file_export_id}"),
)
AUTHORIZE = Operation("authorize", "GET", AUTH_PREFIX + "/authorize", None, None)
TOKEN = Operation("token", "POST", AUTH_PREFIX + "/token", None, None)
BY_NAME: dict[str, Operation] = {
    operation.name: operation for operation in (*API_OPERATIONS, AUTHORIZE, TOKEN)
}
