"""What every request has, and how strictly it is parsed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, GetCoreSchemaHandler, model_validator
from pydantic_core import CoreSchema

from zhilu.messages import T
from zhilu.wire.constraints import Refusal

__all__ = ["FormRequest", "Request", "Strict", "Truncation"]


def _stop_at_the_first(schema: Any) -> None:
    if isinstance(schema, dict):
        if schema.get("type") == "list":
            schema["fail_fast"] = True
        for part in schema.values():
            _stop_at_the_first(part)
    elif isinstance(schema, (list, tuple)):
        for part in schema:
            _stop_at_the_first(part)


class Strict(BaseModel):
    """No unknown field, no silent conversion: ``"5"`` is not a number and ``1`` is not a truth value."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The first wrong item of a list says enough: pydantic would note each of a million."""
        schema = handler(source)
        _stop_at_the_first(schema)
        return schema

    @model_validator(mode="before")
    @classmethod
    def _null_is_the_default(cls, data: Any) -> Any:
        """Clients send ``null`` for what they leave open, also where the default is not null."""
        if not isinstance(data, dict):
            return data
        fields = cls.model_fields

        def says_nothing(key: Any, value: Any) -> bool:
            field = fields.get(key)
            return value is None and field is not None and not field.is_required() and field.default is not None

        return {key: value for key, value in data.items() if not says_nothing(key, value)}


class Request(Strict):
    """What every request has. ``model`` may be left out where an engine serves just one."""

    model: str | None = None
    user: str | None = None


class FormRequest(Request):
    """A request that comes as a form with one file. Its other values are text, so ``"0.2"`` is a number here.

    Attributes:
        file: where the upload lies while the request is answered.
        filename: what its owner calls it.
    """

    model_config = ConfigDict(extra="forbid", strict=False, frozen=True)
    file: Path
    filename: str


def _is_truncation(value: int) -> int:
    if value < 1 and value != -1:
        raise Refusal("", T(f"must be at least 1, or -1, given {value}", f"至少为 1，或为 -1，给出的是 {value}"))
    return value


# -1, vLLM's word for it: as much as the model can read.
Truncation = Annotated[int, AfterValidator(_is_truncation)] | None
