"""The API's own description, OpenAPI 3.1, made of the table of calls and the models of their answers."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from ccexport import __version__
from ccexport.services.api.calls import MAX_KEY
from ccexport.web import api_models as models
from ccexport.web.api import CALLS, Call
from ccexport.web.guard import API_PATH

_REF = "#/components/schemas/{model}"
_ANY_CALL = {
    400: "The address, a header or the body holds what the call does not take.",
    401: "There is no token, or it is wrong, revoked or expired.",
    403: "The token does not reach this export, or is read-only.",
    413: "The body is too long.",
    429: "Too many wrong tokens, or the source is being read already.",
    503: "The store, the source or Constant Contact cannot be reached now.",
}
_WORDS = {"name": "The export's name.", "id": "The run's number."}


@lru_cache(maxsize=4)
def document(base_path: str) -> dict[str, Any]:
    """For a dashboard that lies below `base_path`."""
    kinds = [
        value for value in vars(models).values()
        if isinstance(value, type) and issubclass(value, models._Exact) and value is not models._Exact
    ]  # fmt: skip
    _, schemas = models_json_schema([(kind, "validation") for kind in kinds], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for call in CALLS:
        path = API_PATH + re.sub(r":\w+}", "}", call.path)
        paths.setdefault(path, {})[call.method.lower()] = _operation(call)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ccexport",
            "version": __version__,
            "description": "Start exports, and ask what became of a run.",
        },
        "servers": [{"url": base_path or "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas["$defs"],
        },
    }


def _operation(call: Call) -> dict[str, Any]:
    answers = {
        **{status: (says, models.Error) for status, says in _ANY_CALL.items()},
        **call.answers,
    }
    operation: dict[str, Any] = {
        "operationId": call.name,
        "summary": call.says,
        "parameters": [*_path_parameters(call), *_query_parameters(call), *_key(call)],
        "responses": {
            str(status): {
                "description": says,
                "content": {"application/json": {"schema": _schema(kind)}},
            }
            for status, (says, kind) in sorted(answers.items())
        },
    }
    if call.body is not None:
        content = {"application/json": {"schema": _schema(call.body)}}
        operation["requestBody"] = {"required": False, "content": content}
    return operation


def _schema(kind: Any) -> dict[str, Any]:
    """By reference; a list of a model likewise."""
    found = TypeAdapter(kind).json_schema(ref_template=_REF)
    if found.get("type") == "array":
        return {"type": "array", "items": found["items"]}
    return {"$ref": _REF.format(model=kind.__name__)}


def _path_parameters(call: Call) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _WORDS[name],
            "schema": {"type": "integer", "minimum": 1} if name == "id" else {"type": "string"},
        }
        for name in re.findall(r"{(\w+)", call.path)
    ]


def _query_parameters(call: Call) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "schema": {"type": "string", "enum": list(values)}}
        for name, values in call.query.items()
    ]


def _key(call: Call) -> list[dict[str, Any]]:
    if not call.takes_key:
        return []
    says = "The same key within a day gives the same run."
    schema = {"type": "string", "minLength": 1, "maxLength": MAX_KEY}
    return [{"name": "Idempotency-Key", "in": "header", "description": says, "schema": schema}]
