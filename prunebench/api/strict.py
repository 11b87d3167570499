"""The base of every table of a benchmark file, and the types of its plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, Strict, ValidationError, model_validator

from prunebench.api.problems import problems, refusal

Whole = Annotated[int, Strict()]
"""An integer: neither a string of digits nor true or false."""

Number = Annotated[float, Strict()]
"""An integer or a float."""

Switch = Annotated[bool, Strict()]
"""true or false, and not 1 or 0."""


@dataclass(frozen=True)
class InWords:
    """What a reference says of a key where its field alone would say too little.

    Args:
        beside: other keys of the table without which this one means nothing; an example has them too.
    """

    type: str = ""
    default: str = ""
    beside: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class EarlyKey:
    """A key of a table that is read before the table is, and so is no field of it: its type, default and meaning."""

    type: str
    default: str
    meaning: str
    example: str = ""


class StrictTable(BaseModel):
    """A table of the file: frozen, unknown keys forbidden and answered with the nearest known one.

    What a key means stands below its field, once: editors, `prunebench explain` and the documentation read it there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    more_keys: ClassVar[Mapping[str, EarlyKey]] = {}
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
    more: Mapping[str, EarlyKey] = getattr(table, "more_keys", {})
    return [*(field.alias or name for name, field in table.model_fields.items()), *more]
