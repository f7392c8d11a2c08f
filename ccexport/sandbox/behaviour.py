"""How the stand-in behaves: the keys of its behaviour file, their defaults and their checks."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ccexport.sandbox.faults import FAULT_NAMES, Fault

MAX_LISTS = 1_000  # per account (vendor guide)
MAX_CUSTOM_FIELDS = 100  # per account (vendor contract)
DEFAULT_LIST_NAMES = ("Newsletter", "Product news")
OWNER = "owner@example.com"
ALWAYS_UNSUBSCRIBED = "unsubscribed@example.com"

FieldType = Literal[
    "string",
    "text_area",
    "number",
    "currency",
    "boolean",
    "date",
    "datetime",
    "single_select",
    "multi_select",
]
Name = Annotated[str, Field(min_length=1, max_length=255)]
_STRICT = ConfigDict(extra="forbid", frozen=True)


class _Loader(yaml.SafeLoader):
    """YAML in which `on` is a word, as in YAML 1.2: a fault has a key of that name."""


_BOOLEAN = "tag:yaml.org,2002:bool"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOLEAN]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    _BOOLEAN, re.compile(r"^(?:true|false)$", re.IGNORECASE), list("tTfF")
)


class ListSpec(BaseModel):
    """A contact list from birth; without `list_id` it gets one made of the seed and its name."""

    model_config = _STRICT

    name: Name
    list_id: UUID | None = None
    description: str = ""
    favorite: bool = False
    deleted: bool = False
    members: tuple[str, ...] = ()


class FieldSpec(BaseModel):
    """A custom field; of `label` and `name` one is enough (blanks become underscores)."""

    model_config = _STRICT

    label: Annotated[str, Field(max_length=50)] = ""
    name: Annotated[str, Field(max_length=50)] = ""
    type: FieldType = "string"
    choices: tuple[str, ...] = ()


class Behaviour(BaseModel):
    """Everything that can be said about the stand-in; unknown keys are refused.

    `processing_seconds` is how long each activity takes, all of them side by side; `expires_in` is
    in seconds; `sign_in_as` names the user that `auto_approve` signs in (see `people.py`).
    """

    model_config = _STRICT

    seed: int = 0
    auto_approve: bool = False
    sign_in_as: str = OWNER
    processing_seconds: Annotated[float, Field(ge=0)] = 0.2
    requests_per_second: Annotated[int, Field(ge=1)] = 4
    requests_per_day: Annotated[int, Field(ge=0)] = 10_000
    expires_in: Annotated[int, Field(ge=1)] = 86_400
    lists: tuple[ListSpec, ...] = tuple(ListSpec(name=name) for name in DEFAULT_LIST_NAMES)
    custom_fields: Annotated[tuple[FieldSpec, ...], Field(max_length=MAX_CUSTOM_FIELDS)] = ()
    unsubscribed: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()

    @field_validator("lists", mode="before")
    @classmethod
    def _names_or_a_number(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            if not 0 <= value <= MAX_LISTS:
                raise ValueError(f"{value} lists; allowed: 0 to {MAX_LISTS}")
            return tuple(ListSpec(name=f"List {n:04d}") for n in range(1, value + 1))
        return _spelled_out(value, "name")

    @field_validator("custom_fields", mode="before")
    @classmethod
    def _labels_or_fields(cls, value: Any) -> Any:
        return _spelled_out(value, "label")


def parse_behaviour(data: Any, where: str = "behaviour") -> Behaviour:
    """Read plain data (of YAML or JSON) as a Behaviour; ValueError says in one line what is wrong."""
    try:
        return Behaviour.model_validate({} if data is None else data)
    except ValidationError as error:
        raise ValueError(f"{where}: {_first_problem(error)}") from error


def load_behaviour(path: str | Path) -> Behaviour:
    """Read a behaviour file (YAML); ValueError names the file, the key and what is allowed."""
    try:
        data = yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)  # noqa: S506  # a SafeLoader
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        raise ValueError(f"{path}: is not YAML ({problem})") from error
    return parse_behaviour(data, str(path))


def _spelled_out(value: Any, key: str) -> Any:
    if not isinstance(value, list | tuple):
        return value
    return tuple({key: item} if isinstance(item, str) else item for item in value)


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    key = _dotted(problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown key {key}; allowed: {', '.join(_allowed_beside(problem['loc']))}"
    if problem["type"] in ("model_type", "model_attributes_type"):
        return f"{key or 'the file'} is to be a mapping of keys to values"
    if problem["type"] == "literal_error" and key.endswith(".do"):
        return f"{key} is {problem['input']!r}; allowed: {', '.join(FAULT_NAMES)}"
    return f"{key}: {problem['msg'].removeprefix('Value error, ')}"


def _dotted(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _allowed_beside(location: tuple[int | str, ...]) -> list[str]:
    inside: dict[int | str, type[BaseModel]] = {
        "lists": ListSpec,
        "custom_fields": FieldSpec,
        "faults": Fault,
    }
    model = inside.get(location[0], Behaviour) if len(location) > 1 else Behaviour
    return list(model.model_fields)
