"""The JSON bodies that the API's POSTs take, checked as strictly as its schema says."""

import json
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.responses import JSONResponse

from ccexport.sandbox.account.jobs import Selection
from ccexport.sandbox.api.answers import VALIDATION_ERROR, Refused, gateway_error, invalid
from ccexport.sandbox.api.gate import Call

_STRICT = ConfigDict(extra="forbid", strict=True)
Ids = Annotated[list[str], Field(max_length=50)]
ContactIds = Annotated[list[str], Field(max_length=500)]
TargetLists = Annotated[list[str], Field(min_length=1, max_length=50)]


class ListInput(BaseModel):
    model_config = _STRICT

    name: Annotated[str, Field(min_length=1, max_length=255)]
    description: Annotated[str, Field(max_length=255)] = ""
    favorite: bool = False


class Exclude(BaseModel):
    model_config = _STRICT

    contact_ids: list[str] = []


class Source(BaseModel):
    model_config = _STRICT

    contact_ids: ContactIds = []
    list_ids: Ids = []
    tag_ids: Ids = []
    engagement_level: str = ""
    all_active_contacts: bool = False
    segment_id: int | None = None
    new_subscriber: bool = False

    @model_validator(mode="after")
    def _exactly_one(self) -> "Source":
        given = [name for name in self.model_fields_set if getattr(self, name)]
        if len(given) != 1:
            raise ValueError("source must hold exactly one property")
        return self


class Memberships(BaseModel):
    model_config = _STRICT

    source: Source
    list_ids: TargetLists
    exclude: Exclude = Exclude()

    @model_validator(mode="after")
    def _exclude_fits(self) -> "Memberships":
        if self.exclude.contact_ids and self.source.contact_ids:
            raise ValueError("exclude cannot be used with contact_ids")
        return self

    def selection(self) -> Selection:
        return Selection(
            tuple(self.source.contact_ids),
            tuple(self.source.list_ids),
            self.source.all_active_contacts,
            tuple(self.exclude.contact_ids),
        )


class Deletion(BaseModel):
    model_config = _STRICT

    contact_ids: ContactIds = []
    list_ids: Ids = []

    @model_validator(mode="after")
    def _exactly_one(self) -> "Deletion":
        if bool(self.contact_ids) == bool(self.list_ids):
            raise ValueError("exactly one of contact_ids and list_ids is required")
        return self

    def selection(self) -> Selection:
        return Selection(tuple(self.contact_ids), tuple(self.list_ids))


class Export(BaseModel):
    model_config = _STRICT

    contact_ids: ContactIds = []
    list_ids: Ids = []
    tag_ids: Ids = []
    segment_id: int | None = None
    new_subscriber: bool = False
    fields: list[str] = []
    status: str | None = None
    exclude: Exclude = Exclude()

    @model_validator(mode="after")
    def _filters_fit(self) -> "Export":
        names = ("contact_ids", "list_ids", "tag_ids", "segment_id")
        if sum(bool(getattr(self, name)) for name in names) > 1:
            raise ValueError("filters are mutually exclusive")
        if self.status and not (self.contact_ids or self.list_ids):
            raise ValueError("status needs contact_ids or list_ids")
        if len(self.exclude.contact_ids) > 50:
            raise ValueError("exclude holds at most 50 contact_ids")
        return self

    def selection(self) -> Selection | None:
        """None stands for the whole account."""
        excluded = tuple(self.exclude.contact_ids)
        if self.contact_ids or self.list_ids:
            return Selection(
                tuple(self.contact_ids), tuple(self.list_ids), except_contact_ids=excluded
            )
        return Selection() if self.tag_ids or self.segment_id else None


class JsonImport(BaseModel):
    model_config = _STRICT

    import_data: list[dict[str, Any]]
    list_ids: TargetLists
    sms_permission_to_send: str = "not_set"


_Model = TypeVar("_Model", bound=BaseModel)


async def read_body(call: Call, model: type[_Model]) -> _Model:
    """Read the body as `model`; 415 when it is not called JSON, 400 when it does not fit."""
    kind = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(gateway_error(415, "Unsupported Media Type"))
    body = await call.request.body()
    call.entry.bytes = len(body)
    try:
        return model.model_validate(json.loads(body))
    except ValidationError as error:
        raise Refused(_all_problems(error)) from error
    except ValueError as error:
        raise invalid("The body is not JSON") from error


def _all_problems(error: ValidationError) -> JSONResponse:
    entries = []
    for problem in error.errors(include_url=False, include_input=False):
        where = ".".join(str(part) for part in problem["loc"])
        message = f"#/{where}: {problem['msg']}"
        entries.append({"error_key": VALIDATION_ERROR, "error_message": message})
    return JSONResponse(entries, 400)
