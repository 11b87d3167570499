"""The base of every table of a benchmark file, and the types of its plain values."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, Strict, ValidationError, model_validator

from prunebench.api.problems import problems, refusal

Whole = Annotated[int, Strict()]
"""An integer: neither a string of digits nor true or false."""

Number = Annotated[float, Strict()]
"""An integer or a float."""

Switch = Annotated[bool, Strict()]
"""true or false, and not 1 or 0."""


class StrictTable(BaseModel):
    """A table of the file: frozen, unknown keys forbidden and answered with the nearest known one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    more_keys: ClassVar[tuple[str, ...]] = ()
    """Keys that a file may state in this table and that are read before it is."""

    @model_validator(mode="wrap")
    @classmethod
    def _errors_in_sentences(cls, table: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(table)
        except ValidationError as error:
            raise refusal(problems(error, table_keys(cls))) from None


def table_keys(table: type[BaseModel]) -> list[str]:
    """The keys of a table, as a file writes them."""
    more: tuple[str, ...] = getattr(table, "more_keys", ())
    return [*(field.alias or name for name, field in table.model_fields.items()), *more]
