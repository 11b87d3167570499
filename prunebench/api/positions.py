"""Points of a run, with their unit: iterations, epochs, shares of the horizon."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

from pydantic import GetCoreSchemaHandler, SerializationInfo
from pydantic_core import CoreSchema, core_schema

_POSITION = re.compile(r"^\s*([0-9][0-9_]{0,23}(?:\.[0-9]{1,24})?)\s*(it|ep|%)\s*$")

PATTERN = _POSITION.pattern
"""What a position looks like, as the JSON Schema of a benchmark file says it."""


@dataclass(frozen=True)
class Clock:
    """Turns positions into iterations of one run: its batch size, its data, its horizon."""

    steps_per_epoch: int
    horizon: int | None = None


@dataclass(frozen=True)
class Position:
    """A point of a run: "500it", "2ep" (epochs of that run's batch size) or "2%" (of its horizon)."""

    amount: Fraction
    unit: Literal["it", "ep", "%"]

    @classmethod
    def parse(cls, text: object) -> Position:
        """Read a position. Raises ValueError on a bare number or an unknown unit."""
        if isinstance(text, Position):
            return text
        match = _POSITION.match(text) if isinstance(text, str) else None
        if match is None:
            raise ValueError(
                f'{text!r} is not a position: write iterations "500it", epochs "2ep" or a share of the horizon "2%"'
            )
        unit = match.group(2)
        amount = Fraction(match.group(1).replace("_", ""))
        if unit == "it" and amount.denominator != 1:
            raise ValueError(f"{text!r} is not a whole number of iterations")
        return cls(amount, unit)  # type: ignore[arg-type]

    def iterations(self, clock: Clock) -> int:
        """This position in iterations, rounded to the nearest; "%" needs the clock's horizon."""
        if self.unit == "it":
            return int(self.amount)
        if self.unit == "ep":
            return round(self.amount * clock.steps_per_epoch)
        if clock.horizon is None:
            raise ValueError(f'"{self}" is a share of the horizon, and there is none here')
        return round(self.amount * clock.horizon / 100)

    def __str__(self) -> str:
        # Not through a float, which would write "1e-05%".
        return f"{Decimal(self.amount.numerator) / Decimal(self.amount.denominator):f}{self.unit}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def dump(position: Position, info: SerializationInfo) -> str:
            clock = (info.context or {}).get("clock")
            return str(position) if clock is None else f"{position.iterations(clock)}it"

        return core_schema.no_info_plain_validator_function(
            cls.parse,
            serialization=core_schema.plain_serializer_function_ser_schema(dump, info_arg=True),
            json_schema_input_schema=core_schema.str_schema(pattern=PATTERN),
        )
